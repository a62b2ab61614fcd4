#include <utility>

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
  if (taken.disposition != Disposition::forward) {
    if (taken.disposition == Disposition::discard) meter.current = {};
    return;
  }
  Expected& done = link_.expected.done();
  switch (done.request) {
    case Request::execute:
      if (meter.open().exists) close_statement();
      meter.answered(std::move(done.sent), now);
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
  StatementMeter::Portal bound = std::move(meter.portal);
  meter.transaction_over(now);
  // That of a batch that stands behind.
  if (!link_.expected.empty()) meter.portal = std::move(bound);
}

// An error that is the client's. In the extended protocol it is that of the first statement of the
// batch which is not answered yet.
void ServerRelay::measure_error(Bytes sqlstate, const ExpectedReplies::Taken& taken) {
  StatementMeter& meter = link_.meter;
  meter.pool->server_errors.add(sqlstate);
  meter.current.fail(sqlstate);
  if (taken.effect != ExpectedReplies::Effect::batch_failed) return;
  for (Expected& expected : link_.expected.voided()) {
    if (expected.request != Request::execute || expected.disposition != Disposition::forward) {
      continue;
    }
    if (meter.open().exists) close_statement();
    meter.answered(std::move(expected.sent), rules_.measures->now);
    return;
  }
}

void ServerRelay::close_statement() {
  StatementMeter& meter = link_.meter;
  const TimeSplit split = meter.close();
  StatementMeter::Open& open = meter.open();
  StatementTable& statements = rules_.measures->statements;
  if (statements.active()) {
    statements.count(open.sent.entry.get(), split, open.answer, open.sent.bytes, open.ended);
  }
  if (const auto* tenant = client_->tenant.get(); tenant != nullptr) {
    if (auto* counters = tenant->client.counters()) counters->count(split, open.answer.failed);
  }
  const auto slow = microseconds_of(meter.slow_after);
  if (slow > 0 && split.total() >= slow) take_sample(open, split);
  if (open.sent.entry != nullptr && open.sent.entry->audited != 0) take_record(open, split);
  open.sent.entry.reset();
  open.sent.note.reset();
}

// Whose it is, the link says that the client has.
SlowSample ServerRelay::sample_of(const StatementMeter::Open& open, const TimeSplit& split) const {
  SlowSample sample{.ended = open.ended,
                    .database = link_.meter.pool->owner->database,
                    .user = link_.meter.pool->owner->user,
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

void ServerRelay::take_sample(const StatementMeter::Open& open, const TimeSplit& split) {
  SlowSample sample = sample_of(open, split);
  const StatementNote* note = open.sent.note.get();
  if (note != nullptr && !note->text.empty()) sample.text = note->text;
  rules_.measures->fresh.push_back(std::move(sample));
}

void ServerRelay::take_record(const StatementMeter::Open& open, const TimeSplit& split) {
  rules_.measures->audit.fresh().push_back(
      {.events = open.sent.entry->audited, .statement = sample_of(open, split)});
}

// What of this text a sample may need. For the text at hand of the worker's reader.
std::unique_ptr<StatementNote> Relay::note_of(Bytes text, const LinkRelayState& link) const {
  if (rules_.measures == nullptr || link.meter.slow_after == Duration{}) return nullptr;
  const sql::Span comment = rules_.reader->texts.shape().trace_comment();
  if (comment.empty() && !rules_.measures->full_text) return nullptr;
  auto note = std::make_unique<StatementNote>();
  note->traceparent = traceparent_of(comment.of(text));
  if (rules_.measures->full_text) note->text = text;
  return note;
}

}  // namespace forebay::core
