#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "admin/show.hpp"
#include "forebay/config/names.hpp"

// SHOW DATABASES, POOLS, USERS, LISTS, STATE, PEERS, PEER_POOLS.
namespace forebay::admin {
namespace {

using core::Pool;
constexpr Type kInt = Type::int4;

constexpr Column kDatabases[] = {{"name"},
                                 {"host"},
                                 {"port", kInt},
                                 {"database"},
                                 {"force_user"},
                                 {"pool_size", kInt},
                                 {"min_pool_size", kInt},
                                 {"reserve_pool_size", kInt},
                                 {"server_lifetime", kInt},
                                 {"pool_mode"},
                                 {"load_balance_hosts"},
                                 {"max_connections", kInt},
                                 {"current_connections", kInt},
                                 {"max_client_connections", kInt},
                                 {"current_client_connections", kInt},
                                 {"paused", kInt},
                                 {"disabled", kInt}};

struct Sums {
  std::uint32_t servers = 0;
  std::uint32_t clients = 0;
};

std::string joined(const std::vector<Endpoint>& hosts) {
  std::string text;
  for (const Endpoint& host : hosts) text += (text.empty() ? "" : ",") + host.host;
  return text;
}

// The entries of the configuration, and what "*" serves at present.
Rows databases(const View& view) {
  std::map<std::string, Sums> sums;
  for (const auto& [name, entry] : view.config.databases) sums[name];
  for (const auto& pool : view.shared.pools.all()) {
    const Pool::Counts counts = pool->counts();
    Sums& sum = sums[pool->key().database];
    sum.servers += counts.total;
    sum.clients += counts.clients;
  }
  Rows rows;
  for (const auto& [name, sum] : sums) {
    const config::Database* entry = view.config.find_database(name);
    if (entry == nullptr) continue;
    const config::PoolSettings settings = view.config.pool_settings(*entry, nullptr);
    rows.push_back(
        {name, joined(entry->hosts), entry->hosts.front().port,
         entry->dbname.empty() ? name : entry->dbname,
         entry->user.empty() ? Value::none() : Value(entry->user), settings.pool_size,
         settings.min_pool_size, settings.reserve_pool_size,
         std::chrono::duration_cast<std::chrono::seconds>(settings.server_lifetime).count(),
         config::to_string(settings.pool_mode), Value::none(), entry->max_db_connections,
         sum.servers, 0, sum.clients, view.shared.pools.paused(name) ? 1 : 0,
         view.shared.pools.disabled(name) ? 1 : 0});
  }
  for (const std::string_view name : config::kConsoleDatabases) {
    rows.push_back({name, Value::none(), view.config.listen.front().port, name, name, 2, 0, 0, 0,
                    "statement", Value::none(), 0, 0, 0, 0, 0, 0});
  }
  return rows;
}

constexpr Column kPools[] = {{"database"},
                             {"user"},
                             {"cl_active", kInt},
                             {"cl_waiting", kInt},
                             {"cl_active_cancel_req", kInt},
                             {"cl_waiting_cancel_req", kInt},
                             {"sv_active", kInt},
                             {"sv_active_cancel", kInt},
                             {"sv_being_canceled", kInt},
                             {"sv_idle", kInt},
                             {"sv_used", kInt},
                             {"sv_tested", kInt},
                             {"sv_login", kInt},
                             {"maxwait", kInt},
                             {"maxwait_us", kInt},
                             {"pool_mode"},
                             {"load_balance_hosts"}};
constexpr Column kPoolsExtended[] = {{"database"},        {"user"},
                                     {"cl_active", kInt}, {"cl_waiting", kInt},
                                     {"sv_active", kInt}, {"sv_idle", kInt},
                                     {"sv_login", kInt},  {"sv_total", kInt},
                                     {"pool_size", kInt}, {"min_pool_size", kInt},
                                     {"maxwait", kInt},   {"maxwait_us", kInt},
                                     {"pool_mode"},       {"hosts"},
                                     {"preferred_host"},  {"paused", kInt},
                                     {"reopens", kInt}};

std::int64_t longest_wait(const View& view, const Pool::Counts& counts) {
  if (counts.oldest_wait == kNever || counts.oldest_wait > view.now) return 0;
  using std::chrono::microseconds;
  return std::chrono::duration_cast<microseconds>(view.now - counts.oldest_wait).count();
}

// With auth = "server": made for a login that the server refused.
bool of_nobody(const Pool& pool, const Pool::Counts& counts) {
  return counts.clients == 0 && counts.total == 0 && pool.statistics().blank();
}

// Counted at slightly different moments: never below zero.
std::uint32_t rest(std::uint32_t all, std::uint32_t part) {
  return all > part ? all - part : 0;
}

// One row for each database and user: with the links to read from, which follow in the list.
Rows pools(const View& view) {
  std::vector<std::pair<std::shared_ptr<Pool>, Pool::Counts>> all;
  for (const auto& pool : view.shared.pools.all()) {
    const Pool::Counts counts = pool->counts();
    if (of_nobody(*pool, counts)) continue;
    const bool reads_for_last = pool->is_reader() && !all.empty() &&
                                all.back().first->key().database == pool->key().database &&
                                all.back().first->key().user == pool->key().user;
    if (!reads_for_last) {
      all.emplace_back(pool, counts);
      continue;
    }
    Pool::Counts& sum = all.back().second;
    sum.total += counts.total;
    sum.opening += counts.opening;
    sum.parked += counts.parked;
    sum.waiting += counts.waiting;
    sum.oldest_wait = std::min(sum.oldest_wait, counts.oldest_wait);
  }
  Rows rows;
  for (const auto& [pool, counts] : all) {
    const std::int64_t wait = longest_wait(view, counts);
    rows.push_back({pool->key().database, pool->key().user, rest(counts.clients, counts.waiting),
                    counts.waiting, 0, 0, rest(counts.total, counts.opening + counts.parked), 0, 0,
                    counts.parked, 0, 0, counts.opening, wait / 1'000'000, wait % 1'000'000,
                    config::to_string(pool->settings().pool_mode), Value::none()});
  }
  return rows;
}

Rows pools_extended(const View& view) {
  Rows rows;
  for (const auto& pool : view.shared.pools.all()) {
    const Pool::Counts counts = pool->counts();
    if (!pool->is_reader() && of_nobody(*pool, counts)) continue;
    const std::int64_t wait = longest_wait(view, counts);
    const auto& hosts = pool->target().hosts;
    std::string all;
    for (const Endpoint& host : hosts) all += (all.empty() ? "" : ",") + to_string(host);
    rows.push_back(
        {pool->key().database, pool->key().user, rest(counts.clients, counts.waiting),
         counts.waiting, rest(counts.total, counts.opening + counts.parked), counts.parked,
         counts.opening, counts.total, pool->settings().pool_size, pool->settings().min_pool_size,
         wait / 1'000'000, wait % 1'000'000, config::to_string(pool->settings().pool_mode), all,
         to_string(hosts[pool->preferred_host()]), pool->paused() ? 1 : 0, counts.reopens ? 1 : 0});
  }
  return rows;
}

constexpr Column kUsers[] = {{"name"},
                             {"pool_size", kInt},
                             {"reserve_pool_size", kInt},
                             {"pool_mode"},
                             {"max_user_connections", kInt},
                             {"current_connections", kInt},
                             {"max_user_client_connections", kInt},
                             {"current_client_connections", kInt}};

Rows users(const View& view) {
  std::map<std::string, Sums> sums;
  for (const auto& [name, user] : view.config.users) sums[name];
  for (const auto& pool : view.shared.pools.all()) {
    const Pool::Counts counts = pool->counts();
    Sums& sum = sums[pool->key().user];
    sum.servers += counts.total;
    sum.clients += counts.clients;
  }
  Rows rows;
  for (const auto& [name, sum] : sums) {
    const config::User* user = view.config.find_user(name);
    const config::PoolOverrides own = user == nullptr ? config::PoolOverrides{} : user->pool;
    rows.push_back({name, own.pool_size ? Value(*own.pool_size) : Value::none(),
                    own.reserve_pool_size ? Value(*own.reserve_pool_size) : Value::none(),
                    own.pool_mode ? Value(config::to_string(*own.pool_mode)) : Value::none(),
                    user == nullptr ? 0 : user->max_user_connections, sum.servers, 0, sum.clients});
  }
  return rows;
}

constexpr Column kLists[] = {{"list"}, {"items", kInt}};

Rows lists(const View& view) {
  std::uint32_t links = 0;
  std::uint32_t parked = 0;
  std::uint32_t clients = 0;
  std::set<std::string> names;
  const auto all = view.shared.pools.all();
  for (const auto& pool : all) {
    const Pool::Counts counts = pool->counts();
    links += counts.total;
    parked += counts.parked;
    clients += counts.clients;
    names.insert(pool->key().user);
  }
  for (const auto& [name, user] : view.config.users) names.insert(name);
  const std::uint32_t known = view.shared.clients.load(std::memory_order_relaxed);
  const core::Control* control = view.shared.control;
  return {{"databases", databases(view).size()},
          {"users", names.size()},
          {"peers", view.config.peers.size()},
          {"pools", all.size()},
          {"peer_pools", 0},
          {"free_clients", 0},
          {"used_clients", clients},
          {"login_clients", rest(known, clients)},
          {"free_servers", parked},
          {"used_servers", rest(links, parked)},
          {"dns_names", control == nullptr ? 0 : control->named_hosts().size()},
          {"dns_zones", 0},
          {"dns_queries", 0},
          {"dns_pending", 0}};
}

constexpr Column kState[] = {{"key"}, {"value"}};

Rows state(const View& view) {
  const bool paused = view.shared.pools.paused("");
  const bool suspended = view.shared.suspended_by != core::kNoConsole;
  return {{"active", paused || suspended ? "no" : "yes"},
          {"paused", paused ? "yes" : "no"},
          {"suspended", suspended ? "yes" : "no"}};
}

constexpr Column kPeers[] = {{"peer_id", kInt}, {"host"}, {"port", kInt}, {"pool_size", kInt}};
// They have no pools: a cancel request gets a connection of its own.
Rows peers(const View& view) {
  Rows rows;
  for (const Endpoint& peer : view.config.peers) {
    rows.push_back({rows.size() + 1, peer.host, peer.port, 0});
  }
  return rows;
}

constexpr Column kPeerPools[] = {{"peer_id", kInt},
                                 {"cl_active_cancel_req", kInt},
                                 {"cl_waiting_cancel_req", kInt},
                                 {"sv_active_cancel", kInt},
                                 {"sv_login", kInt}};

Rows nothing(const View&) {
  return {};
}

}  // namespace

std::vector<ShowLine> show_pools() {
  return {{"DATABASES", kDatabases, databases},
          {"POOLS", kPools, pools},
          {"POOLS EXTENDED", kPoolsExtended, pools_extended},
          {"USERS", kUsers, users},
          {"LISTS", kLists, lists},
          {"STATE", kState, state},
          {"PEERS", kPeers, peers},
          {"PEER_POOLS", kPeerPools, nothing}};
}

}  // namespace forebay::admin
