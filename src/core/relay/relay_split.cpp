#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "core/relay/withheld.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// Reads on replicas: which batches of a client are reads, and what becomes of a replica's answer.

namespace forebay::core {

using pg::Backend;
using pg::Frontend;
using split::Access;
using ItemKind = pg::Framer::Kind;

/// So often a batch that a replica shall do may ask what columns there are.
constexpr std::size_t kDescribedMax = 4;

/// What the Parse messages of the batch at hand, none of which was sent yet, will have prepared.
class PreparedAhead {
 public:
  bool add(Bytes name, Route route) {
    if (count_ == all_.size()) return false;
    all_[count_++] = {name, route};
    return true;
  }
  [[nodiscard]] const Route* find(Bytes name) const {
    for (std::size_t i = count_; i-- > 0;) {
      if (all_[i].first == name) return &all_[i].second;
    }
    return nullptr;
  }

 private:
  std::array<std::pair<Bytes, Route>, 8> all_;
  std::size_t count_ = 0;
};

/// What was seen of the batch at hand.
struct BatchAhead {
  PreparedAhead prepared;
  std::optional<Route> bound;
  Route route;  ///< of what is executed first, or prepared
  std::size_t executed = 0;
  std::size_t described = 0;
  bool begins = false;  ///< a READ ONLY transaction
  /// What the session says of all that does not say it itself.
  Hint target = Hint::none;
};

// ---------------------------------------------------------------- the client's side

Route Relay::route_of(Bytes text) const {
  const Reading how = reading(client_.welcome);
  if (rules_.reader == nullptr || !how.lexable) return {};
  StatementReader& reader = *rules_.reader;
  const sql::FactsPtr facts(&reader.texts.facts(text, how.standard));
  const config::Rule* rule =
      client_.rules == nullptr
          ? nullptr
          : rule_among(rules_of(text, how, *facts, reader.texts.shape()), text, false);
  return judged(text, *facts, reader.texts.shape(), rule);
}

Route Relay::route_of(Bytes statement, Route unnamed, const PreparedAhead& ahead) const {
  if (const Route* route = ahead.find(statement)) return *route;
  if (statement.empty()) return unnamed;
  auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(statement);
  if (known == nullptr || rules_.reader == nullptr) return {};
  const std::uint64_t rules = client_.rules == nullptr ? 0 : client_.rules->set->serial();
  const std::uint64_t judge = rules << 32 | rules_.reader->functions_of(client_.catalog).serial();
  if (std::exchange(known->judged_by, judge) != judge && known->statement &&
      known->statement->sql().empty()) {
    const Bytes definition = known->statement->definition();
    known->route = route_of(definition.substr(0, definition.find('\0')));
  }
  return known->route;
}

// Whether the session's own default of a parameter is this.
bool Relay::defaults_to(Bytes parameter, Bytes value) const {
  const std::string* own = client_.settings->find(parameter);
  return own != nullptr && *own == value;
}

Hint Relay::target() const {
  const std::string* said = client_.settings->find("forebay.target");
  if (said == nullptr) return Hint::none;
  return *said == "primary" ? Hint::primary : *said == "replica" ? Hint::replica : Hint::none;
}

bool Relay::begins_read_only(Route route, Hint target) const {
  if (route.access() == Access::begin_read_only) return true;
  return route.access() == Access::begin &&
         (target == Hint::replica || defaults_to("default_transaction_read_only", "on"));
}

bool Relay::is_one_statement(Bytes text) const {
  const sql::Facts& facts = rules_.reader->texts.facts(text, reading(client_.welcome).standard);
  return facts.known && facts.statements.size() == 1;
}

// In a transaction that was begun here, a replica may do first whatever it may do in a READ ONLY
// one. What stands behind that may be in another transaction.
bool Relay::for_replica(Route route, const BatchAhead& ahead) const {
  if (ahead.target == Hint::primary && !route.wants_replica()) return false;
  if (client_.begin.open == 0) {
    const bool reads = route.access() == Access::read ||
                       (ahead.target == Hint::replica && route.writes_by_functions());
    return (reads || (!client_.begins_on_primary && begins_read_only(route, ahead.target))) &&
           !rules_.reader->refused.holds(client_.pool, route);
  }
  const bool first = ahead.executed == 0;
  return !client_.begins_on_primary && !route.only_primary() &&
         (ahead.begins || route.access() == Access::sets_read_only) &&
         (first || route.access() == Access::read) &&
         !rules_.reader->refused.holds(client_.pool, route);
}

Duration Relay::max_lag_of(Route route) const {
  if (route.rule() < 0 || client_.rules == nullptr) return {};
  const auto number = static_cast<std::size_t>(route.rule());
  const rules::RuleSet& set = *client_.rules->set;  // another one, perhaps, since a reload
  return number < set.size() ? Duration(set[number].max_replica_lag) : Duration();
}

Relay::Batch Relay::look_ahead(Bytes bytes) const {
  // A standby knows no SERIALIZABLE.
  if (client_.lost != nullptr || client_.settings == nullptr ||
      defaults_to("default_transaction_isolation", "serializable")) {
    return {};
  }
  pg::Framer framer = client_.framer;
  const bool begun = client_.begin.open != 0;
  BatchAhead ahead;
  ahead.target = target();
  ahead.begins = begun && (ahead.target == Hint::replica || begun_read_only());
  const auto found = [&](std::size_t size, Route route) -> Batch {
    const Duration max_lag = max_lag_of(route);
    if (!begun && route.access() != Access::write) return {size, route, max_lag};
    const Access access = begun ? Access::begin_read_only : Access::read;
    return {size, Route(access, route.shape()), max_lag};
  };
  for (std::size_t at = 0;;) {
    const Item item = framer.next(bytes.substr(at), kInspectionMax);
    // What begins a READ ONLY transaction here may have begun before all of its batch is there.
    if (item.kind == ItemKind::need && begun && ahead.begins) return found(0, ahead.route);
    if (item.kind != ItemKind::message) return {};
    at += item.bytes.size();
    if (item.message.is(Frontend::Query)) {
      const auto query = pg::frontend::Query::parse(item.message.body);
      if (!query || at != item.bytes.size()) return {};
      const Route route = route_of(query->text);
      if (!for_replica(route, ahead) || (begun && !is_one_statement(query->text))) return {};
      return found(at, route);
    }
    if (item.message.is(Frontend::Sync)) {
      // What is only prepared does not say yet what the transaction is.
      if (begun && !ahead.begins) return {};
      return found(at, ahead.route);
    }
    if (!look_ahead(item.message, ahead)) return {};
  }
}

// At one message of a batch. False: not for a replica.
bool Relay::look_ahead(const pg::Message& message, BatchAhead& ahead) const {
  switch (static_cast<Frontend>(message.type)) {
    case Frontend::Parse: {
      const auto parse = pg::frontend::Parse::parse(message.body);
      if (!parse || (!parse->statement.empty() && find_statement(parse->statement))) return false;
      const Route route = route_of(parse->text);
      if (!for_replica(route, ahead) || !ahead.prepared.add(parse->statement, route)) return false;
      if (ahead.executed == 0) ahead.route = route;
      return true;
    }
    case Frontend::Bind: {
      const auto bind = pg::frontend::Bind::parse(message.body);
      if (!bind) return false;
      ahead.bound = route_of(bind->statement, client_.unnamed.route, ahead.prepared);
      return for_replica(*ahead.bound, ahead);
    }
    case Frontend::Execute:
      // Of two, the first may have been answered when the second is refused.
      if (!ahead.bound || (++ahead.executed > 1 && !ahead.begins)) return false;
      if (ahead.executed > 1) return true;
      ahead.route = *ahead.bound;
      ahead.begins = ahead.begins || begins_read_only(*ahead.bound, ahead.target) ||
                     ahead.bound->access() == Access::sets_read_only;
      return true;
    case Frontend::Describe: {
      const auto describe = pg::frontend::Describe::parse(message.body);
      if (!describe) return false;
      const bool portal = describe->target == pg::frontend::Target::portal;
      if (portal && !ahead.bound) return false;
      // What these say waits in memory for the first row.
      if (++ahead.described > kDescribedMax) return false;
      return portal ||
             for_replica(route_of(describe->name, client_.unnamed.route, ahead.prepared), ahead);
    }
    case Frontend::Close:
    case Frontend::Flush:
      return true;
    default:
      return false;
  }
}

void Relay::forget_prepared(Bytes batch) {
  pg::Framer framer{pg::Sender::client};
  client_.portals.clear();
  while (!batch.empty()) {
    const Item item = framer.next(batch, kInspectionMax);
    if (item.kind != ItemKind::message) return;
    batch.remove_prefix(item.bytes.size());
    if (!item.message.is(Frontend::Parse) || client_.statements == nullptr) continue;
    const auto parse = pg::frontend::Parse::parse(item.message.body);
    if (parse && !parse->statement.empty()) client_.statements->take(parse->statement);
  }
}

// ---------------------------------------------------------------- SHOW forebay.lsn

// How far the database is: on a primary what its own commits are in for certain. What the next
// record begins behind is the header of a page that is not written before it.
const Bytes Relay::kPositionText =
    "SELECT CASE WHEN standby THEN pg_catalog.pg_last_wal_replay_lsn()"
    " ELSE '0/0'::pg_catalog.pg_lsn + (n - CASE WHEN n % segment = 40 THEN 40"
    " WHEN n % 8192 = 24 THEN 24 ELSE 0 END) END::pg_catalog.text AS \"forebay.lsn\" FROM (SELECT"
    " standby, pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')) AS segment,"
    " CASE WHEN standby THEN 0 ELSE pg_catalog.pg_current_wal_insert_lsn() - '0/0' END AS n"
    " FROM pg_catalog.pg_is_in_recovery() AS standby) AS position";

// A Query of it, which lasts.
const Relay::Item& Relay::position_query() {
  static const std::string message = [] {
    std::string bytes;
    pg::write_query(bytes, kPositionText);
    return bytes;
  }();
  static const Item item = pg::Framer(pg::Sender::client).next(message, kInspectionMax);
  return item;
}

bool Relay::asks_for_position(Bytes text) noexcept {
  constexpr Bytes kAsked = "show forebay.lsn";
  if (text.size() < kAsked.size() || text.size() > kAsked.size() + 8) return false;
  const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
  text = text.substr(0, text.find_last_not_of(" \n;") + 1);
  return std::ranges::equal(text, kAsked, {}, low);
}

// ---------------------------------------------------------------- READ ONLY transactions

// What would keep the session on its replica beyond the transaction, where it cannot write.
bool Relay::refused_on_replica(const LinkRelayState& link, const SessionWorkRef& work,
                               Route route) const {
  if (!link.reader) return false;
  return route.only_primary() || (work != nullptr && (work->unknown || work->keeps()));
}

bool Relay::bound_to_replica(Bytes statement, const LinkRelayState& link) const {
  if (statement.empty()) {
    return refused_on_replica(link, client_.unnamed.work, client_.unnamed.route);
  }
  const auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(statement);
  return known != nullptr && refused_on_replica(link, known->work, known->route);
}

void Relay::refuse_on_replica(const Item& item, LinkRelayState& link, Request request) {
  client_.begins_on_primary = true;
  refuse(item, link, request,
         "this READ ONLY transaction was begun on a replica, and needs the primary for this "
         "statement: it may be tried again, and will begin there",
         pg::sqlstate::kSerializationFailure);
}

// ---------------------------------------------------------------- the replica's answer

namespace {

// What comes before a statement has done anything: an error may still take its place.
bool is_preface(Bytes bytes, char type) {
  switch (static_cast<Backend>(type)) {
    case Backend::ParseComplete:
    case Backend::BindComplete:
    case Backend::CloseComplete:
    case Backend::RowDescription:
    case Backend::ParameterDescription:
    case Backend::NoData:
    case Backend::NoticeResponse:
    case Backend::ParameterStatus:
      return true;
    case Backend::CommandComplete: {
      const Bytes tag = bytes.substr(std::min<std::size_t>(5, bytes.size()));
      return tag.starts_with("BEGIN") || tag.starts_with("START TRANSACTION");
    }
    default:
      return false;
  }
}

}  // namespace

void ServerRelay::pass_to_client(Bytes bytes, char type) {
  if (client_->attempt == Attempt::open && !is_preface(bytes, type)) {
    client_->attempt = Attempt::shown;
  }
  to_client_.pass(bytes);
}

// The primary has the last word on every error but those that it would only repeat: the statement
// was cancelled, or the data are not what it takes them for.
void ServerRelay::note_refusal(const pg::backend::Fields& fields) {
  const Bytes sqlstate = fields.sqlstate;
  if (sqlstate == pg::sqlstate::kQueryCanceled || sqlstate.starts_with("22")) return;
  const bool always = sqlstate == "25006" || sqlstate == "55000" ||
                      (sqlstate == pg::sqlstate::kFeatureNotSupported &&
                       !fields.message.starts_with("cached plan"));
  client_->attempt = always ? Attempt::refused_always : Attempt::refused;
}

// What only a primary can do, in the middle of a READ ONLY transaction: the client may try it again
// there. An error that the primary would give as well, it gets then.
bool ServerRelay::tell_replica_refuses(const pg::backend::Fields& fields, Told& told) {
  if (!link_.reader || client_ == nullptr || client_->attempt == Attempt::open) return false;
  if (client_->attempt == Attempt::refused || client_->attempt == Attempt::refused_always) {
    return false;
  }
  const bool only_there = fields.sqlstate == pg::sqlstate::kObjectNotInPrerequisiteState ||
                          (fields.sqlstate == pg::sqlstate::kFeatureNotSupported &&
                           !fields.message.starts_with("cached plan"));
  if (!only_there) return false;
  client_->begins_on_primary = true;
  told = {pg::sqlstate::kSerializationFailure, true};
  pg::write_error(to_client_.insert(),
                  {"ERROR",
                   pg::sqlstate::kSerializationFailure,
                   "this READ ONLY transaction was begun on a replica, which refuses a statement "
                   "of it: it may be tried again, and will begin on the primary",
                   withholds_values(client_) ? Bytes() : fields.message,
                   {}});
  link_.rest = Disposition::discard;
  return true;
}

}  // namespace forebay::core
