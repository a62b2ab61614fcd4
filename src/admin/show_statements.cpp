#include "admin/show.hpp"
#include "core/statistics/report.hpp"

// SHOW STATEMENTS, SLOW. Times are microseconds, as in SHOW STATS.
namespace forebay::admin {
namespace {

using core::FineHistogram;
constexpr Type kSum = Type::numeric;
/// So many lines at most: what is left out matters less than each of them.
constexpr std::size_t kMost = 100;

constexpr Column kStatements[] = {{"database"},
                                  {"user"},
                                  {"calls", kSum},
                                  {"errors", kSum},
                                  {"rows", kSum},
                                  {"total_time", kSum},
                                  {"wait_time", kSum},
                                  {"server_time", kSum},
                                  {"transfer_time", kSum},
                                  {"replica_calls", kSum},
                                  {"pins", kSum},
                                  {"p50_time", kSum},
                                  {"p99_time", kSum},
                                  {"last_seen"},
                                  {"statement"}};
constexpr Column kSlow[] = {{"ended"},
                            {"database"},
                            {"user"},
                            {"addr"},
                            {"application_name"},
                            {"host"},
                            {"rows", kSum},
                            {"total_time", kSum},
                            {"wait_time", kSum},
                            {"server_time", kSum},
                            {"transfer_time", kSum},
                            {"sqlstate"},
                            {"traceparent"},
                            {"tenant"},
                            {"server_pid"},
                            {"transaction"},
                            {"plan"},
                            {"parameters"},
                            {"statement"}};

template <core::StatementOrder order>
Rows statements(const View& view) {
  core::StatementReport report = core::statement_report(view.shared);
  core::order_rows(report.rows, order, kMost);
  Rows rows;
  for (const core::StatementRow& row : report.rows) {
    const core::StatementCounts& counts = row.counts;
    rows.push_back(
        {row.database, row.user, counts.calls, counts.errors, counts.rows, counts.total(),
         counts.wait, counts.server, counts.transfer, counts.replica_calls, counts.pins,
         FineHistogram::quantile(counts.histogram, 0.50),
         FineHistogram::quantile(counts.histogram, 0.99), moment(view, row.last_seen), row.text});
  }
  return rows;
}

Rows slow(const View& view) {
  Rows rows;
  for (const core::SlowSample& sample : core::slow_report(view.shared)) {
    if (rows.size() == kMost) break;
    rows.push_back({moment(view, sample.ended), sample.database, sample.user, sample.client,
                    sample.application_name, sample.host, sample.rows, sample.time.total(),
                    sample.time.wait, sample.time.server, sample.time.transfer, sample.sqlstate,
                    sample.traceparent, sample.tenant, sample.server_process_id,
                    transaction_text(sample),
                    sample.no_plan.empty() ? sample.plan : "no plan: " + sample.no_plan,
                    sample.parameters, sample.text});
  }
  return rows;
}

}  // namespace

// Texts are other users' business.
std::vector<ShowLine> show_statements() {
  using Order = core::StatementOrder;
  std::vector<ShowLine> lines;
  const auto add = [&lines](std::string_view name, std::span<const Column> columns,
                            Rows (*rows)(const View&)) {
    constexpr bool kAdminOnly = true;
    lines.push_back({name, columns, rows, false, kAdminOnly});
  };
  add("STATEMENTS", kStatements, statements<Order::total_time>);
  add("STATEMENTS ORDER BY TOTAL_TIME", kStatements, statements<Order::total_time>);
  add("STATEMENTS ORDER BY MEAN_TIME", kStatements, statements<Order::mean_time>);
  add("STATEMENTS ORDER BY P99_TIME", kStatements, statements<Order::p99_time>);
  add("STATEMENTS ORDER BY SERVER_TIME", kStatements, statements<Order::server_time>);
  add("STATEMENTS ORDER BY WAIT_TIME", kStatements, statements<Order::wait_time>);
  add("STATEMENTS ORDER BY TRANSFER_TIME", kStatements, statements<Order::transfer_time>);
  add("STATEMENTS ORDER BY CALLS", kStatements, statements<Order::calls>);
  add("STATEMENTS ORDER BY ROWS", kStatements, statements<Order::rows>);
  add("STATEMENTS ORDER BY ERRORS", kStatements, statements<Order::errors>);
  add("SLOW", kSlow, slow);
  return lines;
}

}  // namespace forebay::admin
