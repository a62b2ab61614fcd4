#include <algorithm>
#include <array>
#include <utility>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "forebay/routing/split/access.hpp"

// The server connection of a client is lost, and the client stays: what was asked is answered with
// an error, and a transaction that was open is for the client to end, as a failed one.

namespace forebay::core {
namespace {

using pg::Backend;
using pg::Frontend;
using pg::backend::TransactionStatus;

bool is_clients(const Expected& expected) {
  return expected.disposition == Disposition::forward ||
         expected.disposition == Disposition::supply;
}

// Of the end of a transaction: COMMIT or END, not ROLLBACK or ABORT.
bool is_commit(Bytes text) {
  const std::size_t at = text.find_first_not_of(" \t\n\r");
  const char first = at == Bytes::npos ? '\0' : static_cast<char>(text[at] | 0x20);
  return first == 'c' || first == 'e';
}

// Whether all that a statement did is gone with its transaction and its session.
bool rolled_back(const sql::Statement& statement) {
  using Kind = sql::Kind;
  constexpr std::array kRolledBack{
      Kind::select,   Kind::insert,  Kind::update,      Kind::delete_from,     Kind::merge,
      Kind::copy_out, Kind::begin,   Kind::commit,      Kind::rollback,        Kind::savepoint,
      Kind::release,  Kind::set,     Kind::rollback_to, Kind::set_constraints, Kind::reset,
      Kind::show,     Kind::lock,    Kind::fetch,       Kind::declare_cursor,  Kind::close,
      Kind::explain,  Kind::prepare, Kind::deallocate,
  };
  constexpr std::array kHarmless{"nextval", "random", "gen_random_uuid", "clock_timestamp"};
  const auto harmless = [&](const sql::Function& function) {
    return split::FunctionVolatility::built_in().reads(function.schema, function.name) ||
           ((function.schema.empty() || function.schema == "pg_catalog") &&
            std::find(kHarmless.begin(), kHarmless.end(), function.name) != kHarmless.end());
  };
  return statement.complete &&
         std::find(kRolledBack.begin(), kRolledBack.end(), statement.kind) != kRolledBack.end() &&
         std::all_of(statement.functions.begin(), statement.functions.end(), harmless) &&
         std::all_of(statement.inner.begin(), statement.inner.end(), rolled_back);
}

// Whether nobody could tell afterwards that it ran.
bool leaves_nothing(const sql::Statement& statement) {
  constexpr std::array kHarmless{"pg_sleep", "pg_sleep_for", "pg_sleep_until", "random"};
  const auto harmless = [&](const sql::Function& function) {
    return split::FunctionVolatility::built_in().reads(function.schema, function.name) ||
           ((function.schema.empty() || function.schema == "pg_catalog") &&
            std::find(kHarmless.begin(), kHarmless.end(), function.name) != kHarmless.end());
  };
  return statement.complete && statement.plain_read && !statement.hidden_code &&
         statement.settings.empty() &&
         std::all_of(statement.functions.begin(), statement.functions.end(), harmless) &&
         std::all_of(statement.inner.begin(), statement.inner.end(), leaves_nothing);
}

Bytes definition_of(const StatementRef& statement) {
  return statement ? Bytes(statement->definition()) : Bytes();
}

struct Loss {
  Bytes sqlstate;
  Bytes detail;
  Bytes hint;
};

// What is true of the client's work, and can be acted upon.
Loss loss_of(bool in_transaction, bool commits, bool only_reads) {
  if (only_reads) {
    return {pg::sqlstate::kSerializationFailure,
            "The statement was run by a replica, and only reads.", "It may be tried again."};
  }
  if (in_transaction && commits) {
    return {pg::sqlstate::kTransactionResolutionUnknown,
            "Whether the transaction was committed is not known.",
            {}};
  }
  if (in_transaction) {
    return {pg::sqlstate::kSerializationFailure,
            "The transaction was rolled back; nothing of it took effect.",
            "The transaction may be tried again."};
  }
  return {pg::sqlstate::kStatementCompletionUnknown,
          "Whether the statement took effect is not known.",
          {}};
}

// What the client has heard of a parameter, while its server may have reported more.
const std::string& told_value(const LinkRelayState& link, Bytes name, const std::string& reported) {
  if (link.withheld == nullptr) return reported;
  for (const auto& [parameter, told] : link.withheld->told) {
    if (parameter == name) return told;
  }
  return reported;
}

}  // namespace

void Relay::on_link_lost(LinkRelayState& link, const std::string& reason) {
  link.places.reset();
  std::vector<Expected> owed = link.expected.give_up();
  bool commits = false;
  bool rolled_back = false;  // what was said behind that runs in a transaction of its own
  for (const Expected& expected : owed) {
    const bool runs = expected.request == Request::query || expected.request == Request::execute ||
                      expected.request == Request::function_call;
    commits = commits || expected.ends == Ends::perhaps || expected.ends == Ends::commits ||
              (rolled_back && runs && expected.disposition == Disposition::forward);
    rolled_back = rolled_back || expected.ends == Ends::rolls_back;
  }
  // A BEGIN of ours that was cancelled began nothing: what stood behind it ran by itself.
  const bool begun = client_.begin.open != 0 && link.own_error.empty();
  const bool open = link.status != TransactionStatus::idle || begun;
  const Loss loss = loss_of(open, commits, link.reader);
  Refused why{std::string(loss.sqlstate), "server connection lost: " + reason,
              std::string(loss.detail), std::string(loss.hint)};
  bool told = false;
  if (link.overrun != nullptr) {
    told = link.overrun->told;
    why.detail.insert(0, "The server connection was closed: " + reason + ". ");
    why.sqlstate = link.overrun->reason.sqlstate;
    why.message = link.overrun->reason.message;
  }
  lose_link(link, std::move(owed), why, told);
}

Refused Relay::what_is_lost(LinkRelayState& link, const std::string& reason) {
  std::vector<Expected> owed = link.expected.give_up();
  const bool commits = std::any_of(owed.begin(), owed.end(), [](const Expected& expected) {
    return expected.ends == Ends::commits;
  });
  Refused why{pg::sqlstate::kConnectionFailure, "server connection lost: " + reason};
  if (link.status != TransactionStatus::idle && commits) {
    const Loss loss = loss_of(true, true, false);
    why.sqlstate = loss.sqlstate;
    why.detail = loss.detail;
  }
  bool blames = measure_loss(link, why.sqlstate);
  for (Expected& expected : owed) {
    if (!blames) break;
    if (expected.disposition != Disposition::forward || !is_statement(expected.request)) continue;
    measure_lost(link, std::move(expected), why.sqlstate);
    blames = false;
  }
  return why;
}

void Relay::give_up_transaction(LinkRelayState& link, const Refused& why, bool told) {
  FB_ASSERT(link.expected.empty());
  lose_link(link, {}, why, told);
}

// Answers what is owed, and forgets what the session had on the link.
void Relay::lose_link(LinkRelayState& link, std::vector<Expected> owed, const Refused& why,
                      bool told) {
  const bool in_transaction = link.status != TransactionStatus::idle || client_.begin.open != 0;
  client_.begin.open = 0;
  const bool skipping = link.expected.skipping();
  const bool batch_open = link.expected.batch_open();
  const pg::Report report = why.report("ERROR");
  std::string reports = put_settings_back(link);
  std::string& out = out_.to_client.insert();
  bool failed = skipping;  // the batch at hand
  bool skipped = skipping;
  bool ended = false;   // the transaction, as far as the client knows
  bool blames = false;  // the next statement, for the error
  const auto tell = [&] {
    pg::write_error(out, report);
    failed = told = true;
    if (link.meter.pool != nullptr) link.meter.pool->own_errors.add(report.sqlstate);
    blames = measure_loss(link, report.sqlstate);
  };
  for (Expected& expected : owed) {
    if (!is_clients(expected)) continue;
    // PostgreSQL, too, is out of a transaction when its COMMIT has failed, and drivers know it.
    const bool ends = expected.ends == Ends::commits || expected.ends == Ends::rolls_back;
    ended = ended || (ends && !skipped);
    const bool ready = ends_with_ready(expected.request);
    if (!failed) tell();  // a Sync, too: what was answered before it is not committed
    if (blames && is_statement(expected.request)) {
      measure_lost(link, std::move(expected), report.sqlstate);
      blames = false;
    }
    const bool withheld = expected.special != nullptr && expected.special->withhold_ready;
    if (!ready || withheld) continue;
    out += std::exchange(reports, {});
    pg::write_ready_for_query(
        out, in_transaction && !ended ? TransactionStatus::failed : TransactionStatus::idle);
    failed = skipped = blames = false;
  }
  if (batch_open && !failed) tell();
  ServerRelay::undo(owed, link, &client_);
  client_.skip_to_sync = failed || (batch_open && skipping);
  client_.drop_rest = client_.framer.rest() > 0;
  client_.portals.clear();
  client_.look = client_.discards = false;
  client_.undecided_reading = client_.undecided_parsing = false;
  if (!in_transaction || ended) {
    out += reports;
    return;
  }
  client_.lost = std::make_unique<ClientRelayState::LostTransaction>();
  client_.lost->why = why;
  client_.lost->told = told;
  client_.lost->failed = told || skipping || link.status == TransactionStatus::failed;
  client_.lost->reports = std::move(reports);
  client_.lost->counters = link.meter.pool;
}

// ---------------------------------------------------------------- what may be sent again

bool Relay::take_back(LinkRelayState& link, Bytes said, bool undone) {
  const bool plain = link.status == TransactionStatus::idle && link.overrun == nullptr &&
                     !link.expected.empty() && !link.expected.skipping() &&
                     client_.framer.rest() == 0 && !client_.skip_to_sync &&
                     client_.lost == nullptr && client_.undo == nullptr;
  if (!plain || !repeatable(said, undone)) return false;
  link.places.reset();
  std::vector<Expected> owed = link.expected.give_up();
  ServerRelay::undo(owed, link, &client_);
  forget_batch();
  return true;
}

void Relay::forget_batch() {
  client_.portals.clear();
  client_.look = client_.discards = false;
  client_.undecided_reading = client_.undecided_parsing = false;
  if (client_.statements != nullptr) client_.statements->untold.open = false;
}

// Whether all of these messages, which begin between two transactions, may reach two servers.
bool Relay::repeatable(Bytes said, bool undone) const {
  pg::Framer framer(pg::Sender::client);
  bool used_unnamed = false;
  while (!said.empty()) {
    const Item item = framer.next(said, kInspectionMax);
    if (item.kind != pg::Framer::Kind::message) return false;
    said.remove_prefix(item.bytes.size());
    Bytes definition;
    switch (static_cast<Frontend>(item.message.type)) {
      case Frontend::Query:
        definition = item.message.body;
        break;
      case Frontend::Parse: {
        const NamedDefinition parse = cut_name(item.message);
        // The unnamed statement that was used before it is not known any more.
        if (parse.name.empty() && used_unnamed) return false;
        continue;  // what it says runs when it is bound
      }
      case Frontend::Bind: {
        const auto bind = pg::frontend::Bind::parse(item.message.body);
        if (!bind) return false;
        used_unnamed = used_unnamed || bind->statement.empty();
        definition = bind->statement.empty() ? Bytes(client_.unnamed.definition)
                                             : definition_of(find_statement(bind->statement));
        break;
      }
      case Frontend::Describe: {
        const auto describe = pg::frontend::Describe::parse(item.message.body);
        if (!describe) return false;
        used_unnamed = used_unnamed || (describe->target == pg::frontend::Target::statement &&
                                        describe->name.empty());
        continue;
      }
      case Frontend::Execute:
      case Frontend::Flush:
      case Frontend::Sync:
        continue;
      default:
        return false;
    }
    if (!repeatable_text(definition.substr(0, definition.find('\0')), undone)) return false;
  }
  return true;
}

// A read may run twice. So may what was rolled back, as far as that goes.
bool Relay::repeatable_text(Bytes text, bool undone) const {
  const Reading how = reading(client_.welcome);
  if (rules_.reader == nullptr || !how.lexable) return false;
  const sql::Facts& facts = rules_.reader->texts.facts(text, how.standard);
  const auto& functions = split::FunctionVolatility::built_in();
  if (split::access_of(facts, functions) != split::Access::write) return true;
  return undone && facts.known &&
         std::all_of(facts.statements.begin(), facts.statements.end(), rolled_back);
}

// ---------------------------------------------------------------- what a client leaves to be done

bool Relay::has_effect(Bytes waits, const LinkRelayState* link, Bytes said) const {
  if (!only_reads(waits)) return true;
  if (link == nullptr || (!said.empty() && only_reads(said))) return false;
  // In a transaction whose end is not among it all is rolled back.
  bool outlasts = link->status == TransactionStatus::idle && client_.begin.open == 0;
  bool runs = false;
  link->expected.each([&](const Expected& expected) {
    if (expected.disposition != Disposition::forward) return;
    runs = runs || is_statement(expected.request);
    outlasts = outlasts || expected.ends != Ends::nothing;
  });
  return runs && outlasts;
}

// Whether nothing of it, up to a Terminate, does anything that could be found afterwards.
bool Relay::only_reads(Bytes said) const {
  pg::Framer framer = client_.framer;
  while (!said.empty()) {
    const Item item = framer.next(said, kInspectionMax);
    if (item.kind == pg::Framer::Kind::need) return true;
    if (item.kind != pg::Framer::Kind::message) return false;
    said.remove_prefix(item.bytes.size());
    Bytes text;
    switch (static_cast<Frontend>(item.message.type)) {
      case Frontend::Terminate:
        return true;
      case Frontend::Query:
        text = item.message.body;
        break;
      case Frontend::Parse:
        text = cut_name(item.message).definition;
        break;
      case Frontend::Bind: {
        const auto bind = pg::frontend::Bind::parse(item.message.body);
        if (!bind) return false;
        text = bind->statement.empty() ? Bytes(client_.unnamed.definition)
                                       : definition_of(find_statement(bind->statement));
        break;
      }
      case Frontend::Close:
      case Frontend::Describe:
      case Frontend::Execute:
      case Frontend::Flush:
      case Frontend::Sync:
        continue;
      default:
        return false;
    }
    const Reading how = reading(client_.welcome);
    if (rules_.reader == nullptr || !how.lexable) return false;
    const sql::Facts& facts =
        rules_.reader->texts.facts(text.substr(0, text.find('\0')), how.standard);
    const auto& statements = facts.statements;
    if (!facts.known || !std::all_of(statements.begin(), statements.end(), leaves_nothing)) {
      return false;
    }
  }
  return true;
}

// The settings that hold again without what was lost. Gives the parameters of which the client has
// heard something else: it would decode by an encoding that the next server does not use.
std::string Relay::put_settings_back(const LinkRelayState& link) {
  const ParameterSetRef before = client_.settings;
  if (client_.undo != nullptr) {
    client_.settings = client_.undo->settings;
    client_.undo.reset();
  }
  if (std::exchange(client_.discarded, false) && client_.startup != nullptr) {
    client_.settings = client_.startup;
  }
  // What no server grants any more must not stand in the way of every statement to come.
  if (link.settings_refused && client_.startup != nullptr) client_.settings = client_.startup;
  std::string reports;
  for (const auto& [name, reported] : link.reported.parameters) {
    if (is_server_fact(name)) continue;
    const std::string key = parameter_name(name);
    const std::string* was = before->find(key);
    const std::string* is = client_.settings->find(key);
    const bool same = was == nullptr || is == nullptr ? was == is : *was == *is;
    const auto& changed = link.changed;
    if (same && std::find(changed.begin(), changed.end(), name) == changed.end()) continue;
    if (is == nullptr) is = link.welcome->find(name);
    if (is != nullptr && *is != told_value(link, name, reported)) {
      pg::write_parameter_status(reports, name, *is);
    }
  }
  return reports;
}

// ---------------------------------------------------------------- the client ends its transaction

Relay::Handled Relay::on_lost(const Item& item) {
  const pg::Message& message = item.message;
  auto& lost = *client_.lost;
  switch (static_cast<Frontend>(message.type)) {
    case Frontend::Query: {
      const auto query = pg::frontend::Query::parse(message.body);
      client_.drop_unnamed();
      on_lost_query(query ? query->text : Bytes());
      drop(item);
      return Handled::yes;
    }
    case Frontend::Parse:
      return on_lost_parse(item);
    case Frontend::Bind: {
      const auto bind = pg::frontend::Bind::parse(message.body);
      lost.ends = bind && ends_lost(bind->statement);
      if (lost.ends) {
        pg::write_empty(out_.to_client.insert(), Backend::BindComplete);
        return Handled::yes;
      }
      break;
    }
    case Frontend::Describe:
      if (!lost.ends) break;
      pg::write_empty(out_.to_client.insert(), Backend::NoData);
      return Handled::yes;
    case Frontend::Execute:
      if (!lost.ends) break;
      lost.over = true;
      pg::write_command_complete(out_.to_client.insert(), "ROLLBACK");
      return Handled::yes;
    case Frontend::Sync:
      on_lost_sync();
      return Handled::yes;
    case Frontend::FunctionCall:
      refuse_lost();
      ready_lost(TransactionStatus::failed);
      drop(item);
      return Handled::yes;
    default:
      return on_unlinked(item);
  }
  refuse_lost();
  client_.skip_to_sync = true;
  drop(item);
  return Handled::yes;
}

// COMMIT is an error when nobody has told the client that there is nothing to commit.
void Relay::on_lost_query(Bytes text) {
  const bool end = is_transaction_end(text);
  if (!end || (!client_.lost->told && is_commit(text))) {
    refuse_lost();
    if (!end) {
      ready_lost(TransactionStatus::failed);
      return;
    }
  } else {
    pg::write_command_complete(out_.to_client.insert(), "ROLLBACK");
  }
  ready_lost(TransactionStatus::idle);
}

Relay::Handled Relay::on_lost_parse(const Item& item) {
  const auto parse = pg::frontend::Parse::parse(item.message.body);
  if (parse && parse->statement.empty()) client_.drop_unnamed();
  const bool end =
      parse && is_transaction_end(parse->text) && (client_.lost->told || !is_commit(parse->text));
  const bool taken = parse && !parse->statement.empty() && find_statement(parse->statement);
  if (!end || taken) {
    refuse_lost();
    client_.skip_to_sync = true;
    drop(item);
    return Handled::yes;
  }
  if (!parse->statement.empty()) return parse_unlinked(item);
  auto& unnamed = client_.unnamed;
  ++unnamed.version;
  unnamed.definition.assign(parse->definition);
  unnamed.exists = true;
  unnamed.work = nullptr;
  unnamed.route = {};
  pg::write_empty(out_.to_client.insert(), Backend::ParseComplete);
  return Handled::yes;
}

// Whether this statement of the client's is nothing but the end of a transaction.
bool Relay::ends_lost(Bytes statement) const {
  Bytes definition;
  if (!statement.empty()) {
    definition = definition_of(find_statement(statement));
  } else if (client_.unnamed.exists) {
    definition = client_.unnamed.definition;
  }
  const Bytes text = definition.substr(0, definition.find('\0'));
  return is_transaction_end(text) && (client_.lost->told || !is_commit(text));
}

// A Sync alone is no statement to fail: the client stays in its transaction until it is told.
void Relay::on_lost_sync() {
  client_.skip_to_sync = false;
  const auto& lost = *client_.lost;
  const auto open = lost.failed ? TransactionStatus::failed : TransactionStatus::in_transaction;
  ready_lost(lost.over ? TransactionStatus::idle : open);
}

// PostgreSQL, too, takes settings back when a transaction fails or ends.
void Relay::ready_lost(TransactionStatus status) {
  std::string& out = out_.to_client.insert();
  if (status != TransactionStatus::in_transaction) out += std::exchange(client_.lost->reports, {});
  pg::write_ready_for_query(out, status);
  if (status == TransactionStatus::idle) client_.lost.reset();
}

// The first time the client hears what happened; then what PostgreSQL says in a failed transaction.
void Relay::refuse_lost() {
  std::string& out = out_.to_client.insert();
  client_.lost->failed = true;
  const bool again = std::exchange(client_.lost->told, true);
  const pg::Report report =
      again ? pg::Report{"ERROR", pg::sqlstate::kInFailedTransaction,
                         "current transaction is aborted, commands ignored until end of "
                         "transaction block"}
            : client_.lost->why.report("ERROR");
  pg::write_error(out, report);
  if (client_.lost->counters != nullptr) client_.lost->counters->own_errors.add(report.sqlstate);
  if (client_.tenant != nullptr && client_.tenant->client.counters() != nullptr) {
    client_.tenant->client.counters()->errors.add();
  }
}

}  // namespace forebay::core
