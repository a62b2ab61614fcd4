#include "admin/show.hpp"

// SHOW STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS.
namespace forebay::admin {
namespace {

constexpr Type kSum = Type::numeric;
constexpr std::size_t kCount = static_cast<std::size_t>(Total::count);

constexpr Column kStats[] = {{"database"},
                             {"total_server_assignment_count", kSum},
                             {"total_xact_count", kSum},
                             {"total_query_count", kSum},
                             {"total_received", kSum},
                             {"total_sent", kSum},
                             {"total_xact_time", kSum},
                             {"total_query_time", kSum},
                             {"total_wait_time", kSum},
                             {"total_client_parse_count", kSum},
                             {"total_server_parse_count", kSum},
                             {"total_bind_count", kSum},
                             {"avg_server_assignment_count", kSum},
                             {"avg_xact_count", kSum},
                             {"avg_query_count", kSum},
                             {"avg_recv", kSum},
                             {"avg_sent", kSum},
                             {"avg_xact_time", kSum},
                             {"avg_query_time", kSum},
                             {"avg_wait_time", kSum},
                             {"avg_client_parse_count", kSum},
                             {"avg_server_parse_count", kSum},
                             {"avg_bind_count", kSum}};
constexpr Column kStatsTotals[] = {{"database"},
                                   {"server_assignment_count", kSum},
                                   {"xact_count", kSum},
                                   {"query_count", kSum},
                                   {"bytes_received", kSum},
                                   {"bytes_sent", kSum},
                                   {"xact_time", kSum},
                                   {"query_time", kSum},
                                   {"wait_time", kSum},
                                   {"client_parse_count", kSum},
                                   {"server_parse_count", kSum},
                                   {"bind_count", kSum}};
constexpr Column kStatsAverages[] = {{"database"},
                                     {"server_assignment_count", kSum},
                                     {"xact_count", kSum},
                                     {"query_count", kSum},
                                     {"bytes_received", kSum},
                                     {"bytes_sent", kSum},
                                     {"xact_time", kSum},
                                     {"query_time", kSum},
                                     {"wait_time", kSum},
                                     {"avg_client_parse_count", kSum},
                                     {"avg_server_parse_count", kSum},
                                     {"avg_bind_count", kSum}};
constexpr Column kTotals[] = {{"name"}, {"value", kSum}};

void append(Row& row, const Totals& totals) {
  for (const std::uint64_t value : totals) row.emplace_back(value);
}

template <bool kSums, bool kAverages>
Rows by_database(const View& view) {
  Rows rows;
  for (const auto& [database, sums] : totals(view.shared)) {
    Row row{database};
    if (kSums) append(row, sums);
    if (kAverages) append(row, view.averages.of(database));
    rows.push_back(std::move(row));
  }
  return rows;
}

Rows all_totals(const View& view) {
  Totals sums{};
  for (const auto& [database, more] : totals(view.shared)) {
    for (std::size_t i = 0; i < kCount; ++i) sums[i] += more[i];
  }
  Rows rows;
  for (std::size_t i = 0; i < kCount; ++i) rows.push_back({kStatsTotals[i + 1].name, sums[i]});
  return rows;
}

}  // namespace

std::vector<ShowLine> show_statistics() {
  return {{"STATS", kStats, by_database<true, true>},
          {"STATS_TOTALS", kStatsTotals, by_database<true, false>},
          {"STATS_AVERAGES", kStatsAverages, by_database<false, true>},
          {"TOTALS", kTotals, all_totals}};
}

}  // namespace forebay::admin
