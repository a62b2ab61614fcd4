#include "core/relay/relay.hpp"

// How long statements took, and what they came to.

namespace forebay::core {

void Relay::measure(LinkRelayState& link, Expected& expected) {
  PoolCounters& pool = *link.meter.pool;
  const bool forwarded = expected.disposition == Disposition::forward;
  switch (expected.request) {
    case Request::parse:
      if (forwarded || expected.disposition == Disposition::supply) pool.client_parses.add();
      if (expected.disposition != Disposition::supply) pool.server_parses.add();
      return;
    case Request::bind:
      if (forwarded) pool.binds.add();
      return;
    case Request::query:
    case Request::execute:
    case Request::function_call:
      if (!forwarded) return;
      expected.began = rules_.measures->now;
      link.meter.sent(expected.began);
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
  switch (taken.expected.request) {
    case Request::execute:
      if (meter.open().exists) close_statement();
      meter.answered(taken.expected.began, now);
      return;
    case Request::query:
    case Request::function_call:
      if (meter.open().exists) close_statement();
      meter.answered(taken.expected.began, now);
      close_statement();
      break;
    case Request::sync:
      meter.ready(now);
      if (meter.open().exists) close_statement();
      break;
    default:
      return;
  }
  if (link_.status == pg::backend::TransactionStatus::idle) meter.transaction_over(now);
}

// An error that is the client's. In the extended protocol it is that of the first statement of the
// batch which is not answered yet.
void ServerRelay::measure_error(Bytes sqlstate, const ExpectedReplies::Taken& taken) {
  StatementMeter& meter = link_.meter;
  meter.pool->server_errors.add(sqlstate);
  meter.current.fail(sqlstate);
  if (taken.effect != ExpectedReplies::Effect::batch_failed) return;
  for (const Expected& expected : link_.expected.voided()) {
    if (expected.request != Request::execute || expected.disposition != Disposition::forward) {
      continue;
    }
    if (meter.open().exists) close_statement();
    meter.answered(expected.began, rules_.measures->now);
    return;
  }
}

void ServerRelay::close_statement() {
  link_.meter.close();
}

}  // namespace forebay::core
