#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"
#include "forebay/config/units.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// The timeouts of a client that has a link. The link's timer is not moved with every statement: it
// fires early, and is armed again for what is so then.
namespace forebay::core {

void ServerLink::begin_watch() {
  const config::PoolSettings& settings = pool_->settings();
  const SessionRules* rules = client_->relay().rules.get();
  const bool ruled = rules != nullptr && rules->time();
  const SessionTenant* tenant = client_->relay().tenant.get();
  tenant_timeout_ = tenant == nullptr ? config::milliseconds(0)
                                      : engine_->config().tenants.statement_timeout_of(
                                            tenant->value, engine_->ordered_limits(tenant->value));
  timed_ = !dedicated_ && (settings.limits_time() || tenant_timeout_.count() > 0 || ruled);
  relay_.rule.reset();
  // With a rule, so that its timeout is never another batch's.
  relay_.guarded =
      timed_ &&
      (ruled ||
       (settings.timeout_action == config::TimeoutAction::cancel &&
        (settings.statement_timeout + settings.transaction_timeout + tenant_timeout_).count() > 0));
  if (timed_) watch_.begin(watch_facts(), engine_->now());
}

bool ServerLink::limited_by_tenant() const noexcept {
  const config::milliseconds said =
      relay_.rule != nullptr ? relay_.rule->statement_timeout : pool_->settings().statement_timeout;
  return tenant_timeout_.count() > 0 && (said.count() == 0 || tenant_timeout_ < said);
}

config::milliseconds ServerLink::statement_timeout() const noexcept {
  if (limited_by_tenant()) return tenant_timeout_;
  return relay_.rule != nullptr ? relay_.rule->statement_timeout
                                : pool_->settings().statement_timeout;
}

LinkWatch::Facts ServerLink::watch_facts() const noexcept {
  return {.busy = !relay_.expected.empty(),
          .in_transaction =
              relay_.expected.batch_open() || relay_.status != pg::backend::TransactionStatus::idle,
          .paced = client_ != nullptr && client_->paced(),
          .statements = relay_.statements_answered,
          .transactions = relay_.transactions_ended};
}

LinkWatch::Due ServerLink::due() noexcept {
  LinkWatch::Due due =
      watch_.look(watch_facts(), pool_->settings(), statement_timeout(), engine_->now());
  const auto& overrun = relay_.overrun;
  if (overrun != nullptr && !overrun->transaction && !relay_.cancelling &&
      overrun->statement != relay_.statements_answered) {
    relay_.overrun.reset();  // it came to its end before the request arrived
  }
  if (overrun != nullptr && !relay_.expected.empty()) due.at = answer_until_;
  return due;
}

void ServerLink::watch() {
  if (!timed_) return;
  const Instant at = due().at;
  if (at == kNever || (timer_.armed() && timer_.at() <= at)) return;
  engine_->timers().arm(timer_, at);
}

void ServerLink::cut_short(Refused reason, bool transaction) {
  const config::milliseconds patience = engine_->config().server_recovery_timeout;
  answer_until_ = patience.count() == 0 ? kNever : engine_->now() + patience;
  // The server hears of a cancel request while it waits for data only when some comes.
  if (relay_.expected.copying_in() && !client_->relay().in_message()) {
    pg::write_copy_fail(engine_->to_server().insert(), reason.message);
    relay_.expected.push_copy_end();
    send(engine_->to_server());
  }
  relay_.overrun = std::make_unique<LinkRelayState::Overrun>(
      LinkRelayState::Overrun{std::move(reason), transaction, relay_.statements_answered});
  relay_.cancelling = true;
  engine_->cancel(*this, nullptr);
  watch();
}

void ServerLink::watch_fired() {
  if (!timed_) return;
  const LinkWatch::Due due = this->due();
  if (due.at == kNever) return;
  if (due.at > engine_->now()) {
    engine_->timers().arm(timer_, due.at);
    return;
  }
  if (relay_.overrun == nullptr) {
    client_->over_time(due.limit);
    return;
  }
  if (!client_->takes_all() || client_->paced()) {
    // The server is not listened to before the client has read what it said before.
    answer_until_ = engine_->now() + engine_->config().server_recovery_timeout;
    watch();
    return;
  }
  lost("the server did not end the statement within server_recovery_timeout (" +
       config::format_duration(engine_->config().server_recovery_timeout) + ")");
}

}  // namespace forebay::core
