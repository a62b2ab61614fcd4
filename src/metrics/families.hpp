#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

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
/// The same labels and one more.
Labels with(Labels labels, std::string name, std::string value);

/// What belongs to a pool, with its database and user as labels.
void add_pools(const core::Shared& shared, std::vector<MetricFamily>& families);

/// What the monitor knows of hosts; nothing where every database has one host.
void add_clusters(const core::Shared& shared, std::vector<MetricFamily>& families);

}  // namespace forebay::metrics
