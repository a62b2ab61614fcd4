#include <algorithm>
#include <utility>

#include "core/engine/engine.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::core {
namespace {

/// Where no server could be asked who a client is, and it waits for a primary.
constexpr std::chrono::milliseconds kRetryLogin{50};

// Why nothing takes writes: operators want it so, or nobody answers; empty for what hosts say
// themselves.
std::string why_no_primary(const Cluster& cluster, Instant now) {
  const auto view = cluster.view();
  for (std::size_t i = 0; i < view->hosts.size(); ++i) {
    const routing::HostView& host = view->hosts[i];
    if (host.role != routing::Role::primary || host.order == nullptr || !host.order->shuts()) {
      continue;
    }
    return "Host \"" + to_string(cluster.hosts()[i]) + "\" is " + to_string(*host.order, now) + ".";
  }
  std::string all;
  for (std::size_t i = 0; i < view->hosts.size(); ++i) {
    const routing::HostView& host = view->hosts[i];
    if (host.up) return {};
    all += (all.empty() ? "Host \"" : "; host \"") + to_string(cluster.hosts()[i]) +
           "\": " + (host.error.empty() ? std::string("no answer") : host.error);
  }
  return all.empty() ? all : all + ".";
}

}  // namespace

// ---------------------------------------------------------------- who gets which

ServerLink* Engine::acquire(ClientSession& session) {
  Pool& pool = session.source();
  session.ticket().session = session.key();
  const Pool::Acquired acquired = pool.acquire(session.ticket(), now_);
  switch (acquired.kind) {
    case Pool::Acquired::Kind::here: {
      ServerLink& link = *acquired.link;
      if (link.fenced() || link.left_behind()) {
        link.close();
        return acquire(session);
      }
      // Where one link was lost, its neighbours may be, too.
      const bool fresh = now_ - link.parking().since < config().server_check_delay;
      if (fresh && !session.sends_again()) return &link;
      link.check(session);
      return nullptr;
    }
    case Pool::Acquired::Kind::elsewhere:
      counters_.links_moved.add();
      shared_.courier->send(acquired.home, mail::SummonLink{acquired.link, session.key()});
      return nullptr;
    case Pool::Acquired::Kind::wait:
      counters_.waits.add();
      if (acquired.no_primary) session.wait_is_hold();
      if (acquired.no_primary && pool.awaits_monitor()) suspect(pool);
      look_soon();
      if (pool.awaits_tables()) shared_.courier->send(WorkerId(0), mail::AskTables{});
      open_links(pool.shared_from_this(), acquired.open);
      if (acquired.starved_by != nullptr) make_room(*acquired.starved_by, pool);
      return nullptr;
    case Pool::Acquired::Kind::hopeless:
      break;
  }
  // Told later: the session is in the middle of something.
  hopeless_.push_back(
      {session.key(),
       {pg::sqlstate::kConnectionFailure,
        "there is no server connection for database \"" + pool.key().database + "\", user \"" +
            pool.key().user + "\", and none can be opened without a new login",
        "The server asks for a password, which Forebay does not keep.", "Connect again."}});
  return nullptr;
}

void Engine::open_links(const std::shared_ptr<Pool>& pool, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    ServerLink& link = adopt(std::make_unique<ServerLink>(*this, pool));
    link.open(nullptr, false, false, true);
  }
}

void Engine::release(ServerLink& link) {
  if (link.cancels() > 0) {
    link.cool();
    return;
  }
  const bool worn = link.worn(now_);
  if (!worn && !draining_ && link.ask_effects()) return;
  if (const auto place = link.leave_tenant_place()) leave_limit(place);
  const Pool::Released released = link.pool().release(link, id_, now_, worn);
  switch (released.kind) {
    case Pool::Released::Kind::parked:
      link.park();
      if (draining_ && link.pool().retire(link)) link.close();
      return;
    case Pool::Released::Kind::close:
      link.close();
      return;
    case Pool::Released::Kind::give:
      break;
  }
  if (released.to.worker != id_) {
    counters_.links_moved.add();
    shared_.courier->send(released.to.worker, mail::LinkGiven{send_away(link), released.to});
    return;
  }
  if (ClientSession* session = find(released.to);
      session != nullptr && session->wants_link() && &session->source() == &link.pool()) {
    hand_over(link, *session);
  } else {
    release(link);
  }
}

