#include "core/explain/plan_choice.hpp"

#include <algorithm>
#include <charconv>

#include "core/relay/relay_state.hpp"

namespace forebay::core {
namespace {

/// The first PostgreSQL whose EXPLAIN plans a statement with parameters that have no values.
constexpr int kGenericSince = 16;

// A name for people changes no plan.
bool as_at_startup(const ParameterSet& settings, const ParameterSet& startup) {
  return std::ranges::all_of(difference(startup, settings), [](const ParameterChange& change) {
    return change.name == kApplicationName;
  });
}

bool plannable(sql::Kind kind) {
  return kind == sql::Kind::select || kind == sql::Kind::insert || kind == sql::Kind::update ||
         kind == sql::Kind::delete_from || kind == sql::Kind::merge;
}

}  // namespace

std::string_view no_plan_in_session(const ClientRelayState& client, const LinkRelayState& link) {
  if (client.tenant != nullptr) return "the client has a tenant, whose rows are its own";
  if (client.pins != 0) {
    return "the session keeps its server connection, and may have there what others have not";
  }
  const bool local =
      client.undo != nullptr && (client.undo->local != nullptr || client.undo->hidden_local);
  if (local || client.discards || client.discarded || client.startup == nullptr ||
      client.settings == nullptr || !as_at_startup(*client.settings, *client.startup)) {
    return "the session has changed its settings";
  }
  if (!link.reading.lexable || link.reading.standard != sql::StandardStrings::on) {
    return "the session's settings leave open how its texts are to be read";
  }
  return {};
}

std::string_view no_plan_of_text(const sql::Facts& facts, Bytes server_version) {
  if (!facts.known) return "the statement was not understood";
  if (facts.statements.size() != 1) return "the text has not one statement";
  const sql::Statement& statement = facts.statements.front();
  if (!plannable(statement.kind) || (statement.changes & sql::kMakesTable) != 0) {
    return "only SELECT, INSERT, UPDATE, DELETE and MERGE have one";
  }
  if (!statement.parameters) return {};
  int major = 0;
  std::from_chars(server_version.data(), server_version.data() + server_version.size(), major);
  return major >= kGenericSince ? ""
                                : "the statement has parameters, and the server is older than 16";
}

// The options stand in parentheses, since the text may begin with one of its own.
std::string explain_text(Bytes text, bool generic) {
  return std::string(generic ? "EXPLAIN (GENERIC_PLAN) " : "EXPLAIN (ANALYZE OFF) ").append(text);
}

}  // namespace forebay::core
