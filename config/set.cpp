#include "forebay/config/set.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/checks.hpp"
#include "config/document.hpp"
#include "config/judge.hpp"
#include "config/keys.hpp"
#include "config/nearest.hpp"
#include "config/types.hpp"

// A value that no file says: the document gets it, and is judged like one that was read.
namespace forebay::config {
namespace {

const std::string kSource = "SET";

/// Where a key belongs in the document.
struct Target {
  std::vector<std::string> path;  ///< sections, and the key
  Effect effect;
};

struct Search {
  std::string_view name;
  std::optional<Target> found = {};
  std::vector<std::string> names = {};  ///< what there is to choose from

  template <class Owner>
  void among(const Keys<Owner>& keys, const std::string& label,
             const std::vector<std::string>& path) {
    for (const Key<Owner>& key : keys) {
      names.push_back(label + "." + std::string(key.name));
      if (names.back() != name) continue;
      found = Target{path, key.effect};
      found->path.emplace_back(key.name);
    }
  }

  void general() {
    for (const Key<Config>& key : general_keys()) {
      const std::string section(key.section);
      const bool alone = section == "forebay" || section == "pool";
      names.push_back((alone ? "" : section + ".") + std::string(key.name));
      if (name != names.back() && name != section + "." + std::string(key.name)) continue;
      found = Target{{}, key.effect};
      const std::size_t dot = section.find('.');
      found->path.push_back(section.substr(0, dot));
      if (dot != std::string::npos) found->path.push_back(section.substr(dot + 1));
      found->path.emplace_back(key.name);
    }
  }

  /// Keys of the entry that `name` begins with.
  void entries(const Table& root, std::string_view section) {
    const Member* member = find(root, section);
    const Table* table = member == nullptr ? nullptr : member->value.as<Table>();
    if (table == nullptr || !name.starts_with(section)) return;
    for (const Member& entry : *table) {
      const std::string label = entry_label(section, entry.name);
      if (!name.starts_with(label + ".")) continue;
      const std::vector<std::string> path = {std::string(section), entry.name};
      if (section == "users") return among(user_keys(), label, path);
      among(database_keys(), label, path);
      return among(database_tls_keys(), label + ".tls", {path[0], path[1], "tls"});
    }
  }
};

Set refused(Refusal refusal, std::string why) {
  Set result{.refusal = refusal};
  result.loaded.errors.push_back({kSource, 0, 0, std::move(why)});
  return result;
}

Set unknown(const Search& search) {
  const std::vector<std::string_view> names(search.names.begin(), search.names.end());
  std::string why = "unknown key \"" + std::string(search.name) + "\"";
  const std::string_view replacement = replacement_of(search.name);
  if (!replacement.empty()) {
    why += "; it is called " + std::string(replacement);
  } else if (const auto near = nearest(search.name, names)) {
    why += "; did you mean " + std::string(*near) + "?";
  } else if (const auto longer = extended(search.name, names)) {
    why += "; did you mean " + std::string(*longer) + "?";
  } else {
    why += "; SHOW CONFIG lists the keys";
  }
  return refused(Refusal::unknown, why);
}

void place(Value& value, Position at) {
  value.at = at;
  if (auto* array = std::get_if<Array>(&value.content)) {
    for (Value& each : *array) place(each, at);
  } else if (auto* table = std::get_if<Table>(&value.content)) {
    for (Member& member : *table) {
      member.at = at;
      place(member.value, at);
    }
  }
}

/// What stands between SQL's quotes; a text without any as it is.
std::string unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '\'' || text.back() != '\'') return std::string(text);
  std::string result;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    result += text[i];
    if (text[i] == '\'' && text[i + 1] == '\'' && i + 2 < text.size()) ++i;
  }
  return result;
}

/// As the file would have it; what would be no value there is a string.
Value value_of(std::string_view text, Position at) {
  Problems problems({kSource});
  Table lines = parse_document("value = " + std::string(text), problems);
  const bool is_value = !problems.any_errors() && lines.size() == 1 && lines[0].name == "value";
  Value value = is_value ? std::move(lines[0].value) : Value{at, unquoted(text)};
  place(value, at);
  return value;
}

/// The member that a path leads to, made where it is missing.
Member& reach(Table& root, std::span<const std::string> path, Position at) {
  Table* table = &root;
  for (;;) {
    auto member = std::ranges::find(*table, path.front(), &Member::name);
    if (member == table->end()) {
      member = table->insert(member, Member{path.front(), at, Value{at, Table{}}});
    }
    path = path.subspan(1);
    if (path.empty()) return *member;
    table = &std::get<Table>(member->value.content);
  }
}

}  // namespace

Set set(const Document& before, std::string_view name, std::string_view value,
        const Environment& environment) {
  Search search{name};
  search.general();
  search.entries(before.root, "databases");
  search.entries(before.root, "users");
  if (!search.found) return unknown(search);
  if (search.found->effect == Effect::restart) {
    return refused(Refusal::fixed, std::string(name) +
                                       " can only be changed in the configuration file, and " +
                                       std::string(to_string(Effect::restart)));
  }
  auto document = std::make_shared<Document>(before);
  Problems problems(document->sources);
  const auto known = std::ranges::find(document->sources, kSource);
  if (known == document->sources.end()) {
    problems.add_source(kSource);
    document->sources = problems.sources();
  }
  const auto source = static_cast<std::uint32_t>(std::ranges::find(document->sources, kSource) -
                                                 document->sources.begin());
  const Position at{0, 0, source};
  Member& member = reach(document->root, search.found->path, at);
  member.at = at;
  member.value = value_of(value, at);
  return {judge(std::move(document), problems, environment), Refusal::wrong};
}

}  // namespace forebay::config