void Engine::hand_over(ServerLink& link, ClientSession& session) {
  if (session.role_is_gone() && !session.follow_role()) {
    release(link);
  } else {
    session.take_link(link);
  }
}

ServerLink& Engine::adopt(std::unique_ptr<ServerLink> link) {
  links_.push_back(*link);
  return *link.release();
}

std::unique_ptr<ServerLink> Engine::send_away(ServerLink& link) {
  links_.erase(links_.iterator_to(link));
  io_.detach(link.stream());
  link.go_away();
  return std::unique_ptr<ServerLink>(&link);
}

void Engine::receive(mail::LinkGiven& given) {
  ServerLink& link = adopt(std::move(given.link));
  link.arrive(*this);
  if (link.fenced() || link.left_behind()) {
    link.close();
    mail::SummonFailed failed{given.session};
    receive(failed);
    return;
  }
  ClientSession* session = find(given.session);
  // It may want a link of another pool by now: the primary's, instead of a replica's.
  if (session != nullptr && session->wants_link() && &session->source() == &link.pool()) {
    // It may have taken a place in the queue anew while this link was on its way.
    link.pool().withdraw(session->ticket());
    hand_over(link, *session);
  } else {
    release(link);
  }
}

void Engine::receive(mail::SummonLink& summon) {
  ServerLink& link = *summon.link;
  if (link.phase() == ServerLink::Phase::closed) {
    bury_lost(link);
    shared_.courier->send(summon.session.worker, mail::SummonFailed{summon.session});
    return;
  }
  // The server spoke after the link was taken: it is not fit for anybody any more, and what it has
  // received is in this worker's memory.
  if (link.worn(now_)) {
    link.close();
    shared_.courier->send(summon.session.worker, mail::SummonFailed{summon.session});
    return;
  }
  shared_.courier->send(summon.session.worker, mail::LinkGiven{send_away(link), summon.session});
}

void Engine::receive(mail::SummonFailed& failed) {
  ClientSession* session = find(failed.session);
  // It may wait anew, in the queue or for a link that is checked.
  if (session != nullptr && session->wants_link() && session->link() == nullptr &&
      !session->source().waits(session->ticket())) {
    session->wait_again();
  }
}

void Engine::receive(mail::CloseLink& close) {
  ServerLink& link = *close.link;
  if (link.phase() == ServerLink::Phase::closed) {
    bury_lost(link);
    return;
  }
  link.close();
}

// A parked link that was lost after another worker had taken it out of the pool, and before that
// worker asked for it.
void Engine::bury_lost(ServerLink& link) {
  link_closed(link);
  count_out(link.pool(), link.parking().leaving);
}

void Engine::count_out(Pool& pool, bool leaving) {
  tell(pool.closed(leaving),
       {pg::sqlstate::kConnectionFailure,
        "the last server connection for database \"" + pool.key().database + "\", user \"" +
            pool.key().user + "\" was lost, and none can be opened without a new login",
        {},
        "Connect again."});
  feed_starved(pool);
  open_links(pool.shared_from_this(), pool.plan(now_, !draining_));
}

// ---------------------------------------------------------------- clusters

void Engine::tell_all_cluster_changed(const std::shared_ptr<Cluster>& cluster) {
  for (std::size_t i = 0; i < shared_.workers; ++i) {
    shared_.courier->send(WorkerId(static_cast<std::uint16_t>(i)), mail::ClusterChanged{cluster});
  }
}

void Engine::suspect(const Pool& pool) {
  const auto& cluster = pool.target().member_of();
  if (cluster != nullptr) shared_.courier->send(WorkerId(0), mail::AskHosts{cluster});
}

void Engine::receive(mail::AskHosts& ask) {
  if (monitor_ != nullptr) monitor_->ask_now(*ask.cluster);
}

void Engine::receive(mail::AskTables&) {
  if (monitor_ != nullptr) monitor_->look_at_tables(shared_.pools.all());
}

