#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

#include "metrics/metrics.hpp"

namespace forebay::core {
struct Shared;
}  // namespace forebay::core

namespace forebay::metrics {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily family(std::string name, std::string help, MetricType type);
void add(MetricFamily& family, double value, Labels labels = {});
/// A family of one value.
MetricFamily single(std::string name, std::string help, MetricType type, double value);
/// The same labels and one more.
Labels with(Labels labels, std::string name, std::string value);

/// What belongs to a pool, with its database and user as labels.
void add_pools(core::Shared& shared, std::vector<MetricFamily>& families);

/// What Prometheus' own client libraries say of a process, limits and how much of them is in use,
/// certificates, lost lines.
void add_process(const core::Shared& shared, const Process& process,
                 std::vector<MetricFamily>& families);

/// The same pools under the names of pgbouncer_exporter.
void add_pgbouncer(core::Shared& shared, const core::Runtime& runtime,
                   std::vector<MetricFamily>& families);

/// So many statements, those that took most time, by their shapes.
void add_statements(core::Shared& shared, std::size_t limit, std::vector<MetricFamily>& families);

/// What the tenants did that use most, and the others together; nothing without tenants.
void add_tenants(core::Shared& shared, std::vector<MetricFamily>& families);

/// How often rules for single statements were the ones; nothing where there are none.
void add_rules(const core::Runtime& runtime, std::vector<MetricFamily>& families);

/// What the monitor knows of hosts, for each cluster that `runtime` has (null: for all); nothing
/// where every database has one host.
void add_clusters(const core::Shared& shared, const core::Runtime* runtime,
                  std::vector<MetricFamily>& families);

}  // namespace forebay::metrics
