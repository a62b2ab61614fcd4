// What a client has done to sessions by their process ids (manual, "Server Signaling Functions"):
// the server knows those ids only that are its own.

#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/client/replica_use.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::core {

// Its server connection is its own: the id that the server knows is the one to be known by. Nodes
// that share an address find a client by their own ids, which say where it is.
void ClientSession::take_server_id(std::uint32_t process_id) {
  if (process_id == 0 || process_id >= ProcessIds::kServersEnd) return;
  if (engine_.config().peer_id != 0) return;
  relay_.process_id = process_id;
}

void ClientSession::leave_server_id() {
  if (relay_.process_id >= ProcessIds::kServersEnd) return;
  engine_.shared().server_ids.forget(relay_.process_id, key_);
}

// In session mode it is the server that knows whom its clients mean.
void ClientSession::carry_out_signals(const std::vector<ServerSignal>& signals) {
  for (const ServerSignal& signal : signals) {
    if (signal.process_id == relay_.process_id) {
      if (signal.ends) fatal(terminated());
    } else if (mode_ != config::PoolMode::session) {
      engine_.signal({.process_id = signal.process_id,
                      .ends = signal.ends,
                      .superuser = signal.superuser,
                      .pool = pool_,
                      .user = user(),
                      .tenant = relay_.tenant == nullptr ? std::string() : relay_.tenant->value});
    }
  }
}

// PostgreSQL lets a role end and cancel what is its own, and a superuser everything. Names of
// clients say nothing where each database has its own.
void ClientSession::signalled(const mail::Signalled& order) {
  if (!known() || login_ != nullptr) return;
  const std::string own = relay_.tenant == nullptr ? std::string() : relay_.tenant->value;
  const bool same = pool_->key().user == order.pool->key().user && user() == order.user;
  if (own != order.tenant || (!same && !order.superuser)) return;
  if (pool_->target().hosts != order.pool->target().hosts) return;
  if (order.ends) {
    fatal(terminated());
    return;
  }
  std::unique_ptr<Stream> nobody;
  cancel(nobody);
}

// ---------------------------------------------------------------- cancel requests

bool ClientSession::is_cancel_key(Bytes key) const {
  const std::size_t size = long_cancel_key_ ? cancel_key_.size() : 4;
  return equal_in_constant_time(key, {cancel_key_.data(), size});
}

bool ClientSession::cancel(std::unique_ptr<Stream>& requester) {
  if (throttle_ != nullptr && throttle_->held) {
    engine_.counters().cancels.add();
    reject_held({pg::sqlstate::kQueryCanceled, "canceling statement due to user request"});
    return false;
  }
  if (awaits_replica()) {
    engine_.counters().cancels.add();
    timer_.cancel();
    replicas_->came = kNever;
    enter(Phase::idle);
    if (throttle_ != nullptr) leave_limits();
    refuse_statement({pg::sqlstate::kQueryCanceled, "canceling statement due to user request"},
                     engine_.now() - waiting_since_);
    return false;
  }
  if (phase_ == Phase::waiting) {
    engine_.counters().cancels.add();
    reject({pg::sqlstate::kQueryCanceled, "canceling statement due to user request"});
    return false;
  }
  if (phase_ != Phase::linked || link_->relay().expected.empty()) return false;
  engine_.cancel(*link_, std::move(requester));
  return true;
}

}  // namespace forebay::core
