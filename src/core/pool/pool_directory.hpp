#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/runtime.hpp"
#include "core/pool/pool.hpp"

namespace forebay::core {

/// Where the servers of a database are, but for what is known of their cluster; nothing when no
/// entry of the configuration serves it.
[[nodiscard]] std::optional<PoolTarget> target_of(const Runtime& runtime,
                                                  const std::string& database);

/// Whether it is one of several hosts of a database.
[[nodiscard]] bool in_a_cluster(const config::Config& config, const Endpoint& host);

/// All pools of the process, made when the first client asks for them. Thread-safe.
class PoolDirectory {
 public:
  explicit PoolDirectory(std::size_t workers) : workers_(workers) {}

  /// The pool for clients of `user` in `database`; null when no entry of the configuration serves
  /// that database.
  std::shared_ptr<Pool> find_or_make(const Runtime& runtime, const std::string& database,
                                     const std::string& user);

  /// From now on pools are as `runtime` says, those that are there too.
  Replaced reload(std::shared_ptr<const Runtime> runtime);

  /// What was counted of each pool that was ever of use, also of those that are gone. Behind them
  /// what was counted of pools that nobody knows any more, by database and with PoolKey::kGone:
  /// nothing counts backwards.
  using Statistics = std::vector<std::pair<PoolKey, std::shared_ptr<const PoolStatistics>>>;
  [[nodiscard]] Statistics statistics() const;
  /// Every pool, in no order.
  [[nodiscard]] std::vector<std::shared_ptr<Pool>> all() const;
  /// Changes whenever a pool is made or dropped.
  [[nodiscard]] std::uint64_t version() const;

  // ---- what operators ask for; every database when `database` is empty

  /// No pool gives or opens a link until `resume`, which gives the pools that go on.
  void pause(const std::string& database);
  std::vector<std::shared_ptr<Pool>> resume(const std::string& database);
  /// Every link that was opened before `now` is to be closed when it is free.
  void reconnect(const std::string& database, Instant now);
  /// A disabled database lets no new client in.
  void disable(const std::string& database);
  void enable(const std::string& database);
  [[nodiscard]] bool disabled(const std::string& database) const;
  [[nodiscard]] bool paused(const std::string& database) const;

  /// What is wanted of a host in every cluster that has it, now or later, until its time is over
  /// or no entry of the configuration has the host any more; null: nothing. Gives these clusters.
  using Clusters = std::vector<std::shared_ptr<Cluster>>;
  Clusters order_host(const Endpoint& host, std::shared_ptr<const routing::HostOrder> order);
  struct EndedOrder {
    Endpoint host;
    std::shared_ptr<const routing::HostOrder> order;
    bool listed = true;  ///< false: by the configuration
    Clusters clusters;
  };
  std::vector<EndedOrder> end_orders(Instant now);

  /// Takes the link out that is parked for longest in a pool below the same limit, other than
  /// `except`, so that it may be closed. Null when none is parked; `home` is where it lives.
  ServerLink* evict(const Quota& quota, const Pool& except, WorkerId& home);

  /// Those hosts' cluster, also before there is a pool.
  std::shared_ptr<Cluster> cluster_of(const std::vector<Endpoint>& hosts);
  /// Every cluster that some pool has had.
  [[nodiscard]] std::vector<std::shared_ptr<Cluster>> clusters() const;

  /// Every limit that some pools share, or did before a reload (then it is 0).
  [[nodiscard]] std::vector<std::shared_ptr<const Quota>> quotas() const;

  /// Drops pools without clients and links. What they counted is kept.
  void drop_unused();

 private:
  Pool::Setup setup_for(const Runtime& runtime, const config::Database& entry, PoolKey key);
  void forget_statistics();
  void set_readers(Pool::Setup& setup, const config::Database& entry, const std::string& zone,
                   Replaced* replaced);
  Pool::Setup reader_setup(const Pool::Setup& setup, std::size_t host, std::uint32_t weight);
  std::shared_ptr<Quota> quota(const std::string& name, std::uint32_t max);
  std::shared_ptr<Cluster> cluster(const std::vector<Endpoint>& hosts);
  Clusters order_locked(const Endpoint& host, std::shared_ptr<const routing::HostOrder> order);

  const std::size_t workers_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Runtime> reloaded_;  ///< null until a reload
  std::map<PoolKey, std::shared_ptr<Pool>> pools_;
  std::map<std::string, std::shared_ptr<Quota>> quotas_;
  std::map<PoolKey, std::shared_ptr<PoolStatistics>> statistics_;
  /// By database; "other" for those that there was no room for.
  std::map<std::string, std::shared_ptr<PoolStatistics>> gone_;
  std::map<std::string, std::shared_ptr<CatalogEpoch>> catalogs_;  ///< by host and database
  /// By hosts. They stay: what was seen of a cluster must not be forgotten.
  std::map<std::vector<Endpoint>, std::shared_ptr<Cluster>> clusters_;
  std::map<Endpoint, std::shared_ptr<const routing::HostOrder>> orders_;
  std::set<std::string, std::less<>> paused_;  ///< "" for every database
  std::set<std::string, std::less<>> disabled_;
  std::uint64_t version_ = 0;
  std::uint64_t serials_ = 0;
};

}  // namespace forebay::core
