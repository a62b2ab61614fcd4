#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"

// lazy_begin: a client that is in a transaction of which no server knows yet.
namespace forebay::core {

// Between two transactions, or in one that no server knows of.
void ClientSession::settle_idle() {
  const config::PoolSettings& settings = pool_->settings();
  if (relay_.lazy) {
    settle_begun();
    if (phase_ != Phase::idle) return;
    const config::milliseconds limit =
        relay_.begin.open != 0 ? settings.idle_transaction_timeout : settings.client_idle_timeout;
    arm(paced() ? config::milliseconds(0) : limit);
  } else {
    arm(paced() ? config::milliseconds(0) : settings.client_idle_timeout);
  }
}

// What waited for the end of a transaction, which may have come without any server.
void ClientSession::settle_begun() {
  if (relay_.begin.open != 0 || relay_.lost != nullptr) return;
  if (goodbye_) {
    fatal(terminated());
    return;
  }
  if (relay_.listening == nullptr || !may_be_told()) return;
  tell_notifications();
  send_own();
}

// The client has to end it as a failed one. `told`: it knows why.
void ClientSession::give_up_begun(const Refused& reason, bool told) {
  Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
      .fail_begun(reason, told, &pool_->statistics().of(engine_.id()));
}

}  // namespace forebay::core
