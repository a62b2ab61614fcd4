#include "forebay/config/load.hpp"

#include <algorithm>
#include <array>
#include <exception>

#include "config/checks.hpp"
#include "config/document.hpp"
#include "config/includes.hpp"
#include "config/judge.hpp"
#include "config/keys.hpp"
#include "config/nearest.hpp"
#include "config/reading.hpp"
#include "config/types.hpp"

namespace forebay::config {
namespace {

constexpr std::array<std::string_view, 9> kTopLevel = {
    "forebay", "log", "tls", "pool", "tenants", "audit", "databases", "users", "rules"};

/// `[pool]`, for a key that some section has; empty if none has.
std::string home_of(std::string_view name) {
  if (name == "include") return "the top of the file, before every section";
  for (const Key<Config>& key : general_keys()) {
    if (key.name == name) return "[" + std::string(key.section) + "]";
  }
  for (const Key<Database>& key : database_keys()) {
    if (key.name == name) return "[databases.NAME]";
  }
  for (const Key<User>& key : user_keys()) {
    if (key.name == name) return "[users.NAME]";
  }
  for (const Key<Rule>& key : rule_keys()) {
    if (key.name == name) return "[[rules]]";
  }
  return {};
}

class Loader {
 public:
  Loader(const Table& root, Reading& reading) : root_(root), reading_(reading) {}

  /// Fills `sources` too.
  Config read(Sources& sources) {
    sources_ = &sources;
    check_top_level();
    read_general();
    read_entries("databases", [this](const std::string& name, const Member& member) {
      read_database(name, member);
    });
    read_entries("users", [this](const std::string& name, const Member& member) {
      read_user(name, member);
    });
    if (const Member* rules = find(root_, "rules")) read_rules(*rules);
    return std::move(config_);
  }

 private:
  void error(Position at, const std::string& message) { reading_.problems().error(at, message); }

  /// The table that a member must be; null after complaining.
  const Table* table_of(const Member& member, std::string_view label) {
    const Table* table = member.value.as<Table>();
    if (table == nullptr) {
      error(member.at, "expected a section that begins with a line [" + std::string(label) +
                           "], but this is " + std::string(member.value.kind()));
    }
    return table;
  }

  void check_top_level() {
    for (const Member& member : root_) {
      if (std::ranges::find(kTopLevel, member.name) != kTopLevel.end()) continue;
      std::string why = "unknown section " + quoted(member.name);
      if (member.value.as<Table>() == nullptr) why = "unknown key " + quoted(member.name);
      if (const std::string home = home_of(member.name); !home.empty()) {
        why += "; it belongs to " + home;
      } else if (const auto near = nearest(member.name, kTopLevel)) {
        why += "; did you mean " + quoted(*near) + "?";
      } else {
        why += "; the sections are " + listed(kTopLevel);
      }
      error(member.at, why);
    }
    if (const Member* tls = find(root_, "tls")) check_tls_sections(*tls);
  }

  void check_tls_sections(const Member& tls) {
    constexpr std::array<std::string_view, 2> kSides = {"client", "server"};
    const Table* table = tls.value.as<Table>();
    if (table == nullptr) {
      error(tls.at, "expected sections [tls.client] and [tls.server], but this is " +
                        std::string(tls.value.kind()));
      return;
    }
    for (const Member& side : *table) {
      if (std::ranges::find(kSides, side.name) != kSides.end()) continue;
      std::string why = "[tls]: unknown key " + quoted(side.name);
      if (const auto near = nearest(side.name, kSides)) {
        why += "; did you mean [tls." + std::string(*near) + "]?";
      } else {
        why += "; the sections are [tls.client] and [tls.server]";
      }
      error(side.at, why);
    }
  }

  void read_general() {
    for (const Section& section : general_sections()) {
      Keys<Config> keys;
      for (const Key<Config>& key : general_keys()) {
        if (key.section == section.name) keys.push_back(key);
      }
      if (const Member* member = section_member(section.name)) {
        if (const Table* table = table_of(*member, section.name)) {
          read_table(*table, section.name, keys, config_);
        }
      }
    }
  }

