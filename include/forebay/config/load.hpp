#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/config/config.hpp"
#include "forebay/config/environment.hpp"

namespace forebay::config {

/// What is wrong with a configuration file, for a person: where, what, and the remedy. Never
/// contains a secret.
struct Problem {
  std::string source;        ///< as the file was named to us
  std::uint32_t line = 0;    ///< from 1; 0: the file as a whole
  std::uint32_t column = 0;  ///< from 1, in characters; 0: the file as a whole
  std::string message;
  auto operator<=>(const Problem&) const = default;
};

/// `forebay.toml:12:3: [pool] pool_size: ...`
[[nodiscard]] std::string to_string(const Problem& problem);

/// Where each value stands that a file gives: "databases.app.hosts" at "forebay.toml:12".
using Sources = std::map<std::string, std::string, std::less<>>;

struct Document;

/// The outcome of loading: a configuration, or everything that is wrong with it at once.
struct LoadedConfig {
  std::optional<Config> config;   ///< present exactly if there are no errors
  std::vector<Problem> errors;    ///< by position
  std::vector<Problem> warnings;  ///< by position; also present beside errors
  Sources sources;
  /// What was read, also where it was wrong: the file, and what it includes. Folders, too.
  std::vector<std::string> files;
  std::shared_ptr<const Document> document;  ///< for `set`; null if it could not be read

  [[nodiscard]] bool ok() const noexcept { return config.has_value(); }
};

/// Reads a configuration in TOML. `source_name` is what problems call it; what it includes is
/// looked for beside it. Secrets and certificate files are looked for through `environment`,
/// relative paths from the working directory.
[[nodiscard]] LoadedConfig load(std::string_view text, std::string_view source_name,
                                const Environment& environment);

/// The same for a file.
[[nodiscard]] LoadedConfig load_file(const std::string& path, const Environment& environment);
[[nodiscard]] LoadedConfig load_file(const std::string& path);

}  // namespace forebay::config
