#include <algorithm>
#include <chrono>
#include <string>

#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "metrics/families.hpp"

namespace forebay::metrics {
namespace {

using routing::HostView;
using routing::Role;

// As of the newest answer of any host: metrics read no clock.
Instant newest_sample(const core::Cluster::View& view) {
  Instant newest{};
  for (const HostView& host : view.hosts) newest = std::max(newest, host.sampled);
  return newest;
}

// The hosts as the configuration lists them: databases with other hosts, or with the same in
// another order, have clusters of their own.
std::string name_of(const core::Cluster& cluster) {
  std::string name;
  for (const Endpoint& host : cluster.hosts()) name += (name.empty() ? "" : ",") + to_string(host);
  return name;
}

}  // namespace

void add_clusters(const core::Shared& shared, const core::Runtime* runtime,
                  std::vector<MetricFamily>& families) {
  using Type = MetricType;
  MetricFamily up = family("host_up", "Whether the host answered when last asked.", Type::Gauge);
  MetricFamily role = family("host_role", "1 for the role that the host has.", Type::Gauge);
  MetricFamily writable =
      family("host_writable", "Whether statements may go to the host.", Type::Gauge);
  MetricFamily lag =
      family("host_replication_lag_seconds",
             "Upper bound of a replica's lag; missing where it is not known.", Type::Gauge);
  MetricFamily ordered = family(
      "host_ordered", "1 for what an operator wants of the host, in the console.", Type::Gauge);
  MetricFamily timeline = family("host_timeline", "The timeline of the host.", Type::Gauge);
  MetricFamily probes = family("host_probes_total", "Questions to the host.", Type::Counter);
  MetricFamily failed = family("host_probes_failed_total",
                               "Questions to the host that were not answered.", Type::Counter);
  MetricFamily failovers =
      family("failovers_total", "Times that another host became the primary.", Type::Counter);
  MetricFamily source = family(
      "cluster_source_up", "Whether Patroni or its etcd answered when last asked.", Type::Gauge);
  for (const auto& cluster : shared.pools.clusters()) {
    if (runtime != nullptr && !cluster->listed(runtime->config)) continue;
    const std::string name = name_of(*cluster);
    for (const auto& each : cluster->sources()) {
      if (each.up) {
        add(source, *each.up ? 1 : 0, {{"cluster", name}, {"source", each.name}});
      }
    }
    const auto view = cluster->view();
    const Instant now = newest_sample(*view);
    add(failovers, static_cast<double>(cluster->failovers.load()), {{"cluster", name}});
    for (std::size_t i = 0; i < view->hosts.size(); ++i) {
      const HostView& host = view->hosts[i];
      const Labels labels = {{"cluster", name}, {"host", to_string(cluster->hosts()[i])}};
      add(up, host.up ? 1 : 0, labels);
      for (const Role each : {Role::primary, Role::replica, Role::unknown}) {
        add(role, host.role == each ? 1 : 0,
            with(labels, "role", std::string(routing::to_string(each))));
      }
      const auto order = cluster->order(i);
      using routing::Standing;
      for (const Standing each : {Standing::drained, Standing::banned, Standing::preferred}) {
        add(ordered, order != nullptr && order->standing == each ? 1 : 0,
            with(labels, "state", std::string(routing::to_string(each))));
      }
      add(writable, host.may_write() ? 1 : 0, labels);
      add(timeline, host.timeline, labels);
      const auto& statistics = cluster->statistics(i);
      add(probes, static_cast<double>(statistics.probes.load()), labels);
      add(failed, static_cast<double>(statistics.failed_probes.load()), labels);
      if (!host.complete_until) continue;
      add(lag, std::chrono::duration<double>(host.lag(now)).count(), labels);
    }
  }
  if (!source.metric.empty()) families.push_back(std::move(source));
  if (up.metric.empty()) return;
  for (MetricFamily* made :
       {&up, &role, &ordered, &writable, &lag, &timeline, &probes, &failed, &failovers}) {
    families.push_back(std::move(*made));
  }
}

}  // namespace forebay::metrics
