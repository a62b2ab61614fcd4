#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "forebay/base/endpoint.hpp"
#include "forebay/config/config.hpp"
#include "forebay/routing/cluster/topology.hpp"

namespace forebay::core {

/// The hosts of one entry of the configuration, and what the monitor thinks of them. Shared by the
/// pools of every database with these hosts. Thread-safe.
///
/// The monitor publishes whole views; whoever looks often keeps a `ClusterReader`, which takes a
/// lock only when there is a new one.
class Cluster {
 public:
  using View = routing::ClusterView;

  explicit Cluster(std::vector<Endpoint> hosts)
      : hosts_(std::move(hosts)), states_(hosts_.size()), view_(std::make_shared<const View>()) {}

  [[nodiscard]] const std::vector<Endpoint>& hosts() const noexcept { return hosts_; }
  /// Whether some database has these hosts. Clusters of former configurations stay, but nobody asks
  /// their hosts any more.
  [[nodiscard]] bool listed(const config::Config& config) const;

  /// Changes whenever there is a new view; never 0.
  [[nodiscard]] std::uint64_t version() const noexcept {
    return version_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::shared_ptr<const View> view() const;
  /// The monitor's.
  void publish(View view, Instant now = {});
  /// Whether the monitor has something to ask the hosts with. Any thread.
  [[nodiscard]] bool asked() const noexcept { return asked_.load(std::memory_order_acquire); }
  void set_asked(bool asked) noexcept { asked_.store(asked, std::memory_order_release); }
  /// What has become of a host.
  struct Past {
    Instant since{};          ///< it has been what it is: role, up or down, order; {}: not known
    std::uint64_t downs = 0;  ///< how often it ceased to answer
  };
  [[nodiscard]] Past past(std::size_t host) const;

  /// How often every connection to a host was given up at once. A link that was opened when it was
  /// another number is fenced: nothing that it says is passed on.
  struct Gate {
    std::atomic<std::uint32_t> fence{0};
    /// An operator wants no new connection to the host, and those that are free closed.
    std::atomic<bool> shut{false};
  };
  [[nodiscard]] const Gate& gate(std::size_t host) const noexcept { return states_[host].gate; }
  [[nodiscard]] const std::atomic<std::uint32_t>& fence(std::size_t host) const noexcept {
    return states_[host].gate.fence;
  }
  void raise_fence(std::size_t host) noexcept {
    states_[host].gate.fence.fetch_add(1, std::memory_order_acq_rel);
  }

  /// What Patroni said last, and what its sources are; null: nothing.
  [[nodiscard]] std::shared_ptr<const routing::PatroniWord> patroni() const;
  void hear(std::shared_ptr<const routing::PatroniWord> word);
  /// Where such words come from.
  struct Source {
    std::string name;        ///< "http://10.0.0.1:8008"
    std::optional<bool> up;  ///< nothing: it was not asked yet
    bool operator==(const Source&) const = default;
  };
  [[nodiscard]] std::vector<Source> sources() const;
  void set_sources(std::vector<Source> sources);

  /// An operator's, or null: none any more. Who is banned is fenced at once; the monitor's next
  /// view says the rest.
  void order(std::size_t host, std::shared_ptr<const routing::HostOrder> order);
  [[nodiscard]] std::shared_ptr<const routing::HostOrder> order(std::size_t host) const;
  [[nodiscard]] bool shut(std::size_t host) const noexcept {
    return states_[host].gate.shut.load(std::memory_order_acquire);
  }

  /// Counted by the monitor, read by anybody.
  struct Statistics {
    std::atomic<std::uint64_t> probes{0};
    std::atomic<std::uint64_t> failed_probes{0};
  };
  [[nodiscard]] Statistics& statistics(std::size_t host) noexcept {
    return states_[host].statistics;
  }
  /// How often the primary became another host.
  std::atomic<std::uint64_t> failovers{0};

 private:
  struct State {
    Gate gate;
    std::shared_ptr<const routing::HostOrder> order;  ///< with the mutex
    Past past;                                        ///< likewise
    Statistics statistics;
  };

  const std::vector<Endpoint> hosts_;
  std::vector<State> states_;
  mutable std::mutex mutex_;
  std::shared_ptr<const View> view_;
  std::shared_ptr<const routing::PatroniWord> patroni_;
  std::vector<Source> sources_;
  std::atomic<std::uint64_t> version_{1};
  std::atomic<bool> asked_{false};
};

/// One thread's (or one lock's) copy of the latest view.
class ClusterReader {
 public:
  const Cluster::View& look(const Cluster& cluster) {
    if (const std::uint64_t version = cluster.version();
        version != version_ || &cluster != cluster_) {
      view_ = cluster.view();
      version_ = version;
      cluster_ = &cluster;
    }
    return *view_;
  }

 private:
  std::shared_ptr<const Cluster::View> view_;
  std::uint64_t version_ = 0;
  const Cluster* cluster_ = nullptr;
};

}  // namespace forebay::core
