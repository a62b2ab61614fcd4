#include "app/slow_log.hpp"

#include <string>
#include <vector>

#include "app/audit_log.hpp"
#include "core/engine/shared.hpp"
#include "metrics/json.hpp"

namespace forebay::app {

std::uint64_t write_slow_log(core::Shared& shared, const std::string& file,
                             std::uint64_t& failures) {
  std::vector<core::SlowSample> samples;
  std::uint64_t lost = 0;
  for (core::Measures& measures : shared.measures) lost += measures.slow.take_unwritten(samples);
  if (samples.empty()) return lost;
  std::string lines;
  for (const core::SlowSample& sample : samples) lines += metrics::sample_json(sample) + '\n';
  if (lost > 0) lines += "{\"lost\":" + std::to_string(lost) + "}\n";
  if (append_lines(file, lines)) return lost;
  ++failures;
  shared.journal.note({.weight = core::Weight::error,
                       .event = "slow_query_log",
                       .text = "cannot write to slow_query_log \"" + file + "\": " +
                               std::to_string(samples.size()) + " slow statements are not in it"});
  return lost + samples.size();
}

}  // namespace forebay::app
