#include "forebay/config/difference.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "config/checks.hpp"
#include "config/keys.hpp"

namespace forebay::config {
namespace {

constexpr std::string_view kHidden = "hidden";
constexpr std::string_view kNotSet = "not set";

std::string shown(std::string value) {
  return value.empty() ? std::string(kNotSet) : value;
}

/// Collects what two owners of the same keys have differently.
class Comparison {
 public:
  template <class Owner>
  void compare(const std::string& section, const Key<Owner>& key, const Owner& before,
               const Owner& after, const std::function<std::string(const Owner&)>& text) {
    if (key.same(before, after)) return;
    if (key.secret) {
      add(section, key.name, kHidden, kHidden, key.effect);
      return;
    }
    const std::string was = shown(text(before));
    const std::string is = shown(text(after));
    if (was != is) add(section, key.name, was, is, key.effect);
  }

  template <class Owner>
  void compare_said(const std::string& section, const Keys<Owner>& keys, const Owner& before,
                    const Owner& after) {
    for (const Key<Owner>& key : keys) compare(section, key, before, after, key.say);
  }

  template <class Entry, class Compare>
  void compare_entries(std::string_view kind,
                       const std::map<std::string, Entry, std::less<>>& before,
                       const std::map<std::string, Entry, std::less<>>& after, Compare compare) {
    std::set<std::string> names;
    for (const auto& [name, entry] : before) names.insert(name);
    for (const auto& [name, entry] : after) names.insert(name);
    for (const std::string& name : names) {
      const std::string section = entry_label(kind, name);
      const auto was = before.find(name);
      const auto is = after.find(name);
      if (was == before.end()) {
        add(section, {}, kNotSet, "added", Effect::at_once);
      } else if (is == after.end()) {
        add(section, {}, "removed", kNotSet, Effect::ends_clients);
      } else {
        compare(section, was->second, is->second);
      }
    }
  }

  void compare_order(const std::vector<Rule>& before, const std::vector<Rule>& after) {
    const auto names = [](const std::vector<Rule>& rules) {
      std::string text;
      for (const Rule& rule : rules) text += (text.empty() ? "" : ", ") + rule.name;
      return shown(text);
    };
    const bool same_rules =
        std::is_permutation(before.begin(), before.end(), after.begin(), after.end(),
                            [](const Rule& a, const Rule& b) { return a.name == b.name; });
    const std::string was = names(before);
    const std::string is = names(after);
    if (same_rules && was != is) add("rules", "order", was, is, Effect::at_once);
  }

  std::vector<Change> take() { return std::move(changes_); }

 private:
  void add(const std::string& section, std::string_view key, std::string_view before,
           std::string_view after, Effect effect) {
    changes_.push_back(
        {section, std::string(key), std::string(before), std::string(after), effect});
  }

  std::vector<Change> changes_;
};

template <class Owner>
void keep(const Keys<Owner>& keys, const Owner& before, Owner& after) {
  for (const Key<Owner>& key : keys) {
    if (key.effect == Effect::restart) key.copy(before, after);
  }
}

std::string name_of(std::string_view section, std::string_view key) {
  return std::string(section) + "." + std::string(key);
}

/// Collects what there is.
class Description {
 public:
  explicit Description(const Sources& sources) : sources_(sources) {}

  template <class Owner>
  void add(const std::string& section, const Key<Owner>& key, const Owner& owner,
           const Owner& otherwise) {
    const auto source = sources_.find(name_of(section, key.name));
    const std::string where = source == sources_.end() ? std::string() : source->second;
    const std::string_view nothing = kNotSet;
    settings_.push_back(
        {section, std::string(key.name),
         key.secret ? std::string(where.empty() && key.same(owner, otherwise) ? nothing : kHidden)
                    : shown(key.show(owner)),
         key.secret ? std::string(nothing) : shown(key.show(otherwise)), where, key.effect,
         key.documentation});
  }

