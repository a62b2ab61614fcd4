#pragma once

#include <string>
#include <string_view>

#include "forebay/base/bytes.hpp"
#include "forebay/routing/sql/facts.hpp"

namespace forebay::core {

struct ClientRelayState;
struct LinkRelayState;

/// Of which slow statements a plan can be had: EXPLAIN is another statement, on another connection,
/// and its plan is that of the client's statement only where both are understood alike. What these
/// give says why not; empty: one can be had.

/// As far as the session goes, when the statement is over.
std::string_view no_plan_in_session(const ClientRelayState& client, const LinkRelayState& link);

/// As far as the statement itself goes. `server_version` is as the server reports it.
std::string_view no_plan_of_text(const sql::Facts& facts, Bytes server_version);

/// The statement, as the client said it, with EXPLAIN ahead: what is planned is not executed.
std::string explain_text(Bytes text, bool generic);

}  // namespace forebay::core
