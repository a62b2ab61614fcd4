#include "core/engine/runtime.hpp"
#include "metrics/families.hpp"

namespace forebay::metrics {

void add_rules(const core::Runtime& runtime, std::vector<MetricFamily>& families) {
  if (runtime.rules == nullptr) return;
  MetricFamily hits =
      family("rule_hits_total", "Statements for which a rule was the first that matched.",
             MetricType::Counter);
  for (std::size_t i = 0; i < runtime.rules->size(); ++i) {
    add(hits, static_cast<double>(runtime.rules->hits(i).value()),
        {{"rule", (*runtime.rules)[i].name}});
  }
  families.push_back(std::move(hits));
}

}  // namespace forebay::metrics
