#pragma once

#include <cstdint>
#include <string>

namespace forebay::core {
struct Runtime;
struct Shared;
}  // namespace forebay::core

namespace forebay::metrics {

/// What is known of the process as a whole.
struct Process {
  std::string version;
  const core::Runtime* runtime = nullptr;  ///< in use
  std::int64_t started = 0;                ///< in Unix time
  std::uint64_t lost_log_lines = 0;
};

/// Everything that is counted, in Prometheus' text format. Any thread; workers are not disturbed.
std::string render(core::Shared& shared, const Process& process);

}  // namespace forebay::metrics
