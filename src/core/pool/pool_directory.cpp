#include "core/pool/pool_directory.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/statistics/label_names.hpp"

namespace forebay::core {
namespace {

/// Of so many pools that are gone at most the numbers are kept.
constexpr std::size_t kStatisticsMax = 10'000;
/// The same of databases whose pools' counters were dropped.
constexpr std::size_t kGoneMax = 500;
/// Limits that count nothing are kept, for whoever looks at them, up to so many.
constexpr std::size_t kQuotasMax = 1'000;

// What to log in to servers with, where the configuration says it.
std::optional<auth::Credential> configured_credential(const Runtime& runtime,
                                                      const config::Database& database,
                                                      const std::string& name,
                                                      const std::string& user) {
  if (!database.user.empty() && !database.password.empty()) {
    return auth::Credential{auth::Password(database.password)};
  }
  if (const auto secrets = runtime.find_secrets(user)) {
    const auth::Credential credential = secrets->credential();
    if (!std::holds_alternative<auth::NoCredential>(credential)) return credential;
    if (!secrets->verifiers().empty()) return std::nullopt;  // a client's login recovers the keys
  }
  if (database.user.empty() && runtime.looks_up(name, user)) return std::nullopt;
  const config::AuthMethod method = database.auth.value_or(runtime.config.auth);
  if (method == config::AuthMethod::server) return std::nullopt;
  return auth::Credential{auth::NoCredential{}};
}

}  // namespace

std::optional<PoolTarget> target_of(const Runtime& runtime, const std::string& database) {
  const config::Database* entry = runtime.config.find_database(database);
  if (entry == nullptr) return std::nullopt;
  PoolTarget target;
  target.hosts = entry->hosts;
  target.database = entry->dbname.empty() ? database : entry->dbname;
  target.tls_settings = entry->server_tls ? *entry->server_tls : runtime.config.server_tls;
  target.tls_mode = target.tls_settings.mode;
  const std::string entry_name = runtime.config.databases.contains(database) ? database : "*";
  const auto context = runtime.server_tls.find(entry_name);
  if (context != runtime.server_tls.end()) target.tls = context->second;
  return target;
}

bool in_a_cluster(const config::Config& config, const Endpoint& host) {
  return std::ranges::any_of(config.databases, [&](const auto& entry) {
    const auto& hosts = entry.second.hosts;
    return hosts.size() > 1 && std::ranges::find(hosts, host) != hosts.end();
  });
}

std::shared_ptr<Pool> PoolDirectory::find_or_make(const Runtime& runtime,
                                                  const std::string& database,
                                                  const std::string& user) {
  const std::lock_guard lock(mutex_);
  // A worker that has not heard of a reload yet must not make a pool that the reload has missed.
  const Runtime& newest = reloaded_ != nullptr ? *reloaded_ : runtime;
  const config::Database* entry = newest.config.find_database(database);
  if (entry == nullptr) return nullptr;
  PoolKey key{database, entry->user.empty() ? user : entry->user, 0};
  if (const auto found = pools_.find(key); found != pools_.end()) return found->second;
  Pool::Setup setup = setup_for(newest, *entry, key);
  set_readers(setup, *entry, newest.config.zone, nullptr);
  auto pool = std::make_shared<Pool>(std::move(setup));
  for (const auto& reader : pool->readers()) reader->read_for(pool);
  pools_.emplace(std::move(key), pool);
  ++version_;
  return pool;
}

Replaced PoolDirectory::reload(std::shared_ptr<const Runtime> runtime) {
  Replaced replaced;
  const std::lock_guard lock(mutex_);
  std::set<PoolKey> served;
  for (const auto& [key, pool] : std::map(pools_)) {
    const config::Database* entry = runtime->config.find_database(key.database);
    if (key.reader > 0 || entry == nullptr || (!entry->user.empty() && entry->user != key.user)) {
      continue;
    }
    Pool::Setup setup = setup_for(*runtime, *entry, key);
    set_readers(setup, *entry, runtime->config.zone, &replaced);
    served.insert(key);
    for (const auto& reader : setup.readers) {
      served.insert(reader->key());
      reader->read_for(pool);
      if (const auto credential = pool->credential()) reader->learn_credential(*credential);
    }
    pool->replace(std::move(setup), replaced);
  }
  for (const auto& [key, pool] : pools_) {
    if (!served.contains(key)) pool->give_up(replaced);
  }
  replaced.push_back(std::exchange(reloaded_, std::move(runtime)));
  return replaced;
}

Pool::Setup PoolDirectory::setup_for(const Runtime& runtime, const config::Database& entry,
                                     PoolKey key) {
  const config::Config& config = runtime.config;
  const config::User* user = config.find_user(key.user);
  Pool::Setup setup;
  setup.target = *target_of(runtime, key.database);
  if (entry.hosts.size() > 1) setup.target.cluster = cluster(entry.hosts);
  setup.target.monitored = config.monitor_interval.count() > 0;
  const tenant::Policy* policy = runtime.tenants.get();
  setup.target.tenant_tables = policy != nullptr && policy->tables_with_column &&
                               policy->firewall != tenant::Mode::off &&
                               config.tenants.may_be_in(key.database);
  setup.target.monitor_user = entry.monitor_user;
  if (!entry.monitor_user.empty()) {
    setup.target.monitor_credential =
        entry.monitor_password.empty() ? auth::Credential{auth::NoCredential{}}
                                       : auth::Credential{auth::Password(entry.monitor_password)};
  }
  setup.settings = config.pool_settings(entry, user);
  setup.max_connecting = config.max_connecting;
  setup.unavailable_timeout = config.server_unavailable_timeout;
  if (entry.max_db_connections > 0) {
    setup.quotas.push_back(
        quota("max_db_connections of database \"" + key.database + "\"", entry.max_db_connections));
  }
  if (user != nullptr && user->max_user_connections > 0) {
    setup.quotas.push_back(
        quota("max_user_connections of user \"" + key.user + "\"", user->max_user_connections));
  }
  for (const Endpoint& host : entry.hosts) {
    setup.host_quotas.push_back(quota("max_host_connections of host \"" + to_string(host) + "\"",
                                      config.max_host_connections));
  }
  std::shared_ptr<CatalogEpoch>& catalog =
      catalogs_[to_string(entry.hosts.front()) + '/' + setup.target.database];
  if (catalog == nullptr) catalog = std::make_shared<CatalogEpoch>();
  setup.catalog = catalog;
  std::shared_ptr<PoolStatistics>& statistics = statistics_[key];
  if (statistics == nullptr)
    statistics = std::make_shared<PoolStatistics>(workers_, key.database, key.user);
  setup.statistics = statistics;
  setup.workers = workers_;
  setup.serial = ++serials_;
  setup.credential = configured_credential(runtime, entry, key.database, key.user);
  setup.paused = paused_.contains(key.database) || paused_.contains("");
  setup.key = std::move(key);
  return setup;
}

// The readers that a pool is to have: those that are there, as they are to be now, or new ones.
void PoolDirectory::set_readers(Pool::Setup& setup, const config::Database& entry,
                                const std::string& zone, Replaced* replaced) {
  if (!setup.settings.split_reads || setup.target.hosts.size() < 2 ||
      setup.settings.pool_mode == config::PoolMode::session) {
    return;
  }
  for (std::size_t host = 0; host < setup.target.hosts.size(); ++host) {
    const std::uint32_t weight = entry.weights.empty() ? 1 : entry.weights[host];
    Pool::Setup one = reader_setup(setup, host, weight);
    one.target.read_near =
        weight > 0 && !zone.empty() && !entry.zones.empty() && entry.zones[host] == zone;
    std::shared_ptr<Pool>& reader = pools_[one.key];
    if (reader == nullptr || replaced == nullptr) {
      reader = std::make_shared<Pool>(std::move(one));
      ++version_;
    } else {
      reader->replace(std::move(one), *replaced);
    }
    setup.readers.push_back(reader);
  }
}

// Servers of their own: limits of what the primary is given are not theirs.
Pool::Setup PoolDirectory::reader_setup(const Pool::Setup& setup, std::size_t host,
                                        std::uint32_t weight) {
  Pool::Setup one = setup;
  one.key.reader = static_cast<std::uint32_t>(host + 1);
  one.target.hosts = {setup.target.hosts[host]};
  one.target.read_cluster = std::exchange(one.target.cluster, nullptr);
  one.target.read_host = host;
  one.target.read_weight = weight;
  one.settings.min_pool_size = 0;
  one.quotas.clear();
  one.host_quotas = {setup.host_quotas[host]};
  one.readers.clear();
  std::shared_ptr<PoolStatistics>& statistics = statistics_[one.key];
  if (statistics == nullptr) {
    statistics = std::make_shared<PoolStatistics>(workers_, setup.key.database, setup.key.user);
  }
  one.statistics = statistics;
  return one;
}

std::shared_ptr<Quota> PoolDirectory::quota(const std::string& name, std::uint32_t max) {
  std::shared_ptr<Quota>& quota = quotas_[name];
  if (quota == nullptr) {
    quota = std::make_shared<Quota>(name, max);
  } else {
    quota->set_max(max);
  }
  return quota;
}

std::shared_ptr<Cluster> PoolDirectory::cluster(const std::vector<Endpoint>& hosts) {
  std::shared_ptr<Cluster>& cluster = clusters_[hosts];
  if (cluster != nullptr) return cluster;
  cluster = std::make_shared<Cluster>(hosts);
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (const auto found = orders_.find(hosts[i]); found != orders_.end()) {
      cluster->order(i, found->second);
    }
  }
  return cluster;
}

