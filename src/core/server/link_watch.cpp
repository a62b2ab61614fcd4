#include "core/server/link_watch.hpp"

namespace forebay::core {

LinkWatch::Due LinkWatch::look(const Facts& facts, const config::PoolSettings& settings,
                               config::milliseconds statement_timeout, Instant now) noexcept {
  const bool open = facts.busy || facts.in_transaction;
  const bool was_open = facts_.busy || facts_.in_transaction;
  if (!was_open || facts.transactions != facts_.transactions) transaction_since_ = now;
  if (facts.busy != facts_.busy || facts.statements != facts_.statements || open != was_open ||
      (!facts.busy && facts.paced != facts_.paced)) {
    since_ = now;
  }
  facts_ = facts;

  Due due;
  const auto consider = [&due](TimeLimit limit, config::milliseconds timeout, Instant since) {
    if (timeout.count() == 0 || since + timeout >= due.at) return;
    due = {since + timeout, limit};
  };
  if (facts.busy) consider(TimeLimit::statement, statement_timeout, since_);
  if (open) consider(TimeLimit::transaction, settings.transaction_timeout, transaction_since_);
  if (open && !facts.busy && !facts.paced) {
    consider(TimeLimit::idle_transaction, settings.idle_transaction_timeout, since_);
  }
  if (!open && !facts.paced) consider(TimeLimit::client_idle, settings.client_idle_timeout, since_);
  return due;
}

}  // namespace forebay::core
