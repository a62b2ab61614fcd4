#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/config/network.hpp"
#include "forebay/config/pattern.hpp"

namespace forebay::config {

/// One bit for each in a word.
inline constexpr std::size_t kRulesMax = 64;

/// Kinds of statements, as rules name them, in the order of sql::Kind; the first is behind
/// `unknown`.
inline constexpr std::string_view kStatementKinds[] = {"select",
                                                       "insert",
                                                       "update",
                                                       "delete",
                                                       "merge",
                                                       "copy_in",
                                                       "copy_out",
                                                       "create_table_as",
                                                       "ddl",
                                                       "utility",
                                                       "explain",
                                                       "begin",
                                                       "commit",
                                                       "rollback",
                                                       "savepoint",
                                                       "release",
                                                       "rollback_to",
                                                       "prepare_transaction",
                                                       "commit_prepared",
                                                       "rollback_prepared",
                                                       "set",
                                                       "reset",
                                                       "show",
                                                       "discard",
                                                       "prepare",
                                                       "execute",
                                                       "deallocate",
                                                       "declare_cursor",
                                                       "fetch",
                                                       "close",
                                                       "listen",
                                                       "unlisten",
                                                       "notify",
                                                       "lock",
                                                       "load",
                                                       "do",
                                                       "call",
                                                       "set_constraints"};

enum class RuleTarget : std::uint8_t { primary, replica };

/// [[rules]]: which statements are treated otherwise than the others, and how. What is left empty
/// is not looked at.
struct Rule {
  std::string name;

  // Whose.
  std::vector<std::string> databases;
  std::vector<std::string> users;
  std::vector<std::string> tenants;
  std::vector<std::string> applications;  ///< application_name, as it is now
  std::vector<Network> addresses;

  // Which statements.
  std::vector<std::string> kinds;  ///< of kStatementKinds
  std::vector<std::string> tables;
  std::vector<std::string> other_tables;  ///< those that these are not
  std::vector<std::string> functions;
  std::vector<std::string> other_functions;
  std::vector<std::string> statements;  ///< those with the same shape
  Pattern pattern;
  std::optional<bool> unknown;

  // What becomes of them.
  std::optional<RuleTarget> target;
  std::chrono::milliseconds statement_timeout{0};
  std::uint32_t max_statements = 0;              ///< at a time; 0: no limit
  std::chrono::milliseconds max_replica_lag{0};  ///< besides that of the pool; 0: none
  std::string error;                             ///< the message; empty: not refused
  std::string sqlstate;                          ///< of the error; empty: 42501
  bool log = false;
  bool dry_run = false;

  /// Whether it looks at what a statement is.
  [[nodiscard]] bool looks_at_facts() const noexcept {
    return !(kinds.empty() && names_nothing() && statements.empty());
  }
  [[nodiscard]] bool names_nothing() const noexcept {
    return tables.empty() && other_tables.empty() && functions.empty() && other_functions.empty();
  }
  /// Whether statements of which nobody knows what they are count as matched.
  [[nodiscard]] bool takes_unknown() const noexcept { return unknown.value_or(!error.empty()); }
  bool operator==(const Rule&) const = default;
};

/// What it matches and what it does, as the file says these.
[[nodiscard]] std::string matches_of(const Rule& rule);
[[nodiscard]] std::string actions_of(const Rule& rule);
/// The rule as a [[rules]] section of a file, which ends with a line feed.
[[nodiscard]] std::string toml_of(const Rule& rule);

}  // namespace forebay::config