std::shared_ptr<Cluster> PoolDirectory::cluster_of(const std::vector<Endpoint>& hosts) {
  const std::lock_guard lock(mutex_);
  return cluster(hosts);
}

std::vector<std::shared_ptr<Cluster>> PoolDirectory::clusters() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Cluster>> clusters;
  for (const auto& [hosts, cluster] : clusters_) clusters.push_back(cluster);
  return clusters;
}

std::vector<std::shared_ptr<const Quota>> PoolDirectory::quotas() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Quota>> quotas;
  for (const auto& [name, quota] : quotas_) quotas.push_back(quota);
  return quotas;
}

std::vector<std::shared_ptr<Pool>> PoolDirectory::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Pool>> pools;
  pools.reserve(pools_.size());
  for (const auto& [key, pool] : pools_) pools.push_back(pool);
  return pools;
}

PoolDirectory::Statistics PoolDirectory::statistics() const {
  const std::lock_guard lock(mutex_);
  Statistics all(statistics_.begin(), statistics_.end());
  for (const auto& [database, counted] : gone_) {
    all.emplace_back(PoolKey{database, "", PoolKey::kGone}, counted);
  }
  return all;
}

std::uint64_t PoolDirectory::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

ServerLink* PoolDirectory::evict(const Quota& quota, const Pool& except, WorkerId& home) {
  std::vector<std::pair<Instant, std::shared_ptr<Pool>>> idle;
  for (auto& pool : all()) {
    if (pool.get() == &except) continue;
    const Instant since = pool->idle_since(quota);
    if (since != kNever) idle.emplace_back(since, std::move(pool));
  }
  std::ranges::sort(idle);
  for (const auto& [since, pool] : idle) {
    if (ServerLink* link = pool->retire_idle(quota, home)) return link;
  }
  return nullptr;
}