void Engine::tell_all_tables_known(const std::shared_ptr<CatalogEpoch>& catalog) {
  for (std::size_t i = 0; i < shared_.workers; ++i) {
    shared_.courier->send(WorkerId(static_cast<std::uint16_t>(i)), mail::TablesKnown{catalog});
  }
}

void Engine::receive(mail::TablesKnown& known) {
  for (const auto& pool : shared_.pools.all()) {
    if (pool->shared_catalog() == known.catalog) serve_waiters(*pool);
  }
}

void Engine::receive(mail::ClusterChanged& changed) {
  if (hubs_ != nullptr) hubs_->look();
  std::vector<ServerLink*> fenced;
  std::vector<ServerLink*> unwanted;
  const auto view = changed.cluster->view();
  for (ServerLink& link : links_) {
    const PoolTarget& target = link.pool().target();
    if (target.member_of() != changed.cluster) continue;
    if (link.fenced()) {
      fenced.push_back(&link);
      continue;
    }
    // What was to be read from a replica is of no use where that is the primary now.
    const bool unread = link.pool().is_reader() && view->primary == target.read_host;
    // Opened before anybody knew: with another list of hosts.
    const bool elsewhere = !link.pool().is_reader() && view->watched && view->primary &&
                           link.host() != target.hosts[*view->primary] && link.pool().credential();
    if (link.phase() == ServerLink::Phase::parked && (unread || elsewhere || link.left_behind())) {
      unwanted.push_back(&link);
    }
  }
  for (ServerLink* link : unwanted) {
    if (link->pool().retire(*link)) link->close();
  }
  // One may end another's: a session that loses its link may let go of a second one.
  for (ServerLink* link : fenced) {
    if (link->phase() != ServerLink::Phase::closed) link->give_up();
  }
  for (const auto& pool : shared_.pools.all()) {
    if (pool->target().read_cluster == changed.cluster) leave_shut(*pool);
    if (pool->target().cluster != changed.cluster) continue;
    pool->forget_failures(now_);
    serve_waiters(*pool);
    open_links(pool, pool->plan(now_, !draining_));
  }
  for (auto& [pool, gate] : gates_) {
    if (pool->target().cluster == changed.cluster) start_login(pool, gate);
  }
}

// Whoever waits for a replica that does not answer, or that operators want nothing to go to: the
// primary will do.
void Engine::leave_shut(Pool& reader) {
  Pool::ReaderShut why{};
  const auto left = reader.leave_host(why);
  if (left.empty()) return;
  tell(left, {pg::sqlstate::kCannotConnectNow,
              "server \"" + to_string(reader.target().hosts.front()) + "\" " +
                  (why == Pool::ReaderShut::down ? "does not answer" : "is drained or banned") +
                  ": see SHOW HOSTS"});
}

// On the first worker.
void Engine::follow_host_orders(const std::vector<std::shared_ptr<Cluster>>& clusters) {
  for (const auto& cluster : clusters) {
    monitor_->judge(*cluster);
    tell_all_cluster_changed(cluster);
  }
}

void Engine::end_host_orders() {
  for (const auto& ended : shared_.pools.end_orders(now_)) {
    note({.weight = Weight::normal,
          .event = "host_order_ended",
          .text =
              "no longer " + std::string(to_string(ended.order->standing)) + " by an operator: " +
              (ended.listed ? "its time is over" : "the configuration does not have it any more"),
          .host = to_string(ended.host)});
    follow_host_orders(ended.clusters);
  }
}

// Statements that were held go on; those that were held for too long are told.
void Engine::serve_waiters(Pool& pool) {
  while (ServerLink* link = pool.take_for_waiter(id_, now_)) release(*link);
  const auto hold = config().failover_hold;
  const auto overdue = pool.overdue(now_, hold);
  if (overdue.empty()) return;
  const auto& cluster = pool.target().cluster;
  tell(overdue, {pg::sqlstate::kCannotConnectNow,
                 "no server of database \"" + pool.key().database +
                     "\" is a primary, for longer than "
                     "failover_hold (" +
                     std::to_string(hold.count()) + " ms)",
                 cluster == nullptr ? std::string() : why_no_primary(*cluster, now_),
                 "Look at the servers' roles in the log or in SHOW HOSTS; try again later."});
}

