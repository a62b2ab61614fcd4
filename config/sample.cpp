#include "forebay/config/sample.hpp"

#include <algorithm>

#include "config/keys.hpp"

namespace forebay::config {
namespace {

constexpr std::size_t kWidth = 90;

/// The text as comment lines, broken at spaces.
std::string comment(std::string_view text) {
  std::string result;
  std::string line = "#";
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (line.size() > 1 && line.size() + 1 + end > kWidth) {
      result += line + "\n";
      line = "#";
    }
    line += ' ';
    line += text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result + line + "\n";
}

template <class Owner>
std::string assignment(const Key<Owner>& key, const Owner& defaults) {
  if (!key.example.empty()) {
    return std::string(key.name) + " = " + std::string(key.example) + "\n";
  }
  return "#" + std::string(key.name) + " = " + key.show(defaults) + "\n";
}

template <class Owner>
std::string explained(const Key<Owner>& key, const Owner& defaults) {
  std::string text(key.documentation);
  if (!key.hint.empty()) text += " " + key.hint;
  return "\n" + comment(text) + assignment(key, defaults);
}

/// Whether [pool] explains it already.
template <class Owner>
bool is_pool_key(const Key<Owner>& key) {
  for (const Key<Config>& general : general_keys()) {
    if (general.section == "pool" && general.documentation == key.documentation) return true;
  }
  return false;
}

/// Keys of an entry: its own with their explanations, those of the pool in one block.
template <class Owner>
std::string entry_keys(const Keys<Owner>& keys, std::string_view about_pool) {
  const Owner defaults{};
  std::string own;
  std::string pool;
  for (const Key<Owner>& key : keys) {
    if (is_pool_key(key)) {
      pool += assignment(key, defaults);
    } else {
      own += explained(key, defaults);
    }
  }
  return own + "\n" + comment(about_pool) + pool;
}

std::string general_part() {
  const Config defaults;
  std::string text;
  for (const Section& section : general_sections()) {
    text += "\n\n" + comment(section.documentation) + "[" + std::string(section.name) + "]\n";
    for (const Key<Config>& key : general_keys()) {
      if (key.section == section.name) text += explained(key, defaults);
    }
  }
  return text;
}

std::string database_part() {
  std::string text =
      "\n\n" +
      comment(
          "One section for each database that clients may ask for, by its name. \"*\" serves "
          "every other one under the client's name for it. The names forebay and pgbouncer "
          "are the console's.") +
      "[databases.\"*\"]\n" +
      entry_keys(database_keys(), "Pools of this database, where they differ from [pool].");
  text += "\n" + comment(
                     "TLS towards the servers of this database, where it differs from "
                     "[tls.server]. What is left out holds as it stands there.");
  text += "#[databases.\"*\".tls]\n";
  for (const Key<TlsSettings>& key : database_tls_keys()) text += assignment(key, TlsSettings{});
  return text;
}

std::string user_part() {
  return "\n\n" +
         comment(
             "One section for each user whose password Forebay must know, or whose pools "
             "differ.") +
         "#[users.alice]\n" +
         entry_keys(user_keys(), "Pools of this user, where they differ from the database's.");
}

std::string rules_part() {
  std::string text =
      "\n\n" +
      comment(
          "Rules for single statements, each with its own line [[rules]]. They are looked at in "
          "their order, and the first that matches holds: everything that it says about the "
          "session and the statement must be so.") +
      "#[[rules]]\n";
  Rule example;
  example.name = "example";
  example.unknown = false;
  example.target = RuleTarget::primary;
  for (const Key<Rule>& key : rule_keys()) text += explained(key, example);
  return text;
}

}  // namespace

std::string sample_config() {
  return comment("Configuration of Forebay (TOML).") + "#\n" +
         comment(
             "Every key is here. Lines that begin with \"#\" and a key show what holds when "
             "the key is left out. Durations need a unit (\"500ms\", \"30s\", \"5min\", "
             "\"1h\", \"7d\"); 0 switches a time limit off.") +
         "\n" +
         comment(
             "Files, and folders whose files are named *.toml, that are read with this one; "
             "relative to it. It has to stand before every section. Each key, and each entry of "
             "[databases] and [users], stands in one of them only.") +
         "#include = []\n" + general_part() + database_part() + user_part() + rules_part();
}

}  // namespace forebay::config