  const Member* section_member(std::string_view name) {
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return find(root_, name);
    return find(root_, {name.substr(0, dot), name.substr(dot + 1)});
  }

  /// Reads each member with the key of its name. `subtables` are members that the caller reads.
  template <class Owner>
  void read_table(const Table& table, std::string_view label, const Keys<Owner>& keys, Owner& owner,
                  std::span<const std::string_view> subtables = {}) {
    for (const Member& member : table) {
      const auto key = std::ranges::find(keys, member.name, &Key<Owner>::name);
      if (key != keys.end()) {
        reading_.enter(label, member.name);
        key->read(member.value, reading_, owner);
        sources_->insert_or_assign(std::string(label) + "." + member.name,
                                   reading_.problems().name_of(member.at));
      } else if (std::ranges::find(subtables, member.name) == subtables.end()) {
        std::vector<std::string_view> names(subtables.begin(), subtables.end());
        for (const Key<Owner>& known : keys) names.push_back(known.name);
        complain_of_unknown(member, label, names);
      }
    }
  }

  void complain_of_unknown(const Member& member, std::string_view label,
                           std::span<const std::string_view> names) {
    std::string why = "[" + std::string(label) + "]: unknown key " + quoted(member.name);
    const std::string_view replacement = replacement_of(member.name);
    const std::string home = home_of(member.name);
    if (!replacement.empty()) {
      why += "; use " + std::string(replacement.substr(replacement.find(' ') + 1)) + " in " +
             std::string(replacement.substr(0, replacement.find(' ')));
    } else if (const auto near = nearest(member.name, names)) {
      why += "; did you mean " + quoted(*near) + "?";
    } else if (const auto longer = extended(member.name, names)) {
      why += "; did you mean " + quoted(*longer) + "?";
    } else if (!home.empty()) {
      why += "; it belongs to " + home;
    } else {
      why += "; the keys here are " + listed(names);
    }
    error(member.at, why);
  }

  template <class ReadEntry>
  void read_entries(std::string_view section, ReadEntry read_entry) {
    const Member* member = find(root_, section);
    if (member == nullptr) return;
    const Table* entries = table_of(*member, std::string(section) + ".NAME");
    if (entries == nullptr) return;
    for (const Member& entry : *entries) {
      check_name(section, entry);
      read_entry(entry.name, entry);
    }
  }

  void check_name(std::string_view section, const Member& entry) {
    const std::string label = "[" + entry_label(section, entry.name) + "]: ";
    if (entry.name.empty()) {
      error(entry.at, label + "the name is empty");
    } else if (entry.name.size() > kMaxNameBytes) {
      error(entry.at, label + "this name has " + std::to_string(entry.name.size()) +
                          " bytes; PostgreSQL's names have at most 63");
    }
    if (section == "users" && entry.name == "*") {
      error(entry.at, label + "users have no wildcard; what holds for all users stands in [pool]");
    }
    if (section == "databases" &&
        std::ranges::find(kConsoleDatabases, entry.name) != std::end(kConsoleDatabases)) {
      error(entry.at, label +
                          "this name is reserved for the console; choose another and set "
                          "dbname = " +
                          quoted(entry.name));
    }
  }

  void read_database(const std::string& name, const Member& member) {
    const std::string label = entry_label("databases", name);
    const Table* table = table_of(member, label);
    if (table == nullptr) return;
    constexpr std::array<std::string_view, 1> kSubtables = {"tls"};
    Database database;
    read_table(*table, label, database_keys(), database, kSubtables);
    if (find(*table, "hosts") == nullptr) {
      error(member.at,
            "[" + label + "]: hosts is missing; add a line such as hosts = [\"127.0.0.1:5432\"]");
    }
    if (const Member* tls = find(*table, "tls")) {
      if (const Table* keys = table_of(*tls, label + ".tls")) {
        database.server_tls = config_.server_tls;  // what is not said here holds as said there
        read_table(*keys, label + ".tls", database_tls_keys(), *database.server_tls);
      }
    }
    config_.databases.emplace(name, std::move(database));
  }