// ---------------------------------------------------------------- logins by way of the server

void Engine::open_for(ClientSession& session, bool relayed, bool dedicated) {
  const bool waits = dedicated && session.pool()->expects_primary(now_, config().failover_hold);
  if (waits) suspect(*session.pool());
  if (!relayed && !waits) {
    ServerLink& link = adopt(std::make_unique<ServerLink>(*this, session.pool()));
    link.open(&session, false, dedicated, false);
    return;
  }
  LoginGate& gate = gates_[session.pool()];
  gate.waiting.push_back(session.key());
  start_login(session.pool(), gate);
  if (gate.idle()) gates_.erase(session.pool());
}

// At one of the next ticks.
void Engine::retry_login(ClientSession& session) {
  LoginGate& gate = gates_[session.pool()];
  gate.waiting.push_back(session.key());
  gate.shut_until = now_ + kRetryLogin;
  look_soon();
}

void Engine::look_soon() {
  if (std::exchange(waiting_, true)) return;
  timers_.arm(tick_timer_, now_ + std::chrono::milliseconds(100));
}

void Engine::start_login(const std::shared_ptr<Pool>& pool, LoginGate& gate) {
  if (!gate.waiting.empty() && (pool->paused() || now_ < gate.shut_until)) {
    look_soon();  // the tick sees that it goes on
    return;
  }
  // A connection that only a client can open is to lead to the primary. Where nothing else is known
  // to ask the hosts with, this login shows it.
  if (!gate.waiting.empty() && pool->awaits_monitor() && !pool->credential()) {
    suspect(*pool);
    look_soon();
    return;
  }
  const std::uint32_t places = std::max(1u, config().max_connecting);
  // Who replicates has nothing from a login that leads elsewhere: its statements go there, too.
  const bool held = pool->expects_primary(now_, config().failover_hold);
  for (std::size_t left = gate.waiting.size(); left > 0 && gate.open < places; --left) {
    const SessionKey key = gate.waiting.front();
    ClientSession* session = find(key);
    gate.waiting.pop_front();
    if (session == nullptr || !session->awaits_login()) continue;
    const bool dedicated = session->startup().replication != Replication::none;
    if (held && dedicated) {
      gate.waiting.push_back(key);
      look_soon();
      continue;
    }
    const bool relayed = session->phase() == ClientSession::Phase::relayed_login;
    if (relayed) ++gate.open;
    const bool reserved = !dedicated && pool->reserve_login();
    ServerLink& link = adopt(std::make_unique<ServerLink>(*this, pool));
    link.open(session, relayed, dedicated, reserved);
  }
}

void Engine::leave_login(const std::shared_ptr<Pool>& pool) {
  const auto found = gates_.find(pool);
  FB_ASSERT(found != gates_.end() && found->second.open > 0);
  LoginGate& gate = found->second;
  --gate.open;
  if (!stopped_) start_login(pool, gate);
  if (gate.idle()) gates_.erase(found);
}

// ---------------------------------------------------------------- limits that pools share

void Engine::make_room(const Quota& quota, Pool& pool) {
  WorkerId home;
  ServerLink* link = shared_.pools.evict(quota, pool, home);
  if (link == nullptr) return;
  if (home == id_ && to_client().empty()) {
    link->close();
  } else {
    // Nor here and now where another session's answers are to be sent first: whoever waited for
    // the link may be told so.
    shared_.courier->send(home, mail::CloseLink{link});
  }
}

void Engine::feed_starved(Pool& freed) {
  for (const auto& quota : freed.quotas()) feed_starved(*quota);
}

void Engine::feed_starved(Quota& quota) {
  if (stopped_) return;
  for (const auto& pool : quota.take_starved()) {
    open_links(pool, pool->plan(now_, !draining_));
  }
}

void Engine::link_closed(ServerLink& link) {
  for (const auto& attempt : cancels_) {
    if (attempt->link() == &link) attempt->forget_link();
  }
  links_.erase(links_.iterator_to(link));
  dead_links_.emplace_back(&link);
  if (const auto place = link.leave_place()) feed_starved(*place);
  if (const auto place = link.leave_tenant_place()) leave_limit(place);
}

}  // namespace forebay::core
