#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "forebay/config/load.hpp"

namespace forebay::config {

/// A machine with exactly the variables and files that a test gives it.
class FakeEnvironment final : public Environment {
 public:
  std::map<std::string, std::string> variables;
  std::map<std::string, std::string> files;
  std::set<std::string> directories;

  [[nodiscard]] std::optional<Secret> variable(const std::string& name) const override {
    const auto at = variables.find(name);
    if (at == variables.end()) return std::nullopt;
    return Secret(at->second);
  }
  [[nodiscard]] Result<Secret> read_secret(const std::string& path) const override {
    const auto at = files.find(path);
    if (at == files.end()) return failure("cannot read \"" + path + "\": not there");
    return Secret(at->second);
  }
  [[nodiscard]] Result<std::string> read_file(const std::string& path) const override {
    const auto at = files.find(path);
    if (at == files.end()) return failure("cannot read \"" + path + "\": not there");
    return {boost::system::in_place_value, at->second};
  }
  [[nodiscard]] Result<void> check_readable(const std::string& path) const override {
    if (!files.contains(path)) return failure("cannot read \"" + path + "\": not there");
    return {};
  }
  [[nodiscard]] bool is_directory(const std::string& path) const override {
    return directories.contains(path);
  }
  [[nodiscard]] Result<std::vector<std::string>> list_directory(
      const std::string& path) const override {
    std::vector<std::string> names;
    for (const auto& [name, text] : files) {
      if (name.starts_with(path)) names.push_back(name.substr(path.size()));
    }
    return {boost::system::in_place_value, std::move(names)};
  }
};

/// A section that makes any configuration complete, and needs no [users].
inline const std::string kAnyDatabase = "[databases.any]\nhosts = \"db1\"\nauth = \"server\"\n";

inline LoadedConfig load_text(std::string_view text, const Environment& environment) {
  return load(text, "f.toml", environment);
}
inline LoadedConfig load_text(std::string_view text) {
  return load_text(text, FakeEnvironment());
}

inline std::vector<std::string> texts(const std::vector<Problem>& problems) {
  std::vector<std::string> result;
  for (const Problem& problem : problems) result.push_back(to_string(problem));
  return result;
}

inline std::vector<std::string> errors_of(std::string_view text,
                                          const Environment& environment = FakeEnvironment()) {
  return texts(load_text(text, environment).errors);
}
inline std::vector<std::string> warnings_of(std::string_view text,
                                            const Environment& environment = FakeEnvironment()) {
  return texts(load_text(text, environment).warnings);
}

/// As `program | grep`: all problems in one text, for messages of failing tests.
inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace forebay::config
