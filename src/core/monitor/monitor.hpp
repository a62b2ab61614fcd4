#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/timer_wheel.hpp"
#include "core/monitor/functions_probe.hpp"
#include "core/monitor/host_probe.hpp"
#include "core/monitor/tables_probe.hpp"
#include "core/pool/cluster.hpp"
#include "forebay/routing/cluster/topology.hpp"

namespace forebay::core {

class CatalogEpoch;
class Engine;
class Pool;

/// Watches one cluster: asks its hosts, judges what they say, publishes the view, and fences a host
/// that has lost its role or has fallen silent.
class ClusterWatch final : public HostProbe::Told {
 public:
  ClusterWatch(Engine& engine, std::shared_ptr<Cluster> cluster);

  /// The pools of this cluster: what to log in with.
  void serve(const std::vector<std::shared_ptr<Pool>>& pools);
  /// Some pool has these hosts; else nobody looks after this cluster.
  [[nodiscard]] bool in_use() const noexcept { return in_use_; }
  /// What others know of hosts that are theirs, too, is known here from the beginning.
  void inherit(const std::vector<const ClusterWatch*>& others);
  /// What is known of hosts that no database has any more is not.
  void forget_unlisted();
  /// Nobody asks the hosts.
  [[nodiscard]] bool idle() const noexcept { return pools_.empty(); }
  /// Every host is asked at once, and from here on every interval.
  void ask_now();
  /// Reads wait for replicas, until then at most: hosts are asked at once, and again, until one is
  /// known to have more.
  void await_replicas(Instant until);
  /// An operator has ordered something.
  void judge_now();
  /// Where the primary is, as far as is known.
  [[nodiscard]] std::optional<std::size_t> primary() const { return last_.primary; }
  void host_moved(const std::string& host, const std::vector<std::string>& addresses);

  void on_answer(std::size_t host, const routing::HostSample& sample) override;
  void on_no_answer(std::size_t host, const std::string& why, bool spoke) override;

 private:
  void look();
  [[nodiscard]] std::optional<std::size_t> expected_primary() const;
  void ask(std::size_t host);
  void ask_soon();
  void judge();
  void tell_who_awaits(bool more);
  void begin();
  void rest();
  void leave_databases();
  void tell_unwatched(const std::vector<std::shared_ptr<Pool>>& pools);
  bool fence(const routing::ClusterView& view);
  void report_systems(const routing::ClusterView& view);
  void report_hidden(const routing::ClusterView& view);
  void report_hosts(const routing::ClusterView& view);
  void report(const routing::ClusterView& view);
  void note(bool bad, std::string_view event, std::string text, std::size_t host);
  static void on_timer(void* self);

  Engine& engine_;
  const std::shared_ptr<Cluster> cluster_;
  routing::Topology topology_;
  routing::ClusterView last_;
  std::vector<std::unique_ptr<HostProbe>> probes_;
  std::vector<Instant> next_;  ///< when each host is asked again
  std::vector<std::weak_ptr<Pool>> pools_;
  bool in_use_ = false;
  Instant began_{};                ///< to ask the hosts
  Instant awaited_until_{};        ///< reads wait for replicas until then; in the past: none does
  Instant awaited_since_{};        ///< so many questions were asked for them ...
  std::size_t asked_awaited_ = 0;  ///< ... since then
  Instant expecting_since_{};      ///< when there was a reason to ask at once
  bool told_unwatched_ = false;
  std::vector<std::size_t> logins_;  ///< which of them is used to log in, at each host
  std::optional<std::size_t> last_primary_;
  std::uint32_t last_timeline_ = 0;  ///< of the last primary
  Timer timer_{&ClusterWatch::on_timer, this};
};

/// The watches of all clusters, and who asks what functions do and which tables have the tenants'
/// column. Lives on the first worker.
class Monitor {
 public:
  explicit Monitor(Engine& engine) : engine_(engine) {}

  /// Looks which clusters have pools.
  void look(const std::vector<std::shared_ptr<Pool>>& pools);
  /// There is another configuration.
  void on_reload();
  /// Which tables have the tenants' column, where that is wanted.
  void look_at_tables(const std::vector<std::shared_ptr<Pool>>& pools);
  /// Also one that has a pool only now.
  void ask_now(const Cluster& cluster);
  void await_replicas(const Cluster& cluster, Instant until);
  void judge(const Cluster& cluster);
  void host_moved(const std::string& host, const std::vector<std::string>& addresses);

 private:
  void inherit(ClusterWatch& heir) const;
  void look_at_functions(const std::shared_ptr<Pool>& pool);

  Engine& engine_;
  std::map<const Cluster*, std::unique_ptr<ClusterWatch>> watches_;
  std::map<const CatalogEpoch*, std::unique_ptr<FunctionsProbe>> functions_;
  std::map<const CatalogEpoch*, std::unique_ptr<TablesProbe>> tables_;
};

}  // namespace forebay::core
