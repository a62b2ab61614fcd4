#include "core/pool/pool_directory.hpp"

#include <algorithm>

namespace forebay::core {
namespace {

/// Of so many pools that are gone at most the numbers are kept.
constexpr std::size_t kStatisticsMax = 10'000;

// What to log in to servers with, where the configuration says it.
std::optional<auth::Credential> configured_credential(const Runtime& runtime,
                                                      const config::Database& database,
                                                      const std::string& user) {
  if (!database.user.empty() && !database.password.empty()) {
    return auth::Credential{auth::Password(database.password)};
  }
  if (const auto secrets = runtime.find_secrets(user)) {
    const auth::Credential credential = secrets->credential();
    if (!std::holds_alternative<auth::NoCredential>(credential)) return credential;
    if (!secrets->verifiers().empty()) return std::nullopt;  // a client's login recovers the keys
  }
  const config::AuthMethod method = database.auth.value_or(runtime.config.auth);
  if (method == config::AuthMethod::server) return std::nullopt;
  return auth::Credential{auth::NoCredential{}};
}

}  // namespace

std::shared_ptr<Pool> PoolDirectory::find_or_make(const Runtime& runtime,
                                                  const std::string& database,
                                                  const std::string& user) {
  const config::Config& config = runtime.config;
  const config::Database* entry = config.find_database(database);
  if (entry == nullptr) return nullptr;
  const std::string& server_user = entry->user.empty() ? user : entry->user;
  PoolKey key{database, server_user};

  const std::lock_guard lock(mutex_);
  if (const auto found = pools_.find(key); found != pools_.end()) return found->second;

  const config::User* settings_of = config.find_user(server_user);
  Pool::Setup setup;
  setup.target.hosts = entry->hosts;
  if (entry->hosts.size() > 1) setup.target.cluster = cluster(entry->hosts);
  setup.target.monitor_user = entry->monitor_user;
  if (!entry->monitor_user.empty()) {
    setup.target.monitor_credential =
        entry->monitor_password.empty() ? auth::Credential{auth::NoCredential{}}
                                        : auth::Credential{auth::Password(entry->monitor_password)};
  }
  setup.target.database = entry->dbname.empty() ? database : entry->dbname;
  const config::TlsSettings& tls = entry->server_tls ? *entry->server_tls : config.server_tls;
  setup.target.tls_mode = tls.mode;
  const std::string entry_name = config.databases.contains(database) ? database : "*";
  if (const auto context = runtime.server_tls.find(entry_name);
      context != runtime.server_tls.end()) {
    setup.target.tls = context->second;
  }
  setup.settings = config.pool_settings(*entry, settings_of);
  setup.max_connecting = config.max_connecting;
  setup.unavailable_timeout = config.server_unavailable_timeout;
  if (entry->max_db_connections > 0) {
    setup.quotas.push_back(
        quota("max_db_connections of database \"" + database + "\"", entry->max_db_connections));
  }
  if (settings_of != nullptr && settings_of->max_user_connections > 0) {
    setup.quotas.push_back(quota("max_user_connections of user \"" + server_user + "\"",
                                 settings_of->max_user_connections));
  }
  std::shared_ptr<CatalogEpoch>& catalog =
      catalogs_[to_string(entry->hosts.front()) + '/' + setup.target.database];
  if (catalog == nullptr) catalog = std::make_shared<CatalogEpoch>();
  setup.catalog = catalog;
  std::shared_ptr<PoolStatistics>& statistics = statistics_[key];
  if (statistics == nullptr) statistics = std::make_shared<PoolStatistics>(workers_);
  setup.statistics = statistics;
  setup.workers = workers_;
  setup.serial = ++serials_;
  setup.credential = configured_credential(runtime, *entry, server_user);
  setup.key = key;
  auto pool = std::make_shared<Pool>(std::move(setup));
  pools_.emplace(std::move(key), pool);
  ++version_;
  return pool;
}

std::shared_ptr<Quota> PoolDirectory::quota(const std::string& name, std::uint32_t max) {
  std::shared_ptr<Quota>& quota = quotas_[name];
  if (quota == nullptr) quota = std::make_shared<Quota>(name, max);
  return quota;
}

std::shared_ptr<Cluster> PoolDirectory::cluster(const std::vector<Endpoint>& hosts) {
  std::shared_ptr<Cluster>& cluster = clusters_[hosts];
  if (cluster == nullptr) cluster = std::make_shared<Cluster>(hosts);
  return cluster;
}

std::vector<std::shared_ptr<Cluster>> PoolDirectory::clusters() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Cluster>> clusters;
  for (const auto& [hosts, cluster] : clusters_) clusters.push_back(cluster);
  return clusters;
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
  return {statistics_.begin(), statistics_.end()};
}

std::uint64_t PoolDirectory::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

ServerLink* PoolDirectory::evict(const Quota& quota, const Pool& except, WorkerId& home) {
  for (const auto& pool : all()) {
    if (pool.get() == &except) continue;
    const bool below = std::any_of(pool->quotas().begin(), pool->quotas().end(),
                                   [&](const auto& known) { return known.get() == &quota; });
    if (!below) continue;
    if (ServerLink* link = pool->retire_any(home)) return link;
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
  // Names that only somebody made up leave nothing behind.
  std::erase_if(statistics_, [&](const auto& entry) {
    return entry.second.use_count() == 1 &&
           (entry.second->blank() || statistics_.size() > kStatisticsMax);
  });
  std::erase_if(catalogs_, [](const auto& entry) { return entry.second.use_count() == 1; });
}

}  // namespace forebay::core