void PoolDirectory::drop_unused() {
  const std::lock_guard lock(mutex_);
  const std::size_t dropped = std::erase_if(pools_, [](const auto& entry) {
    const Pool::Counts counts = entry.second->counts();
    // Sessions and links hold references of their own.
    return counts.clients == 0 && counts.total == 0 && entry.second.use_count() == 1;
  });
  if (dropped == 0) return;
  ++version_;
  forget_statistics();
  std::erase_if(catalogs_, [](const auto& entry) { return entry.second.use_count() == 1; });
  std::erase_if(quotas_, [&](const auto& entry) {
    return entry.second.use_count() == 1 && quotas_.size() > kQuotasMax;
  });
}

// Names that only somebody made up leave nothing behind; what else there is no room for is summed
// up.
void PoolDirectory::forget_statistics() {
  std::size_t left = statistics_.size();
  std::erase_if(statistics_, [&](const auto& entry) {
    const auto& [key, counted] = entry;
    if (counted.use_count() > 1) return false;
    if (!counted->blank() && (left <= kStatisticsMax || counted->shown())) return false;
    --left;
    if (counted->blank()) return true;
    const bool room = gone_.size() < kGoneMax || gone_.contains(key.database);
    auto& sum = gone_[room ? key.database : LabelNames::kOther];
    if (sum == nullptr) sum = std::make_shared<PoolStatistics>(1, key.database);
    sum->absorb(*counted);
    return true;
  });
}

