#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

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
  std::vector<std::pair<std::string, std::uint64_t>> left_out_log_lines = {};  ///< by event
  std::uint64_t lost_audit_records = 0;
  std::uint64_t lost_slow_statements = 0;
  std::vector<std::pair<std::string, std::uint64_t>> write_errors = {};  ///< by file
};

/// Prometheus' text format, or OpenMetrics, which has exemplars.
enum class Format : std::uint8_t { text, open_metrics };

/// Everything that is counted. Any thread; workers are not disturbed.
std::string render(core::Shared& shared, const Process& process, Format format = Format::text);

}  // namespace forebay::metrics
