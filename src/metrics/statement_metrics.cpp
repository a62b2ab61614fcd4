#include <cstddef>
#include <utility>
#include <vector>

#include "core/engine/shared.hpp"
#include "core/statistics/report.hpp"
#include "metrics/families.hpp"
#include "metrics/json.hpp"

namespace forebay::metrics {

void add_statements(core::Shared& shared, std::size_t limit, std::vector<MetricFamily>& families) {
  using Type = MetricType;
  const std::vector<core::StatementRow> leaders =
      shared.statement_leaders.follow(core::statement_report(shared).rows, limit);
  MetricFamily calls = family("top_statement_calls_total",
                              "Executions of the statements that take most time.", Type::Counter);
  MetricFamily errors = family("top_statement_errors_total", "Those that failed.", Type::Counter);
  MetricFamily rows = family("top_statement_rows_total", "Their rows.", Type::Counter);
  MetricFamily seconds =
      family("top_statement_seconds_total", "Where their time went.", Type::Counter);
  for (const core::StatementRow& row : leaders) {
    const Labels labels = {
        {"shape", hexadecimal(row.shape)}, {"database", row.database}, {"user", row.user}};
    add(calls, static_cast<double>(row.counts.calls), labels);
    add(errors, static_cast<double>(row.counts.errors), labels);
    add(rows, static_cast<double>(row.counts.rows), labels);
    const auto part = [&](const char* name, std::uint64_t microseconds) {
      add(seconds, static_cast<double>(microseconds) / 1e6, with(labels, "part", name));
    };
    part("wait", row.counts.wait);
    part("server", row.counts.server);
    part("transfer", row.counts.transfer);
  }
  for (MetricFamily* made : {&calls, &errors, &rows, &seconds}) {
    families.push_back(std::move(*made));
  }
}

}  // namespace forebay::metrics
