#include "core/relay/sequences.hpp"

#include <algorithm>

#include "forebay/routing/split/access.hpp"

namespace forebay::core {
namespace {

using sql::Kind;

// Not those of PostgreSQL's own that take none, whether they are VOLATILE or not.
bool takes(const sql::Function& function) {
  constexpr std::string_view kNone[] = {"clock_timestamp", "currval",  "gen_random_uuid",
                                        "lastval",         "random",   "set_config",
                                        "setseed",         "timeofday"};
  if (function.name == "nextval" || function.name == "setval") return true;
  if (std::ranges::find(kNone, function.name) != std::end(kNone)) return false;
  return !function.name.starts_with("pg_") &&
         !split::FunctionVolatility::built_in().reads(function.schema, function.name);
}

SequenceUse use_of(const sql::Statement& statement) {
  switch (statement.kind) {
    case Kind::unknown:
    case Kind::insert:
    case Kind::merge:
    case Kind::copy_in:
    case Kind::execute:
    case Kind::do_block:
    case Kind::call:
      return kTakes;
    case Kind::discard:  // what was taken before is unknown from here on
      return statement.discard == sql::DiscardWhat::all ||
                     statement.discard == sql::DiscardWhat::sequences
                 ? kTakes
                 : 0;
    case Kind::select:
    case Kind::update:
    case Kind::delete_from:
    case Kind::copy_out:
    case Kind::create_table_as:
    case Kind::ddl:
    case Kind::explain:
    case Kind::declare_cursor:
    case Kind::fetch:
      break;
    default:
      return 0;
  }
  if (statement.kind == Kind::explain) {
    const bool runs = statement.analyze && !statement.inner.empty();
    return runs ? use_of(statement.inner.front()) : SequenceUse{0};
  }
  const bool executes = statement.kind == Kind::create_table_as && !statement.name.empty();
  const bool unseen = !statement.complete && statement.kind != Kind::ddl;
  if (unseen || executes || (statement.changes & sql::kInserts) != 0 ||
      std::ranges::any_of(statement.functions, takes)) {
    return kTakes;
  }
  return statement.may_write || statement.hidden_code ? kMayTake : 0;
}

}  // namespace

SequenceUse sequence_use(const sql::Facts& facts) {
  if (!facts.known) return kTakes;
  SequenceUse use = 0;
  for (const sql::Statement& statement : facts.statements) {
    // Within one statement, too, the number of an INSERT comes later than what it asks for.
    const bool calls = std::ranges::any_of(statement.functions, [](const sql::Function& function) {
      return function.name == "nextval" || function.name == "setval";
    });
    if (calls || (use & kTakes) != 0) use |= kTakesFirst;
    use |= use_of(statement);
  }
  return use;
}

}  // namespace forebay::core
