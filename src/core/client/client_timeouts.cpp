#include <algorithm>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/config/units.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What becomes of a client that takes longer than a timeout allows.
namespace forebay::core {
namespace {

using config::milliseconds;
using config::PoolOverrides;
using config::PoolSettings;

struct Limit {
  const char* name;
  const char* sqlstate;
  milliseconds PoolSettings::*time;
  std::optional<milliseconds> PoolOverrides::*said;
  Counter Counters::*counter;
};

Limit limit_of(TimeLimit limit) {
  switch (limit) {
    case TimeLimit::statement:
      return {"statement_timeout", pg::sqlstate::kQueryCanceled, &PoolSettings::statement_timeout,
              &PoolOverrides::statement_timeout, &Counters::statement_timeouts};
    case TimeLimit::transaction:
      return {"transaction_timeout", pg::sqlstate::kTransactionTimeout,
              &PoolSettings::transaction_timeout, &PoolOverrides::transaction_timeout,
              &Counters::transaction_timeouts};
    case TimeLimit::idle_transaction:
      return {"idle_transaction_timeout", pg::sqlstate::kIdleInTransactionTimeout,
              &PoolSettings::idle_transaction_timeout, &PoolOverrides::idle_transaction_timeout,
              &Counters::idle_transaction_timeouts};
    case TimeLimit::client_idle:
      break;
  }
  return {"client_idle_timeout", pg::sqlstate::kIdleSessionTimeout,
          &PoolSettings::client_idle_timeout, &PoolOverrides::client_idle_timeout,
          &Counters::client_idle_timeouts};
}

}  // namespace

// "canceling statement due to statement_timeout (5s, set in [databases.app])"
Refused ClientSession::reason_of(TimeLimit limit, std::string_view consequence) const {
  const auto [name, sqlstate, time, said, counter] = limit_of(limit);
  if (limit == TimeLimit::statement && link_ != nullptr && link_->limited_by_tenant()) {
    const config::TenantSettings& tenants = engine_.config().tenants;
    const std::string& tenant = relay_.tenant->value;
    return {sqlstate, std::string(consequence) + " due to " + name + " (" +
                          config::format_duration(link_->statement_timeout()) + ", set in " +
                          tenants.label_of(tenant, &config::TenantLimits::statement_timeout,
                                           engine_.ordered_limits(tenant)) +
                          ")"};
  }
  if (limit == TimeLimit::statement && link_ != nullptr && link_->relay().rule != nullptr) {
    const config::Rule& rule = *link_->relay().rule;
    return {sqlstate, std::string(consequence) + " due to " + name + " (" +
                          config::format_duration(rule.statement_timeout) + ", set by rule \"" +
                          rule.name + "\")"};
  }
  const PoolKey& key = pool_->key();
  return {sqlstate, std::string(consequence) + " due to " + name + " (" +
                        config::format_duration(pool_->settings().*time) + ", set in " +
                        engine_.config().where_set(key.database, key.user, said) + ")"};
}

void ClientSession::over_time(TimeLimit limit) {
  (engine_.counters().*limit_of(limit).counter).add();
  const bool ends = limit == TimeLimit::client_idle ||
                    pool_->settings().timeout_action == config::TimeoutAction::close;
  if (ends) {
    fatal(reason_of(limit, "terminating connection"));
    return;
  }
  if (phase_ == Phase::idle) {
    if (goodbye_) {
      fatal(reason_of(limit, "terminating connection"));
      return;
    }
    const Refused reason = reason_of(limit, "the transaction was rolled back");
    note(Weight::normal, "timeout", reason.message);
    give_up_begun(reason, false);
    settle();
  } else if (phase_ == Phase::linked && !link_->relay().expected.empty()) {
    const Refused reason = reason_of(limit, "canceling statement");
    note(Weight::normal, "timeout", reason.message);
    link_->cut_short(reason, limit == TimeLimit::transaction);
  } else {
    give_up_transaction(limit, false);
  }
}

// The transaction is rolled back behind the client's back, which learns of it with its next
// statement, if not `told`, and has to end it as a failed one. Its link is free.
void ClientSession::give_up_transaction(TimeLimit limit, bool told) {
  FB_ASSERT(phase_ == Phase::linked && link_->relay().expected.empty());
  const Pins pins = relay_.undo == nullptr ? relay_.pins : relay_.undo->pins;
  const bool attempts = relay_.attempt != Attempt::none;
  if (mode_ == config::PoolMode::session || pins != 0 || goodbye_ || attempts) {
    // What else the session has stands on that link.
    Refused last = reason_of(limit, "terminating connection");
    last.hint = "The session is bound to its server connection, which the rollback ends.";
    fatal(last);
    return;
  }
  const Refused reason = reason_of(limit, "the transaction was rolled back");
  note(Weight::normal, "timeout", reason.message);
  if (std::exchange(may_ask_, false)) timer_.cancel();
  ServerLink* link = std::exchange(link_, nullptr);
  const Residue left = residue(link->relay());
  enter(Phase::idle);
  if (replicas_ != nullptr) note_unlinked();
  if (throttle_ != nullptr) {
    leave_link_place(link);
    leave_limits();
  }
  Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
      .give_up_transaction(link->relay(), reason, told);
  relay_.pins = pins;
  send_own();
  free_link(*link);
  link->orphan(left);
  continue_input();
  settle();
}

// It is told that it waits before it has waited for too long.
void ClientSession::arm_wait() {
  const config::PoolSettings& settings = pool_->settings();
  const milliseconds timeout = settings.query_wait_timeout;
  const milliseconds notify = settings.query_wait_notify;
  notified_ = notify.count() == 0 || (timeout.count() > 0 && notify >= timeout);
  arm(notified_ ? timeout : notify);
}

void ClientSession::notify_of_wait() {
  const config::PoolSettings& settings = pool_->settings();
  notified_ = true;
  const milliseconds timeout = settings.query_wait_timeout;
  arm(timeout.count() == 0 ? timeout
                           : std::max(timeout - settings.query_wait_notify, milliseconds(1)));
  const std::string* wanted =
      relay_.settings == nullptr ? nullptr : relay_.settings->find("client_min_messages");
  if (wanted != nullptr && (*wanted == "warning" || *wanted == "error")) return;
  pg::write_notice(
      engine_.to_client().insert(),
      {"NOTICE", "00000", "no server connection is available yet: the statement waits for one",
       "It has waited for query_wait_notify (" +
           config::format_duration(settings.query_wait_notify) + ").",
       timeout.count() == 0 ? std::string()
                            : "After query_wait_timeout (" + config::format_duration(timeout) +
                                  ") it is canceled."});
  send_own();
}

}  // namespace forebay::core
