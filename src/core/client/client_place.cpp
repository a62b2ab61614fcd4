#include <optional>
#include <string>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/client/replica_use.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// In which database the sessions of a tenant are: perhaps in another than the one that they name.

namespace forebay::core {

// The database that the client is to have, as far as it has said whose it is.
std::string ClientSession::place_of_login() const {
  const config::TenantSettings& tenants = engine_.config().tenants;
  const StartupFacts& facts = login_->facts;
  if (tenants.places.empty() || !tenants.serve(facts.database)) return facts.database;
  const auto said = claimed_tenant();
  const auto value = said ? engine_.runtime().tenant_named(*said) : std::nullopt;
  return value ? std::string(tenants.place_of(*value, facts.database)) : facts.database;
}

bool ClientSession::is_misplaced() const {
  return relay_.tenant != nullptr &&
         engine_.config().tenants.place_of(relay_.tenant->value, relay_.tenant->database) !=
             pool_->key().database;
}

// Its transaction ends where it began, what waits to begin does so in the new place.
void ClientSession::follow_place() {
  if (!is_misplaced()) return;
  switch (phase_) {
    case Phase::linked:
      moves_ = true;
      server_done();
      return;
    case Phase::waiting:
      stop_waiting();
      break;
    case Phase::held:
    case Phase::idle:
      break;
    default:
      return;
  }
  timer_.cancel();
  if (phase_ == Phase::waiting) enter(Phase::idle);
  leave_hold();
  if (throttle_ != nullptr) leave_limits();
  if (phase_ == Phase::held) enter(Phase::idle);
  if (!move()) return;
  continue_input();
  settle();
}

// It has no link, and what it is stands here, so that any server will do. False: it has ended.
bool ClientSession::move() {
  moves_ = false;
  const config::TenantSettings& tenants = engine_.config().tenants;
  const SessionTenant& tenant = *relay_.tenant;
  const std::string database(tenants.place_of(tenant.value, tenant.database));
  const std::string name = user();
  const auto pool = engine_.shared().pools.find_or_make(engine_.runtime(), database, name);
  if (pool == pool_) return true;
  const bool serves = pool != nullptr && engine_.runtime().serves(database, name, pool->key().user);
  const bool whole_session = mode_ == config::PoolMode::session || relay_.listening != nullptr ||
                             (serves && pool->settings().pool_mode == config::PoolMode::session);
  if (!serves || whole_session) {
    end_misplaced();
    return false;
  }
  const auto credential = pool_->credential();
  if (credential && !pool->credential() && pool->key().user == pool_->key().user) {
    pool->learn_credential(*credential);
  }
  pool_->client_went();
  if (pool_->wanted_empty(engine_.now())) {
    engine_.vacate(pool_->target(), pool_->target().database, false);
  }
  pool_ = pool;
  role_renamings_ = pool_->role_renamings();
  pool_->client_came();
  user_ = pool_->key().user == name ? nullptr : std::make_unique<const std::string>(name);
  mode_ = pool_->settings().pool_mode;
  // What it prepared is of another catalog.
  if (pool_->catalog().now() == 0) pool_->catalog().advance();
  if (relay_.statements != nullptr) relay_.statements->forget_catalog();
  relay_.pool = pool_->serial();
  relay_.catalog = &pool_->catalog();
  relay_.follows = follows_effects();
  if (relay_.lost != nullptr) relay_.lost->counters = &pool_->statistics().of(engine_.id());
  relay_.statistics = &pool_->statistics();
  relay_.splits = false;
  relay_.begins_on_primary = false;
  replicas_.reset();
  begin_splitting();
  follow_rules();
  if (throttle_ != nullptr) leave_limits();  // what it was held for it may have, too
  follow_limits();
  note(Weight::normal, "tenant_moved",
       "its tenant is in database \"" + database + "\" from now on");
  return true;
}

// Its transaction is over. False: it has ended, since what it has stands on its link.
bool ClientSession::may_move() {
  if (mode_ != config::PoolMode::session && (relay_.pins & ~bit(PinReason::looking)) == 0) {
    return true;
  }
  end_misplaced();
  return false;
}

void ClientSession::end_misplaced() {
  fatal({pg::sqlstate::kAdminShutdown,
         "terminating connection: tenant \"" + relay_.tenant->value +
             "\" has been placed in another database",
         {},
         "Connect again."});
}

// In PostgreSQL its session stays its role's, whatever that is called now. A link that is opened by
// the name would be another role's. Where the configuration says who to log in as, it goes on.
bool ClientSession::follow_role() {
  if (user_ != nullptr) {
    role_renamings_ = pool_->role_renamings();
    return true;
  }
  fatal({pg::sqlstate::kAdminShutdown,
         "terminating connection: role \"" + pool_->key().user +
             "\" has been renamed, dropped or made anew since this session began",
         {},
         "Connect again."});
  return false;
}

}  // namespace forebay::core
