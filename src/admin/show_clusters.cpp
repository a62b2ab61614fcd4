#include <algorithm>
#include <chrono>

#include "admin/show.hpp"
#include "core/console/routes.hpp"
#include "core/pool/cluster.hpp"
#include "forebay/config/names.hpp"

// SHOW HOSTS and SHOW REPLICATION: what the monitor knows of hosts. SHOW ROUTES: what pools make of
// it.
namespace forebay::admin {
namespace {

using routing::HostView;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr Column kHosts[] = {{"host"},
                             {"role"},
                             {"up", Type::int4},
                             {"timeline", Type::int8},
                             {"writes"},
                             {"reads"},
                             {"sample_age_ms", Type::int8},
                             {"probes", Type::int8},
                             {"failed_probes", Type::int8},
                             {"error"},
                             {"ordered"}};
constexpr Column kReplication[] = {{"host"},
                                   {"role"},
                                   {"timeline", Type::int8},
                                   {"lsn"},
                                   {"received_lsn"},
                                   {"behind_bytes", Type::int8},
                                   {"lag_ms", Type::int8},
                                   {"reads"},
                                   {"patroni"},
                                   {"patroni_age_ms", Type::int8}};

constexpr Column kRoutes[] = {{"database"},
                              {"user"},
                              {"host"},
                              {"role"},
                              {"weight", Type::int8},
                              {"in_flight", Type::int8},
                              {"lag_ms", Type::int8},
                              {"max_lag_ms", Type::int8},
                              {"behind_bytes", Type::int8},
                              {"max_behind_bytes", Type::int8},
                              {"consistency"},
                              {"functions"},
                              {"reads"}};
constexpr Column kRoute[] = {{"step"}, {"result"}};

std::string word(const View& view, const HostView& host, routing::Why why) {
  return why == routing::Why::nothing ? "yes" : "no: " + explain(host, why, view.now);
}

Value age(const View& view, const HostView& host) {
  if (host.sampled == Instant{}) return Value::none();
  return duration_cast<milliseconds>(view.now - host.sampled).count();
}

template <class MakeRow>
Rows each_host(const View& view, MakeRow make_row) {
  Rows rows;
  for (const auto& cluster : view.shared.pools.clusters()) {
    if (!cluster->listed(view.config)) continue;
    const auto known = cluster->view();
    for (std::size_t i = 0; i < cluster->hosts().size(); ++i) {
      const HostView host = i < known->hosts.size() ? known->hosts[i] : HostView();
      rows.push_back(make_row(*cluster, *known, host, i));
    }
  }
  return rows;
}

Rows hosts(const View& view) {
  return each_host(view,
                   [&](core::Cluster& cluster, const core::Cluster::View&, const HostView& host,
                       std::size_t i) -> Row {
                     const auto order = cluster.order(i);
                     const auto& statistics = cluster.statistics(i);
                     return {to_string(cluster.hosts()[i]),
                             routing::to_string(host.role),
                             host.up ? 1 : 0,
                             host.timeline,
                             word(view, host, host.no_writes),
                             word(view, host, host.no_reads),
                             age(view, host),
                             statistics.probes.load(),
                             statistics.failed_probes.load(),
                             host.error,
                             order == nullptr ? std::string() : to_string(*order, view.now)};
                   });
}

Rows replication(const View& view) {
  return each_host(
      view,
      [&](core::Cluster& cluster, const core::Cluster::View& known, const HostView& host,
          std::size_t i) -> Row {
        const bool sampled = host.sampled != Instant{};
        Value behind = Value::none();
        if (sampled && known.primary && *known.primary != i) {
          const routing::Lsn there = known.hosts[*known.primary].lsn;
          behind = there > host.lsn ? there - host.lsn : 0;
        }
        const auto patroni = cluster.patroni();
        const bool told = patroni != nullptr && patroni->hosts[i].known;
        return {to_string(cluster.hosts()[i]),
                routing::to_string(host.role),
                host.timeline,
                sampled ? Value(routing::lsn_to_string(host.lsn)) : Value::none(),
                host.received == 0 ? Value::none() : Value(routing::lsn_to_string(host.received)),
                behind,
                host.complete_until ? Value(duration_cast<milliseconds>(host.lag(view.now)).count())
                                    : Value::none(),
                word(view, host, host.no_reads),
                told ? Value(to_string(patroni->hosts[i])) : Value::none(),
                told ? Value(duration_cast<milliseconds>(view.now - patroni->asked).count())
                     : Value::none()};
      });
}

std::string word_of(const core::ReaderFacts& reader) {
  if (!reader.refusal.empty()) return "no: " + reader.refusal;
  return reader.kept ? "yes: too far behind, but one of min_read_replicas" : "yes";
}

Rows routes(const View& view) {
  Rows rows;
  for (const auto& pool : view.shared.pools.all()) {
    const auto& settings = pool->settings();
    const auto functions = pool->catalog().functions.get();
    for (const core::ReaderFacts& reader : core::readers_of(*pool, view.now)) {
      rows.push_back(
          {pool->key().database, pool->key().user, to_string(reader.host), reader.role,
           reader.weight, reader.in_flight,
           reader.lag ? Value(duration_cast<milliseconds>(*reader.lag).count()) : Value::none(),
           settings.max_replica_lag.count(),
           reader.bytes_behind ? Value(*reader.bytes_behind) : Value::none(),
           settings.max_replica_lag_bytes.value(),
           std::string(config::to_string(settings.read_consistency)),
           functions == nullptr ? "built-in" : "pg_proc", word_of(reader)});
    }
  }
  return rows;
}

}  // namespace

std::vector<ShowLine> show_clusters() {
  return {{"HOSTS", kHosts, hosts},
          {"REPLICATION", kReplication, replication},
          {"ROUTES", kRoutes, routes},
          {kExplainRoute, kRoute, nullptr, false, false, true}};
}

}  // namespace forebay::admin
