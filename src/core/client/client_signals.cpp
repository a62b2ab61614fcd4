// What a client has done to sessions by their process ids (manual, "Server Signaling Functions"):
// the server knows those ids only that are its own.

#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"

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

}  // namespace forebay::core
