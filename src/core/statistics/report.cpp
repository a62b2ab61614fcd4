#include "core/statistics/report.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "core/engine/shared.hpp"

namespace forebay::core {
namespace {

constexpr std::array<std::pair<std::string_view, StatementOrder>, 9> kOrders = {{
    {"total_time", StatementOrder::total_time},
    {"mean_time", StatementOrder::mean_time},
    {"p99_time", StatementOrder::p99_time},
    {"server_time", StatementOrder::server_time},
    {"wait_time", StatementOrder::wait_time},
    {"transfer_time", StatementOrder::transfer_time},
    {"calls", StatementOrder::calls},
    {"rows", StatementOrder::rows},
    {"errors", StatementOrder::errors},
}};

std::uint64_t weight(const StatementCounts& counts, StatementOrder order) {
  switch (order) {
    case StatementOrder::total_time:
      return counts.total();
    case StatementOrder::mean_time:
      return counts.calls == 0 ? 0 : counts.total() / counts.calls;
    case StatementOrder::p99_time:
      return FineHistogram::quantile(counts.histogram, 0.99);
    case StatementOrder::server_time:
      return counts.server;
    case StatementOrder::wait_time:
      return counts.wait;
    case StatementOrder::transfer_time:
      return counts.transfer;
    case StatementOrder::calls:
      return counts.calls;
    case StatementOrder::rows:
      return counts.rows;
    case StatementOrder::errors:
      return counts.errors;
  }
  return 0;
}

}  // namespace

StatementReport statement_report(const Shared& shared) {
  StatementReport report;
  std::vector<StatementRow> rows;
  for (const Measures& measures : shared.measures) {
    measures.statements.report(rows, report.other);
  }
  std::map<std::tuple<std::uint64_t, std::string, std::string>, std::size_t> known;
  for (StatementRow& row : rows) {
    const auto [found, fresh] =
        known.try_emplace({row.shape, row.database, row.user}, report.rows.size());
    if (fresh) {
      report.rows.push_back(std::move(row));
      continue;
    }
    StatementRow& sum = report.rows[found->second];
    sum.first_seen = std::min(sum.first_seen, row.first_seen);
    sum.last_seen = std::max(sum.last_seen, row.last_seen);
    sum.counts.add(row.counts);
  }
  return report;
}

bool parse_order(std::string_view word, StatementOrder& order) noexcept {
  for (const auto& [name, value] : kOrders) {
    if (name != word) continue;
    order = value;
    return true;
  }
  return false;
}

void order_rows(std::vector<StatementRow>& rows, StatementOrder order, std::size_t limit) {
  std::vector<std::pair<std::uint64_t, std::size_t>> weights;
  weights.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    weights.emplace_back(weight(rows[i].counts, order), rows.size() - i);
  }
  const std::size_t shown = std::min(limit, rows.size());
  std::partial_sort(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(shown),
                    weights.end(), std::greater<>());
  std::vector<StatementRow> first;
  first.reserve(shown);
  for (std::size_t i = 0; i < shown; ++i) {
    first.push_back(std::move(rows[rows.size() - weights[i].second]));
  }
  rows = std::move(first);
}

std::vector<SlowSample> slow_report(const Shared& shared) {
  std::vector<SlowSample> samples;
  for (const Measures& measures : shared.measures) measures.slow.report(samples);
  std::stable_sort(samples.begin(), samples.end(),
                   [](const auto& a, const auto& b) { return a.ended > b.ended; });
  return samples;
}

void reset_statements(Shared& shared) {
  for (Measures& measures : shared.measures) {
    measures.statements.reset();
    measures.slow.reset();
  }
}

}  // namespace forebay::core
