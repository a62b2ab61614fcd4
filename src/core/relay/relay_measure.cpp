#include <utility>

#include "core/explain/plan_choice.hpp"
#include "core/relay/relay.hpp"

// How long statements took, and what they came to.

namespace forebay::core {
namespace {

// The value of traceparent in a comment as sqlcommenter writes it: traceparent='00-...-...-01'.
std::string traceparent_of(Bytes comment) {
  constexpr Bytes kWord = "traceparent";
  constexpr std::size_t kLength = 55;
  const std::size_t word = comment.find(kWord);
  if (word == Bytes::npos) return {};
  const std::size_t begin = comment.find_first_not_of(" =:'\"", word + kWord.size());
  if (begin == Bytes::npos) return {};
  const Bytes value = comment.substr(begin, kLength);
  const bool well_formed =
      value.size() == kLength && value.find_first_not_of("0123456789abcdef-") == Bytes::npos;
  return well_formed ? std::string(value) : std::string();
}

// Whose it is, the link says that the client has.
SlowSample sample_of(const StatementMeter::Open& open, const TimeSplit& split,
                     const PoolStatistics& pool) {
  SlowSample sample{.ended = open.ended,
                    .database = pool.database,
                    .user = pool.user,
                    .time = split,
                    .rows = open.answer.rows,
                    .received_bytes = open.sent.bytes,
                    .sent_bytes = open.answer.bytes};
  if (const StatementEntry* entry = open.sent.entry.get()) {
    sample.shape = entry->shape;
    sample.text = entry->text;
  }
  if (const StatementNote* note = open.sent.note.get()) sample.traceparent = note->traceparent;
  if (open.answer.failed) {
    sample.sqlstate.assign(open.answer.sqlstate.data(), open.answer.sqlstate.size());
  }
  return sample;
}

// The text of the first statement that a client says here; empty where that does not show.
// `prepares`: what is prepared only counts, too.
Bytes first_text(Bytes said, const ClientRelayState& client, bool prepares) {
  pg::Framer framer(pg::Sender::client);
  Bytes name;
  Bytes prepared;
  while (!said.empty()) {
    const pg::Framer::Item item = framer.next(said, kInspectionMax);
    if (item.kind != pg::Framer::Kind::message) break;
    said.remove_prefix(item.bytes.size());
    const Bytes body = item.message.body;
    switch (static_cast<pg::Frontend>(item.message.type)) {
      case pg::Frontend::Query:
        if (const auto query = pg::frontend::Query::parse(body)) return query->text;
        return {};
      case pg::Frontend::Parse:
        if (const auto parse = pg::frontend::Parse::parse(body)) {
          name = parse->statement;
          prepared = parse->text;
        }
        continue;
      case pg::Frontend::Bind: {
        const auto bind = pg::frontend::Bind::parse(body);
        if (!bind) return {};
        if (!prepared.empty() && bind->statement == name) return prepared;
        Bytes definition = client.unnamed.definition;
        if (!bind->statement.empty()) {
          const auto* named =
              client.statements == nullptr ? nullptr : client.statements->find(bind->statement);
          definition = named == nullptr || !named->statement
                           ? Bytes()
                           : Bytes(named->statement->definition());
        }
        return definition.substr(0, definition.find('\0'));
      }
      case pg::Frontend::Execute:
      case pg::Frontend::FunctionCall:
        return {};
      default:
        continue;
    }
  }
  return prepares ? prepared : Bytes();
}

bool is_slow(const TimeSplit& split, Duration slow_after) {
  const auto slow = microseconds_of(slow_after);
  return slow > 0 && split.total() >= slow;
}

// Where statements are not told apart, `text` says which it was.
void take_sample(const StatementMeter::Open& open, const TimeSplit& split, const PoolCounters& pool,
                 Measures& measures, Bytes text, const Reading& how) {
  SlowSample sample = sample_of(open, split, *pool.owner);
  if (sample.shape == 0 && !text.empty() && how.lexable) {
    sql::Shape shape;
    sql::lex(text, how.standard, {}, shape);
    if (shape.fault() == sql::ShapeFault::none) {
      sample.shape = shape_number(shape);
      sample.text = shape_text(shape);
    }
  }
  const StatementNote* note = open.sent.note.get();
  if (note != nullptr && !note->text.empty()) sample.text = note->text;
  measures.fresh.push_back(std::move(sample));
}

// What the client has prepared with that shape; empty where it is not one text. Not many are looked
// at.
std::string prepared_text(std::uint64_t shape_wanted, const ClientRelayState& client,
                          const Reading& how) {
  constexpr std::size_t kLookedAtMax = 64 * 1024;
  std::size_t looked_at = 0;
  std::string found;
  bool several = false;
  const auto look = [&](Bytes definition) {
    const Bytes text = definition.substr(0, definition.find('\0'));
    if (text.empty() || text == found || (looked_at += text.size()) > kLookedAtMax) return;
    sql::Shape shape;
    sql::lex(text, how.standard, {}, shape);
    if (shape.fault() != sql::ShapeFault::none || shape_number(shape) != shape_wanted) return;
    several = several || !found.empty();
    found = text;
  };
  look(client.unnamed.definition);
  if (client.statements != nullptr) {
    for (const auto& [name, named] : client.statements->in_order()) {
      if (named->statement) look(named->statement->definition());
    }
  }
  return several || looked_at > kLookedAtMax ? std::string() : found;
}

// Why there is no plan, or the text that it is to be asked for.
void look_for_plan(SlowSample& sample, const StatementNote* note, const Measures& measures,
                   const ClientRelayState& client, const LinkRelayState& link) {
  sample.no_plan = no_plan_in_session(client, link);
  if (!sample.no_plan.empty() || !measures.full_text) return;
  if (note != nullptr && !note->text.empty()) {
    sample.said = note->text;
  } else if (sample.shape != 0) {
    sample.said = prepared_text(sample.shape, client, link.reading);
  }
}

void count_statement(const StatementMeter::Open& open, const TimeSplit& split,
                     const ClientRelayState& client, Measures& measures, bool replica) {
  StatementTable& statements = measures.statements;
  if (statements.active()) {
    statements.count(open.sent.entry.get(), split, open.answer, open.sent.bytes, open.ended,
                     replica);
  }
  if (const auto* tenant = client.tenant.get(); tenant != nullptr) {
    if (auto* counters = tenant->client.counters()) counters->count(split, open.answer.failed);
  }
}

TimeSplit close_open(LinkRelayState& link, const ClientRelayState& client, Measures& measures) {
  StatementMeter& meter = link.meter;
  const TimeSplit split = meter.close(link.reader);
  count_statement(meter.open(), split, client, measures, link.reader);
  if (is_slow(split, meter.slow_after)) {
    // What the link keeps is what was said first.
    const bool kept = meter.open().first && meter.open().sent.entry == nullptr;
    const Bytes text = kept ? first_text(link.said, client, false) : Bytes();
    take_sample(meter.open(), split, *meter.pool, measures, text, link.reading);
    measures.fresh.back().parameters = meter.parameters();
    measures.fresh.back().transaction = meter.transaction_number();
    if (measures.explains)
      look_for_plan(measures.fresh.back(), meter.open().sent.note.get(), measures, client, link);
  }
  return split;
}

}  // namespace

void Relay::measure(LinkRelayState& link, Expected& expected) {
  PoolCounters& pool = *link.meter.pool;
  const bool forwarded = expected.disposition == Disposition::forward;
  switch (expected.request) {
    case Request::parse:
      if (forwarded || expected.disposition == Disposition::supply) pool.client_parses.add();
      if (expected.disposition != Disposition::supply) pool.server_parses.add();
      if (expected.disposition == Disposition::precede) pool.injected_parses.add();
      return;
    case Request::bind:
      if (forwarded) pool.binds.add();
      return;
    case Request::execute:
      expected.sent.entry = link.meter.portal.entry;
      expected.sent.bytes = std::exchange(link.meter.portal.bytes, 0);
      expected.sent.limit = link.meter.portal.limit;
      expected.sent.again = link.meter.portal.again;
      expected.values = link.meter.executed();
      [[fallthrough]];
    case Request::query:
    case Request::function_call:
      if (!forwarded) return;
      expected.sent.began = rules_.measures->now;
      link.meter.sent(expected.sent.began);
      return;
    default:
      return;
  }
}

// A portal that is read in parts is one execution, with the rows of all of them.
void Relay::measure_part(const pg::Message& message, StatementMeter& meter) const {
  if (meter.pool == nullptr || rules_.measures == nullptr) return;
  StatementMeter::Portal& portal = meter.portal;
  portal.limit = portal.again = 0;
  const Bytes body = message.body;
  if (meter.values != nullptr) {
    meter.values->executed = meter.values->find(body.substr(0, body.find('\0')));
  }
  if (meter.parts == nullptr && body.ends_with(Bytes("\0\0\0\0", 4))) return;  // all at once
  const auto execute = pg::frontend::Execute::parse(body);
  if (!execute) return;
  portal.limit = execute->max_rows & 0x7fffffff;
  if (meter.parts == nullptr) meter.parts = std::make_unique<StatementMeter::Parts>();
  auto& portals = meter.parts->portals;
  for (const auto& [name, entry] : portals) {
    if (name != execute->portal) continue;
    portal.entry = entry;
    portal.again = 1;
    return;
  }
  if (portal.limit > 0 && portals.size() < StatementMeter::Parts::kMax) {
    portals.emplace_back(execute->portal, portal.entry);
  }
}

bool ServerRelay::measured() const noexcept {
  return link_.meter.pool != nullptr && rules_.measures != nullptr && client_ != nullptr;
}

// A message of the server's that is no error, and what it ended.
void ServerRelay::measure(pg::Backend type, const ExpectedReplies::Taken& taken) {
  StatementMeter& meter = link_.meter;
  const Instant now = rules_.measures->now;
  // The client's data is what the server waits for.
  if (type == pg::Backend::CopyInResponse) meter.hold(now);
  if (taken.effect != ExpectedReplies::Effect::done) return;
  if (link_.expected.empty()) meter.quiet();
  if (taken.disposition != Disposition::forward) {
    if (taken.disposition == Disposition::discard) meter.current = {};
    return;
  }
  Expected& done = link_.expected.done();
  switch (done.request) {
    case Request::execute:
      if (meter.open().exists) close_statement();
      if (type == pg::Backend::PortalSuspended) meter.current.rows += done.sent.limit;
      meter.answered(std::move(done.sent), now, done.values);
      return;
    case Request::query:
    case Request::function_call:
      if (meter.open().exists) close_statement();
      meter.answered(std::move(done.sent), now);
      close_statement();
      break;
    case Request::sync:
      meter.ready(now);
      if (meter.open().exists) close_statement();
      break;
    default:
      return;
  }
  if (link_.status != pg::backend::TransactionStatus::idle) return;
  if (link_.expected.empty()) {
    meter.transaction_over(now);
    return;
  }
  StatementMeter::Portal bound = std::move(meter.portal);
  meter.transaction_over(now, link_.expected.owes_statement());
  meter.portal = std::move(bound);  // that of a batch that stands behind
}

// An error that is the client's. In the extended protocol it is that of the first statement of the
// batch which is not answered yet.
void ServerRelay::measure_error(const Told& told, const ExpectedReplies::Taken& taken) {
  StatementMeter& meter = link_.meter;
  (told.ours ? meter.pool->own_errors : meter.pool->server_errors).add(told.sqlstate);
  meter.current.fail(told.sqlstate);
  if (taken.effect != ExpectedReplies::Effect::batch_failed) return;
  for (Expected& expected : link_.expected.voided()) {
    if (expected.request != Request::execute || expected.disposition != Disposition::forward) {
      continue;
    }
    if (meter.open().exists) close_statement();
    meter.answered(std::move(expected.sent), rules_.measures->now, expected.values);
    return;
  }
}

void ServerRelay::close_statement() {
  const TimeSplit split = close_open(link_, *client_, *rules_.measures);
  StatementSent& sent = link_.meter.open().sent;
  if (sent.entry != nullptr && sent.entry->audited != 0) {
    rules_.measures->audit.fresh().push_back(
        {.events = sent.entry->audited,
         .statement = sample_of(link_.meter.open(), split, *link_.meter.pool->owner)});
    rules_.measures->audit.fresh().back().statement.transaction = link_.meter.transaction_number();
  }
  sent.entry.reset();
  sent.note.reset();
}

// ---------------------------------------------------------------- what no server answered

// An error in a server's place. False where an answered statement, which is not committed now, is
// to blame for it; else it is the next one's of its batch.
bool Relay::measure_loss(LinkRelayState& link, Bytes sqlstate) {
  StatementMeter& meter = link.meter;
  if (meter.pool == nullptr || rules_.measures == nullptr) return false;
  if (!meter.open().exists) return true;
  meter.current.fail(sqlstate);
  meter.ready(rules_.measures->now);
  close_open(link, client_, *rules_.measures);
  return false;
}

// It is answered by that error. The audit log has it as one that was not answered.
void Relay::measure_lost(LinkRelayState& link, Expected&& expected, Bytes sqlstate) {
  link.meter.current.fail(sqlstate);
  link.meter.answered(std::move(expected.sent), rules_.measures->now, expected.values);
  close_open(link, client_, *rules_.measures);
}

void Relay::measure_refused(Bytes said, PoolCounters& pool, Duration slow_after, Bytes sqlstate,
                            Duration waited) const {
  if (rules_.measures == nullptr) return;
  const TimeSplit split{.wait = microseconds_of(waited)};
  if (split.wait > 0) pool.wait.add(split.wait);
  pool.statements.add();
  pool.kinds[kind_counter(StatementKind::failed, false)].add();
  pool.statement_total.add(split.wait);
  StatementMeter::Open open;
  open.ended = rules_.measures->now;
  open.answer.fail(sqlstate);
  open.sent.bytes = static_cast<std::uint32_t>(
      pg::Framer(pg::Sender::client).next(said, kInspectionMax).bytes.size());
  const Reading how = reading(client_.welcome);
  const Bytes text = first_text(said, client_, true);
  if (!text.empty() && rules_.reader != nullptr && how.lexable) {
    open.sent.entry = entry_of(rules_.reader->texts.facts(text, how.standard));
    open.sent.note = note_of(text, slow_after);
  }
  count_statement(open, split, client_, *rules_.measures, false);
  if (is_slow(split, slow_after)) {
    take_sample(open, split, pool, *rules_.measures, text, how);
  }
}

// What of this text a sample may need. For the text at hand of the worker's reader.
std::unique_ptr<StatementNote> Relay::note_of(Bytes text, Duration slow_after) const {
  if (rules_.measures == nullptr || slow_after == Duration{}) return nullptr;
  const sql::Span comment = rules_.reader->texts.shape().trace_comment();
  if (comment.empty() && !rules_.measures->full_text) return nullptr;
  auto note = std::make_unique<StatementNote>();
  note->traceparent = traceparent_of(comment.of(text));
  if (rules_.measures->full_text) note->text = text;
  return note;
}

}  // namespace forebay::core
