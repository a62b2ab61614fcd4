#include "core/statistics/statement_kind.hpp"

#include <utility>

namespace forebay::core {
namespace {

using enum StatementKind;

/// The words that other tags begin with; all others are of utility statements.
constexpr std::pair<std::string_view, StatementKind> kTags[] = {
    {"COMMIT", transaction},
    {"DELETE", delete_},
    {"ROLLBACK", transaction},
    {"START TRANSACTION", transaction},
    {"SAVEPOINT", transaction},
    {"RELEASE", transaction},
    {"PREPARE TRANSACTION", transaction},
    {"COPY", copy},
    {"MERGE", merge},
    {"CREATE", ddl},
    {"ALTER", ddl},
    {"DROP", ddl},
    {"TRUNCATE", ddl},
    {"GRANT", ddl},
    {"REVOKE", ddl},
    {"COMMENT", ddl},
    {"REINDEX", ddl},
    {"REFRESH", ddl},
    {"SECURITY LABEL", ddl},
    {"REASSIGN OWNED", ddl},
    {"IMPORT FOREIGN SCHEMA", ddl},
};

}  // namespace

StatementKind kind_of_rare_tag(std::string_view tag) noexcept {
  for (const auto& [word, kind] : kTags) {
    if (tag.starts_with(word)) return kind;
  }
  return tag.empty() ? none : utility;  // an empty text has none
}

}  // namespace forebay::core
