#include "app/slow_log.hpp"

#include <fstream>
#include <vector>

#include "core/engine/shared.hpp"
#include "metrics/json.hpp"

namespace forebay::app {

void write_slow_log(core::Shared& shared, const std::string& file) {
  std::vector<core::SlowSample> samples;
  std::uint64_t lost = 0;
  for (core::Measures& measures : shared.measures) lost += measures.slow.take_unwritten(samples);
  if (samples.empty()) return;
  std::ofstream out(file, std::ios::app);
  for (const core::SlowSample& sample : samples) out << metrics::sample_json(sample) << '\n';
  if (lost > 0) out << "{\"lost\":" << lost << "}\n";
  out.flush();
  if (out) return;
  shared.journal.note({.weight = core::Weight::error,
                       .event = "slow_query_log",
                       .text = "cannot write to slow_query_log \"" + file + "\": " +
                               std::to_string(samples.size()) + " slow statements are not in it"});
}

}  // namespace forebay::app
