#include <algorithm>
#include <utility>

#include "core/client/client_throttle.hpp"
#include "core/console/console.hpp"
#include "core/engine/engine.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// What a worker does for consoles, its own and those of other workers.
namespace forebay::core {
namespace {

std::string tls_text(const Stream& stream) {
  const TlsFacts* tls = stream.tls();
  return tls == nullptr ? std::string() : tls->version + "/" + tls->cipher;
}

std::string_view state_of(ClientSession::Phase phase) {
  switch (phase) {
    case ClientSession::Phase::waiting:
    case ClientSession::Phase::held:
    case ClientSession::Phase::awaiting_server:
    case ClientSession::Phase::validating:
      return "waiting";
    case ClientSession::Phase::idle:
      return "idle";
    case ClientSession::Phase::linked:
      return "active";
    default:
      return "login";
  }
}

std::string_view state_of(ServerLink::Phase phase) {
  switch (phase) {
    case ServerLink::Phase::opening:
      return "login";
    case ServerLink::Phase::linked:
    case ServerLink::Phase::away:
      return "active";
    case ServerLink::Phase::parked:
      return "idle";
    case ServerLink::Phase::cooling:
      return "being_canceled";
    default:
      return "tested";
  }
}

const std::vector<Endpoint>& hosts_of(const PoolTarget& target) {
  return target.read_cluster == nullptr ? target.hosts : target.read_cluster->hosts();
}

}  // namespace

ClientFacts ClientSession::facts() const {
  ClientFacts facts;
  facts.database = login_ != nullptr ? login_->facts.database : pool_->key().database;
  facts.user = login_ != nullptr ? login_->facts.user : user();
  // Who keeps a link may be held, too.
  facts.state = state_of(throttle_ != nullptr && throttle_->held ? Phase::held : phase_);
  if (relay_.settings != nullptr) {
    const std::string* name = relay_.settings->find(kApplicationName);
    if (name != nullptr) facts.application_name = *name;
  }
  if (relay_.tenant != nullptr) facts.tenant = relay_.tenant->value;
  facts.tls = tls_text(*stream_);
  facts.peer = stream_->peer();
  facts.id = engine_.process_id(key_);
  facts.remote_pid = link_ == nullptr ? 0 : link_->process_id();
  if (relay_.statements != nullptr) {
    facts.prepared_statements = static_cast<std::uint32_t>(relay_.statements->size());
  }
  facts.connected = connected_;
  if (wants_link()) facts.waits_since = ticket_.since;
  facts.pins = relay_.pins;
  facts.replication = link_ != nullptr && link_->dedicated();
  return facts;
}

ServerFacts ServerLink::facts() const {
  ServerFacts facts;
  facts.database = pool_->key().database;
  facts.user = pool_->key().user;
  facts.state = state_of(phase_);
  if (stream_ != nullptr) facts.tls = tls_text(*stream_);
  facts.host = host_;
  facts.process_id = relay_.process_id;
  if (client_ != nullptr) facts.client = engine_->process_id(client_->key());
  facts.prepared_statements = static_cast<std::uint32_t>(relay_.statements.size());
  facts.connected = opened_at_;
  facts.close_needed = worn(engine_->now()) || pool_->unwanted(*this);
  facts.replication = dedicated_;
  return facts;
}

// ---------------------------------------------------------------- the engine's consoles

void Engine::open_console(Consoles::Setup setup) {
  consoles_.push_back(shared_.consoles->open(*this, std::move(setup)));
  consoles_.back()->begin();
}

void Engine::console_closed(Console& console) {
  const auto found = std::ranges::find(consoles_, &console, &std::unique_ptr<Console>::get);
  if (found == consoles_.end()) return;
  dead_consoles_.push_back(std::move(*found));
  consoles_.erase(found);
}

Console* Engine::find_console(std::uint64_t number) {
  for (const auto& console : consoles_) {
    if (console->number() == number) return console.get();
  }
  return nullptr;
}

void Engine::receive(mail::Reported& reported) {
  if (Console* console = find_console(reported.console)) console->reported(reported.report);
}

void Engine::receive(mail::Answered& answered) {
  if (Console* console = find_console(answered.console)) console->answered(answered.answer);
}

// ---------------------------------------------------------------- orders

void Engine::receive(mail::Ordered& ordered) {
  auto report = std::make_shared<WorkerReport>();
  report->worker = id_;
  switch (ordered.order.kind) {
    case Order::Kind::report:
      this->report(*report);
      break;
    case Order::Kind::free_links:
      free_links(ordered.order.database);
      break;
    case Order::Kind::kill:
      kill(ordered.order.database);
      break;
    case Order::Kind::kill_client:
      report->found = kill_client(ordered.order.client);
      break;
    case Order::Kind::tenant:
      follow_orders(ordered.order.database);
      break;
    case Order::Kind::hosts:
      if (monitor_ != nullptr) follow_host_orders(ordered.order.clusters);
      break;
    case Order::Kind::suspension:
      report->busy = follow_suspension();
      break;
  }
  shared_.courier->send(ordered.from, mail::Reported{ordered.console, std::move(report)});
}

void Engine::report(WorkerReport& report) {
  for (const ClientSession& session : sessions_) {
    if (session.known()) report.clients.push_back(session.facts());
  }
  for (const ServerLink& link : links_) {
    if (link.phase() != ServerLink::Phase::closed) report.servers.push_back(link.facts());
  }
}

void Engine::free_links(const std::string& database) {
  std::vector<ServerLink*> leaving;
  for (ServerLink& link : links_) {
    if (!database.empty() && link.pool().key().database != database) continue;
    if (link.phase() == ServerLink::Phase::parked && link.pool().unwanted(link)) {
      leaving.push_back(&link);
    }
  }
  for (ServerLink* link : leaving) {
    if (link->pool().retire(*link)) link->close();
  }
  // The monitor may be in that database.
  if (monitor_ != nullptr && !draining_) monitor_->look(shared_.pools.all());
}

// PostgreSQL does not drop or copy a database that somebody is in: idle links of pools that no
// client is in are nobody. It waits for them to go, so the statement may follow at once; and for
// clients that leave meanwhile.
void Engine::vacate(const PoolTarget& target, const std::string& database, bool asked) {
  constexpr std::chrono::seconds kServerWaits{5};
  std::vector<std::shared_ptr<Pool>> pools;
  for (auto& pool : shared_.pools.all()) {
    const PoolTarget& other = pool->target();
    const bool same_server =
        std::ranges::find_first_of(other.hosts, target.hosts) != other.hosts.end();
    if (other.database == database && same_server) pools.push_back(std::move(pool));
  }
  bool empty = true;
  for (const auto& pool : pools) {
    if (asked) pool->want_empty(now_ + kServerWaits);
    empty = empty && pool->counts().clients == 0;
  }
  if (!empty) return;
  for (const auto& pool : pools) {
    pool->want_empty({});
    pool->vacate(now_);
    for (std::size_t i = 0; i < shared_.workers; ++i) {
      const Order order{Order::Kind::free_links, pool->key().database};
      shared_.courier->send(WorkerId(static_cast<std::uint16_t>(i)),
                            mail::Ordered{order, id_, kNoConsole});
    }
  }
}

// The servers of a reader are its cluster's, which is what roles are of. Before the client hears of
// the commit, no idle link is left that the next login could get.
void Engine::roles_renamed(const PoolTarget& target, const std::vector<std::string>& roles) {
  const auto& hosts = hosts_of(target);
  for (const auto& pool : shared_.pools.all()) {
    if (std::ranges::find(roles, pool->key().user) == roles.end()) continue;
    const auto& others = hosts_of(pool->target());
    if (std::ranges::find_first_of(others, hosts) == others.end()) continue;
    for (const Pool::Retired& retired : pool->role_renamed()) {
      shared_.courier->send(retired.home, mail::CloseLink{retired.link});
    }
  }
}

void Engine::kill(const std::string& database) {
  const Refused reason = terminated("The database was killed in the console.");
  std::vector<SessionKey> keys;
  for (const ClientSession& session : sessions_) {
    if (session.pool() != nullptr && session.pool()->key().database == database) {
      keys.push_back(session.key());
    }
  }
  for (const SessionKey key : keys) {
    if (ClientSession* session = find(key)) session->fatal(reason);
  }
  std::vector<ServerLink*> links;
  for (ServerLink& link : links_) {
    if (link.pool().key().database == database) links.push_back(&link);
  }
  for (ServerLink* link : links) {
    if (link->phase() == ServerLink::Phase::closed) continue;
    // One that another worker has taken is closed there, when it is free.
    if (link->phase() == ServerLink::Phase::parked && !link->pool().retire(*link)) continue;
    link->close();
  }
}

bool Engine::kill_client(std::uint32_t id) {
  for (ClientSession& session : sessions_) {
    if (!session.known() || process_id(session.key()) != id) continue;
    session.fatal(terminated("The client was killed in the console."));
    return true;
  }
  return false;
}

// Whoever waits for a place goes on where nothing is paused any more.
bool Engine::change_orders(const std::string& tenant, const TenantOrderBook::Change& change) {
  const auto then = [&](const TenantOrders& orders) {
    const config::TenantSettings& settings = config().tenants;
    const config::TenantLimits* limits = orders.limit ? &orders.limits : nullptr;
    const auto limit = shared_.statement_limits.find_or_make(
        StatementLimit::name_of_tenant(tenant), settings.label_of_statements(tenant, limits),
        settings.statements_of(tenant, limits), now_);
    for (const SessionKey session : limit->pause(orders.pause.has_value())) {
      shared_.courier->send(session.worker, mail::Admitted{limit, session});
    }
    admit_more(shared_.link_limits.find_or_make(
        StatementLimit::name_of_tenant(tenant),
        settings.label_of(tenant, &config::TenantLimits::max_tenant_connections, limits),
        settings.connections_of(tenant, limits), now_));
  };
  return shared_.tenant_orders.change(tenant, change, then);
}

void Engine::follow_orders(const std::string& tenant) {
  std::vector<SessionKey> keys;
  for (const ClientSession& session : sessions_) {
    if (session.is_of(tenant)) keys.push_back(session.key());
  }
  for (const SessionKey key : keys) {
    if (ClientSession* session = find(key)) session->follow_orders();
  }
}

// What was ordered for a time.
void Engine::end_orders() {
  for (const std::string& tenant : shared_.tenant_orders.over(now_)) {
    const auto end = [&](std::optional<TenantOrders::Order>& order, std::string_view what) {
      if (!order || !order->over(now_)) return;
      note({.weight = Weight::normal,
            .event = "tenant_order_ended",
            .text = std::string(what) + " was ordered" + order->words() + ", by user \"" +
                    order->by + "\", and is over",
            .tenant = tenant});
      order.reset();
    };
    change_orders(tenant, [&](TenantOrders& orders) {
      end(orders.ban, "BAN TENANT");
      end(orders.pause, "PAUSE TENANT");
      end(orders.limit, "LIMIT TENANT");
      if (!orders.limit) orders.limits = {};
    });
    const Order order{Order::Kind::tenant, tenant};
    for (std::size_t i = 0; i < shared_.workers; ++i) {
      shared_.courier->send(WorkerId(static_cast<std::uint16_t>(i)),
                            mail::Ordered{order, id_, kNoConsole});
    }
  }
}

// So many clients are still being answered. Who orders SUSPEND asks again until there is none; who
// orders RESUME meanwhile has the last word, whatever order arrives last.
std::size_t Engine::follow_suspension() {
  suspended_ = shared_.suspended_by != kNoConsole;
  std::size_t busy = 0;
  for (ClientSession& session : sessions_) {
    if (!session.follow_suspension()) ++busy;
  }
  return busy;
}

// ---------------------------------------------------------------- a pool goes on

void Engine::resume(const std::shared_ptr<Pool>& pool) {
  for (const Pool::Served& served : pool->resume()) {
    shared_.courier->send(served.home, mail::SummonLink{served.link, served.session});
  }
  open_links(pool, pool->plan(now_, !draining_));
  // While everything was paused nobody asked the hosts.
  if (pool->awaits_monitor()) suspect(*pool);
}

}  // namespace forebay::core
