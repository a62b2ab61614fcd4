#pragma once

#include <cstdint>
#include <optional>

#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/framer.hpp"
#include "forebay/routing/sql/facts.hpp"

namespace forebay::core {

/// The body of a Parse, whole or only its head, cut behind the name.
struct NamedDefinition {
  Bytes name;
  Bytes definition;
  bool well_formed;
};

NamedDefinition cut_name(const pg::Message& message);

/// Whether a text is nothing but the begin or end of a transaction: valid whatever a server's
/// catalog holds.
bool is_transaction_control(Bytes text);

/// Whether a text is nothing but the end of a transaction: COMMIT, ROLLBACK, END, ABORT.
bool is_transaction_end(Bytes text);

/// Whether a server analyses the text when it prepares it, which reads its constants. Others are
/// looked at when they are executed.
bool is_analysed(Bytes text);

/// Whether a text may have a constant that means the time of its parsing: 'now', 'today' ...
bool names_the_time(Bytes text);

/// Where a text says that it goes, by the comment /* forebay: primary */ at its head, or the same
/// with "replica".
enum class Hint : std::uint8_t { none, primary, replica };
Hint hint_of(Bytes text);

/// The tenant that a text names by a comment at its head: /* tenant=acme */, or 'acme' in quotes.
/// Nothing: none is named; empty: not in a way that is understood.
std::optional<Bytes> tenant_in_comment(Bytes text);
/// The same of a Query or a Parse, whole or only its head.
std::optional<Bytes> tenant_said(const pg::Message& message);

/// Whether a text begins as a BEGIN or START TRANSACTION does.
bool may_begin_transaction(Bytes text);

/// Whether a text asks, by current_setting, for a parameter that is another one on a standby. Its
/// literals are no part of its facts.
bool asks_for_standby(const sql::Facts& facts, Bytes text);

/// Whether a text locks what only the application knows: on a replica, from nobody else.
bool locks_by_advice(const sql::Facts& facts);

/// Whether a text may make every prepared statement go.
bool is_deallocate_all(Bytes text);

}  // namespace forebay::core
