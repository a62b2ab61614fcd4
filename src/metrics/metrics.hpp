#pragma once

#include <string>

namespace forebay::core {
struct Shared;
}  // namespace forebay::core

namespace forebay::metrics {

/// Everything that is counted, in Prometheus' text format. Any thread; workers are not disturbed.
std::string render(const core::Shared& shared, const std::string& version);

}  // namespace forebay::metrics