  void read_user(const std::string& name, const Member& member) {
    const std::string label = entry_label("users", name);
    const Table* table = table_of(member, label);
    if (table == nullptr) return;
    User user;
    read_table(*table, label, user_keys(), user);
    config_.users.emplace(name, std::move(user));
  }

  void read_rules(const Member& member) {
    const Array* rules = member.value.as<Array>();
    if (rules == nullptr) {
      error(member.at, "expected rules that begin with a line [[rules]] each, but this is " +
                           std::string(member.value.kind()));
      return;
    }
    if (rules->size() > kRulesMax) {
      error(rules->at(kRulesMax).at, "[[rules]]: there are more than " + std::to_string(kRulesMax));
    }
    for (const Value& each : *rules) {
      const Table* table = each.as<Table>();
      if (table == nullptr) {
        error(each.at, "[[rules]]: expected a table, but this is " + std::string(each.kind()));
        continue;
      }
      const Member* named = find(*table, "name");
      const auto* name = named == nullptr ? nullptr : named->value.as<std::string>();
      Rule rule;
      read_table(*table, entry_label("rules", name == nullptr ? "?" : *name), rule_keys(), rule);
      check_rule(rule, *table, each.at, reading_.problems());
      if (std::ranges::find(config_.rules, rule.name, &Rule::name) != config_.rules.end()) {
        error(named == nullptr ? each.at : named->value.at,
              "[[rules]] name: there is a rule " + quoted(rule.name) + " already");
      }
      config_.rules.push_back(std::move(rule));
    }
  }

  const Table& root_;
  Reading& reading_;
  Config config_;
  Sources* sources_ = nullptr;
};

/// Only the end of memory gets here; it is a problem of this file like any other.
LoadedConfig failed(std::string_view source_name, std::string_view why) {
  LoadedConfig loaded;
  loaded.errors.push_back({std::string(source_name), 0, 0, std::string(why)});
  return loaded;
}

}  // namespace

LoadedConfig judge(std::shared_ptr<const Document> document, Problems& problems,
                   const Environment& environment) {
  LoadedConfig loaded;
  if (document != nullptr) {
    Reading reading(environment, problems);
    Config config = Loader(document->root, reading).read(loaded.sources);
    check_together(config, document->root, reading);
    if (!problems.any_errors()) loaded.config = std::move(config);
  }
  loaded.errors = problems.take_errors();
  loaded.warnings = problems.take_warnings();
  loaded.document = std::move(document);
  return loaded;
}

LoadedConfig load(std::string_view text, std::string_view source_name,
                  const Environment& environment) {
  if (text.size() > kMaxConfigBytes) {
    return failed(source_name,
                  "the text is larger than " + std::to_string(kMaxConfigBytes) + " bytes");
  }
  std::vector<std::string> files;
  LoadedConfig loaded;
  try {
    Problems problems({std::string(source_name)});
    auto document = read_document(text, environment, problems, files);
    loaded = judge(std::move(document), problems, environment);
  } catch (const std::exception& exception) {
    loaded = failed(source_name, std::string("cannot be loaded: ") + exception.what());
  }
  loaded.files = std::move(files);
  return loaded;
}

LoadedConfig load_file(const std::string& path, const Environment& environment) {
  try {
    const Result<std::string> text = environment.read_file(path);
    if (!text) {
      LoadedConfig loaded = failed(path, text.error().message);
      loaded.files.push_back(path);
      return loaded;
    }
    return load(*text, path, environment);
  } catch (const std::exception& exception) {
    return failed(path, std::string("cannot be loaded: ") + exception.what());
  }
}

LoadedConfig load_file(const std::string& path) {
  return load_file(path, SystemEnvironment());
}

}  // namespace forebay::config