// ---------------------------------------------------------------- what operators ask for

void PoolDirectory::pause(const std::string& database) {
  const std::lock_guard lock(mutex_);
  paused_.insert(database);
  for (const auto& [key, pool] : pools_) {
    if (database.empty() || key.database == database) pool->pause();
  }
}

std::vector<std::shared_ptr<Pool>> PoolDirectory::resume(const std::string& database) {
  const std::lock_guard lock(mutex_);
  if (database.empty()) {
    paused_.clear();
  } else {
    paused_.erase(database);
  }
  std::vector<std::shared_ptr<Pool>> resumed;
  if (paused_.contains("")) return resumed;
  for (const auto& [key, pool] : pools_) {
    if (!database.empty() && key.database != database) continue;
    if (pool->paused()) resumed.push_back(pool);
  }
  return resumed;
}

void PoolDirectory::reconnect(const std::string& database, Instant now) {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, pool] : pools_) {
    if (database.empty() || key.database == database) pool->reconnect(now);
  }
}

void PoolDirectory::disable(const std::string& database) {
  const std::lock_guard lock(mutex_);
  disabled_.insert(database);
}

void PoolDirectory::enable(const std::string& database) {
  const std::lock_guard lock(mutex_);
  disabled_.erase(database);
}

bool PoolDirectory::disabled(const std::string& database) const {
  const std::lock_guard lock(mutex_);
  return disabled_.contains(database);
}

bool PoolDirectory::paused(const std::string& database) const {
  const std::lock_guard lock(mutex_);
  return paused_.contains(database) || paused_.contains("");
}

PoolDirectory::Clusters PoolDirectory::order_host(const Endpoint& host,
                                                  std::shared_ptr<const routing::HostOrder> order) {
  const std::lock_guard lock(mutex_);
  return order_locked(host, std::move(order));
}

PoolDirectory::Clusters PoolDirectory::order_locked(
    const Endpoint& host, std::shared_ptr<const routing::HostOrder> order) {
  Clusters concerned;
  for (const auto& [hosts, cluster] : clusters_) {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      if (hosts[i] != host) continue;
      cluster->order(i, order);
      concerned.push_back(cluster);
    }
  }
  if (order == nullptr) {
    orders_.erase(host);
  } else {
    orders_[host] = std::move(order);
  }
  return concerned;
}

std::vector<PoolDirectory::EndedOrder> PoolDirectory::end_orders(Instant now) {
  const std::lock_guard lock(mutex_);
  std::vector<EndedOrder> ended;
  for (const auto& [host, order] : orders_) {
    const bool listed = reloaded_ == nullptr || in_a_cluster(reloaded_->config, host);
    if (!listed || now >= order->until) ended.push_back({host, order, listed, {}});
  }
  for (EndedOrder& each : ended) each.clusters = order_locked(each.host, nullptr);
  return ended;
}

}  // namespace forebay::core
