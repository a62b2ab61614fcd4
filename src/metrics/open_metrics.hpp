#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/statistics/slow_samples.hpp"

namespace forebay::metrics {

/// OpenMetrics 1.0 of what Prometheus' text format says. The newest of the samples that have a
/// sampled `traceparent` become exemplars of statement_duration_seconds, each in its bucket.
std::string open_metrics(std::string_view text, const std::vector<core::SlowSample>& samples);

}  // namespace forebay::metrics
