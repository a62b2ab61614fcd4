#include "config/includes.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "config/types.hpp"

// `include` at the top of a file: other files, and folders with files. What they say is as if it
// stood in the file itself; nothing replaces anything, so that their order decides nothing.
namespace forebay::config {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxFiles = 1000;

class Includer {
 public:
  Includer(const Environment& environment, Problems& problems, std::vector<std::string>& files)
      : environment_(environment), problems_(problems), files_(files) {}

  /// Adds what a text and its includes say to `root`. False: something could not be read.
  bool read(std::string_view text, std::uint32_t source, Table& root) {
    bytes_ += text.size();
    Table own = parse_document(text, problems_, source);
    if (own.empty() && problems_.any_errors()) return false;
    const Member* include = find(own, "include");
    const std::vector<Value> wanted = include == nullptr ? Array{} : list_of(*include);
    std::erase_if(own, [](const Member& member) { return member.name == "include"; });
    merge(std::move(own), root, {});
    bool whole = true;
    ++depth_;
    for (const Value& each : wanted) whole &= include_path(each, source, root);
    --depth_;
    return whole;
  }

  void begin_with(const std::string& name) {
    files_.push_back(name);
    places_.emplace(name, "the file that is read first");
  }

 private:
  bool fail(Position at, const std::string& why) {
    problems_.error(at, "include: " + why);
    return false;
  }

  /// The paths of an `include`; complains of what is none.
  Array list_of(const Member& include) {
    const Array* several = include.value.as<Array>();
    const Array given = several != nullptr ? *several : Array{include.value};
    Array paths;
    for (const Value& each : given) {
      const auto* path = each.as<std::string>();
      if (path != nullptr && !path->empty()) {
        paths.push_back(each);
      } else {
        fail(each.at,
             "expected the names of files and folders, such as [\"users.toml\", "
             "\"conf.d/\"]");
      }
    }
    return paths;
  }

  bool include_path(const Value& value, std::uint32_t source, Table& root) {
    const std::filesystem::path including(problems_.sources()[source]);
    const std::filesystem::path named =
        (including.parent_path() / *value.as<std::string>()).lexically_normal();
    std::string path = named.string();
    if (!environment_.is_directory(path)) return include_file(path, value.at, root);
    files_.push_back(path);
    auto names = environment_.list_directory(path);
    if (names.has_error()) return fail(value.at, names.error().message);
    std::erase_if(*names, [](const std::string& name) {
      return name.starts_with('.') || !name.ends_with(".toml");
    });
    std::ranges::sort(*names);
    bool whole = true;
    for (const std::string& name : *names) {
      whole &= include_file((named / name).string(), value.at, root);
    }
    return whole;
  }

  bool include_file(const std::string& path, Position at, Table& root) {
    const auto [known, news] = places_.emplace(path, problems_.name_of(at));
    if (!news) {
      return fail(at, config::quoted(path) + " is read already (" + known->second +
                          "); include each file once, and none from within itself");
    }
    if (depth_ > kMaxDepth || places_.size() > kMaxFiles) {
      return fail(at, "at most " + std::to_string(kMaxFiles) + " files can be included, and " +
                          std::to_string(kMaxDepth) + " in one another");
    }
    files_.push_back(path);
    const Result<std::string> text = environment_.read_file(path);
    if (!text) return fail(at, text.error().message);
    if (bytes_ + text->size() > kMaxConfigBytes) {
      return fail(at, "the configuration is larger than " + std::to_string(kMaxConfigBytes) +
                          " bytes with " + config::quoted(path));
    }
    return read(*text, problems_.add_source(path), root);
  }

  /// Sections may be spread over files; keys, and entries of [databases] and [users], may not.
  void merge(Table from, Table& into, const std::string& section) {
    // An index: looking through thousands of entries for each of thousands takes its time.
    std::map<std::string, std::size_t, std::less<>> known;
    for (std::size_t i = 0; i < into.size(); ++i) known.emplace(into[i].name, i);
    const bool of_entries = section == "databases" || section == "users";
    for (Member& member : from) {
      const auto found = known.find(member.name);
      if (found == known.end()) {
        into.push_back(std::move(member));
        continue;
      }
      Member& there = into[found->second];
      const auto inner = section.empty() ? member.name : section + "." + member.name;
      Table* whole = std::get_if<Table>(&there.value.content);
      Table* part = std::get_if<Table>(&member.value.content);
      if (whole != nullptr && part != nullptr && !of_entries) {
        merge(std::move(*part), *whole, inner);
      } else {
        problems_.error(member.at,
                        (of_entries || section.empty() ? "[" + inner + "]"
                                                       : "[" + section + "] " + member.name) +
                            ": stands already at " + problems_.name_of(there.at));
      }
    }
  }

  const Environment& environment_;
  Problems& problems_;
  std::vector<std::string>& files_;
  std::map<std::string, std::string> places_;  ///< files that were read, and where that is said
  int depth_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

std::shared_ptr<const Document> read_document(std::string_view text, const Environment& environment,
                                              Problems& problems, std::vector<std::string>& files) {
  auto document = std::make_shared<Document>();
  Includer includer(environment, problems, files);
  includer.begin_with(std::filesystem::path(problems.sources().front()).lexically_normal());
  if (!includer.read(text, 0, document->root)) return nullptr;
  document->sources = problems.sources();
  return document;
}

}  // namespace forebay::config
