#pragma once

#include <array>
#include <string>

#include "forebay/routing/sql/facts.hpp"

/// Facts in one line, to compare with and to read: kind, what is true, what it names.
namespace forebay::test {

inline std::string print(sql::Kind kind) {
  static constexpr std::array kNames = {"unknown",
                                        "select",
                                        "insert",
                                        "update",
                                        "delete",
                                        "merge",
                                        "copy-in",
                                        "copy-out",
                                        "create-as",
                                        "ddl",
                                        "utility",
                                        "explain",
                                        "begin",
                                        "commit",
                                        "rollback",
                                        "savepoint",
                                        "release",
                                        "rollback-to",
                                        "prepare-transaction",
                                        "commit-prepared",
                                        "rollback-prepared",
                                        "set",
                                        "reset",
                                        "show",
                                        "discard",
                                        "prepare",
                                        "execute",
                                        "deallocate",
                                        "declare",
                                        "fetch",
                                        "close",
                                        "listen",
                                        "unlisten",
                                        "notify",
                                        "lock",
                                        "load",
                                        "do",
                                        "call",
                                        "set-constraints"};
  return kNames.at(static_cast<std::size_t>(kind));
}

inline std::string print(const sql::Value& value) {
  const std::string number = std::to_string(value.literal);
  switch (value.kind) {
    case sql::Value::Kind::word:
      return value.text;
    case sql::Value::Kind::literal:
      return (value.negative ? "-#" : "#") + number;
    case sql::Value::Kind::parameter:
      return "$" + number;
    case sql::Value::Kind::expression:
      break;
  }
  return "?";
}

template <class Items, class Print>
std::string print_list(const char* label, const Items& items, Print print_item) {
  std::string text;
  for (const auto& item : items) {
    text += text.empty() ? std::string(" ") + label + "=" : std::string(",");
    text += print_item(item);
  }
  return text;
}

inline std::string qualified(const std::string& schema, const std::string& name) {
  return schema.empty() ? name : schema + "." + name;
}

inline std::string print(const sql::Setting& setting) {
  using Action = sql::Setting::Action;
  std::string text = setting.local == sql::Truth::yes ? "local "
                     : setting.local == sql::Truth::by_value
                         ? "local:" + print(setting.local_value) + " "
                         : "";
  if (setting.call) text += setting.sure ? "call " : "perhaps-call ";
  text += setting.name.empty() && setting.call ? print(setting.name_value) : setting.name;
  if (setting.action == Action::to_default) text += " default";
  if (setting.action == Action::from_current) text += " current";
  if (setting.action == Action::reset_all) text += "ALL";
  for (const sql::Value& value : setting.values) text += " " + print(value);
  return "{" + text + "}";
}

inline std::string print(const sql::TransactionModes& modes) {
  static constexpr std::array kLevels = {"", " read-uncommitted", " read-committed",
                                         " repeatable-read", " serializable"};
  std::string text = kLevels.at(static_cast<std::size_t>(modes.isolation));
  using Choice = sql::TransactionModes::Choice;
  if (modes.read_only != Choice::unsaid) {
    text += modes.read_only == Choice::yes ? " read-only" : " read-write";
  }
  if (modes.deferrable != Choice::unsaid) {
    text += modes.deferrable == Choice::yes ? " deferrable" : " not-deferrable";
  }
  return text;
}

inline std::string print(const sql::Statement& statement) {
  std::string text = print(statement.kind);
  const auto flag = [&text](bool is, const char* name) {
    if (is) text += std::string(" ") + name;
  };
  flag(statement.plain_read, "PLAIN");
  flag(!statement.may_write, "no-write");
  flag(statement.hidden_code, "hidden");
  flag(!statement.complete, "incomplete");
  flag(statement.roles, "ROLES");
  flag(statement.parameters, "params");
  flag(statement.locking, "locking");
  flag(statement.writing_cte, "writing-cte");
  flag(statement.creates_temporary, "makes-temp");
  flag(statement.until_commit, "until-commit");
  flag(statement.names_temporary, "pg_temp");
  flag(statement.drops, "drops");
  flag(statement.analyze, "analyze");
  flag(statement.hold, "hold");
  flag(statement.chain, "chain");
  flag(statement.all, "all");
  flag(statement.copy == sql::CopySource::file, "file");
  flag(statement.copy == sql::CopySource::program, "program");
  static constexpr std::array kDiscard = {"", " everything", " plans", " sequences", " temporary"};
  text += kDiscard.at(static_cast<std::size_t>(statement.discard));
  text += print(statement.modes);
  if (!statement.name.empty()) text += " name=" + statement.name;
  if (statement.argument.kind != sql::Value::Kind::expression) {
    text += " argument=" + print(statement.argument);
  }
  text += print_list("tables", statement.tables, [](const sql::Table& table) {
    return (table.use == sql::Table::Use::write ? "w:" : "r:") +
           qualified(table.schema, table.name) +
           (table.alias.empty() ? std::string() : "/" + table.alias);
  });
  text += print_list("calls", statement.functions, [](const sql::Function& function) {
    std::string call = qualified(function.schema, function.name);
    if (function.arguments.empty()) return call;
    call += '(';
    for (const sql::Value& value : function.arguments) call += print(value) + ' ';
    call.back() = ')';
    return call;
  });
  text += print_list("sets", statement.settings,
                     [](const sql::Setting& setting) { return print(setting); });
  for (const sql::Statement& inner : statement.inner) text += " [" + print(inner) + "]";
  return text;
}

inline std::string print(const sql::Facts& facts) {
  if (!facts.known) return "UNKNOWN " + facts.reason;
  std::string text;
  for (const sql::Statement& statement : facts.statements) {
    if (!text.empty()) text += " ; ";
    text += print(statement);
    if (statement.part_count != 1) {
      text +=
          " parts=" + std::to_string(statement.part) + "+" + std::to_string(statement.part_count);
    }
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace forebay::test
