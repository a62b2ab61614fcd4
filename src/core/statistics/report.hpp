#pragma once

#include <string_view>
#include <vector>

#include "core/statistics/slow_samples.hpp"
#include "core/statistics/statement_entry.hpp"

namespace forebay::core {

struct Shared;

/// What all workers counted, put together.
struct StatementReport {
  std::vector<StatementRow> rows;
  StatementCounts other;  ///< statements that have no row
};
StatementReport statement_report(const Shared& shared);

/// What a report may be ordered by; the largest comes first.
enum class StatementOrder : std::uint8_t {
  total_time,
  mean_time,
  p99_time,
  server_time,
  wait_time,
  transfer_time,
  calls,
  rows,
  errors,
};
/// False for a word that is none of them.
bool parse_order(std::string_view word, StatementOrder& order) noexcept;
/// The first `limit` rows in this order; the rest is dropped.
void order_rows(std::vector<StatementRow>& rows, StatementOrder order, std::size_t limit);

/// Slow samples of all workers, the newest first.
std::vector<SlowSample> slow_report(const Shared& shared);

/// Statement statistics and slow samples begin anew.
void reset_statements(Shared& shared);

}  // namespace forebay::core