  template <class Owner>
  void add_said(const std::string& section, const Keys<Owner>& keys, const Owner& owner,
                const Owner& otherwise) {
    for (const Key<Owner>& key : keys) {
      if (sources_.contains(name_of(section, key.name)) || !key.same(owner, otherwise)) {
        add(section, key, owner, otherwise);
      }
    }
  }

  std::vector<Setting> take() { return std::move(settings_); }

 private:
  const Sources& sources_;
  std::vector<Setting> settings_;
};

}  // namespace

std::string_view to_string(Effect effect) {
  switch (effect) {
    case Effect::at_once:
      return "at once";
    case Effect::new_clients:
      return "for clients that log in from now on";
    case Effect::new_servers:
      return "for server connections that are opened from now on";
    case Effect::replaces_servers:
      return "its server connections are replaced as they become free";
    case Effect::gone_hosts:
      return "server connections to hosts that are no longer listed are closed as they become free";
    case Effect::ends_clients:
      return "its clients are let go as soon as they are between transactions";
    case Effect::restart:
      return "needs a restart; until then the old value holds";
  }
  return {};
}

std::string to_string(const Change& change) {
  std::string text = "[" + change.section + "]";
  if (change.key.empty()) {
    text += change.after == "added" ? " added" : " removed";
  } else if (change.before == kHidden) {
    text += " " + change.key + ": changed";
  } else {
    text += " " + change.key + ": " + change.before + " -> " + change.after;
  }
  return text + " (" + std::string(to_string(change.effect)) + ")";
}

std::vector<Change> difference(const Config& before, const Config& after) {
  Comparison comparison;
  for (const Key<Config>& key : general_keys()) {
    comparison.compare(std::string(key.section), key, before, after, key.show);
  }
  comparison.compare_entries(
      "databases", before.databases, after.databases,
      [&](const std::string& section, const Database& was, const Database& is) {
        comparison.compare_said(section, database_keys(), was, is);
        if (!was.server_tls && !is.server_tls) return;
        comparison.compare_said(section + ".tls", database_tls_keys(),
                                was.server_tls.value_or(before.server_tls),
                                is.server_tls.value_or(after.server_tls));
      });
  comparison.compare_entries("users", before.users, after.users,
                             [&](const std::string& section, const User& was, const User& is) {
                               comparison.compare_said(section, user_keys(), was, is);
                             });
  const auto by_name = [](const Config& config) {
    std::map<std::string, Rule, std::less<>> rules;
    for (const Rule& rule : config.rules) rules.emplace(rule.name, rule);
    return rules;
  };
  comparison.compare_entries("rules", by_name(before), by_name(after),
                             [&](const std::string& section, const Rule& was, const Rule& is) {
                               comparison.compare_said(section, rule_keys(), was, is);
                             });
  comparison.compare_order(before.rules, after.rules);
  return comparison.take();
}

void keep_until_restart(const Config& before, Config& after) {
  keep(general_keys(), before, after);
  for (auto& [name, database] : after.databases) {
    const auto was = before.databases.find(name);
    if (was != before.databases.end()) keep(database_keys(), was->second, database);
  }
  for (auto& [name, user] : after.users) {
    if (const User* was = before.find_user(name)) keep(user_keys(), *was, user);
  }
}

std::vector<Setting> describe(const Config& config, const Sources& sources) {
  Description description(sources);
  const Config defaults;
  for (const Key<Config>& key : general_keys()) {
    description.add(std::string(key.section), key, config, defaults);
  }
  for (const auto& [name, database] : config.databases) {
    const std::string section = entry_label("databases", name);
    description.add_said(section, database_keys(), database, Database{});
    if (!database.server_tls) continue;
    description.add_said(section + ".tls", database_tls_keys(), *database.server_tls,
                         config.server_tls);
  }
  for (const auto& [name, user] : config.users) {
    description.add_said(entry_label("users", name), user_keys(), user, User{});
  }
  for (const Rule& rule : config.rules) {
    description.add_said(entry_label("rules", rule.name), rule_keys(), rule, Rule{});
  }
  return description.take();
}

}  // namespace forebay::config
