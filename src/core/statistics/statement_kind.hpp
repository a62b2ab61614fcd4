#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace forebay::core {

/// What a statement was, as its server said when it was done: so it is known whoever prepared it,
/// and whatever text executed it.
enum class StatementKind : std::uint8_t {
  none,  ///< nothing was said: the next part of a portal, an empty text, a function call
  select,
  insert,
  update,
  delete_,
  merge,
  copy,
  ddl,
  transaction,  ///< BEGIN, COMMIT, SAVEPOINT ...
  utility,      ///< SET, SHOW, EXPLAIN, FETCH, VACUUM ...
  several,      ///< one text of several statements
  failed,
};

inline constexpr std::array<std::string_view, 12> kStatementKinds = {
    "other", "select", "insert",      "update",  "delete",  "merge",
    "copy",  "ddl",    "transaction", "utility", "several", "failed"};

/// Of those command tags that are not frequent.
StatementKind kind_of_rare_tag(std::string_view tag) noexcept;

/// Of a command tag: "SELECT 5", "CREATE TABLE".
inline StatementKind kind_of_tag(std::string_view tag) noexcept {
  const auto begins = [&](const char(&word)[5]) {
    return std::memcmp(tag.data(), word, 4) == 0;  // of these four, one number
  };
  if (tag.size() < 5) return kind_of_rare_tag(tag);
  if (begins("SELE")) return StatementKind::select;
  if (begins("INSE")) return StatementKind::insert;
  if (begins("UPDA")) return StatementKind::update;
  if (begins("BEGI")) return StatementKind::transaction;
  return kind_of_rare_tag(tag);
}

/// Where statements of that kind are counted, by those that the primary and replicas answered.
inline constexpr std::size_t kKindCounters = 2 * kStatementKinds.size();
constexpr std::size_t kind_counter(StatementKind kind, bool replica) noexcept {
  return static_cast<std::size_t>(kind) + (replica ? kStatementKinds.size() : 0);
}

}  // namespace forebay::core
