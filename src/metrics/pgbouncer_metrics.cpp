#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "metrics/families.hpp"

// The names of prometheus-community's pgbouncer_exporter, so that dashboards and alerts made for it
// go on working.
namespace forebay::metrics {
namespace {

using core::PoolCounters;
using Type = MetricType;

MetricFamily named(const char* name, const char* help, Type type) {
  MetricFamily made = family("", help, type);
  made.name = std::string("pgbouncer_") + name;
  return made;
}

/// As SHOW STATS counts: of each database.
struct Totals {
  std::uint64_t statements = 0;
  std::uint64_t transactions = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::uint64_t wait = 0;
  std::uint64_t statement_time = 0;
  std::uint64_t transaction_time = 0;
};

struct TotalLine {
  const char* name;
  const char* help;
  std::uint64_t Totals::*member;
  double divided_by;
};

constexpr std::array kTotals = {
    TotalLine{"stats_queries_pooled_total", "Statements.", &Totals::statements, 1},
    TotalLine{"stats_sql_transactions_pooled_total", "Transactions.", &Totals::transactions, 1},
    TotalLine{"stats_received_bytes_total", "Bytes from clients.", &Totals::received, 1},
    TotalLine{"stats_sent_bytes_total", "Bytes to clients.", &Totals::sent, 1},
    TotalLine{"stats_client_wait_seconds_total", "Time in which clients waited for a server.",
              &Totals::wait, 1e6},
    TotalLine{"stats_queries_duration_seconds_total", "Time in statements.",
              &Totals::statement_time, 1e6},
    TotalLine{"stats_server_in_transaction_seconds_total", "Time in transactions.",
              &Totals::transaction_time, 1e6},
};

void add_stats(core::Shared& shared, std::vector<MetricFamily>& families) {
  std::map<std::string, Totals> databases;
  for (const auto& [key, done] : shared.pools.statistics()) {
    if (done->blank()) continue;  // perhaps a made-up name
    Totals& totals = databases[shared.pgbouncer_databases.of(key.database)];
    totals.statements += done->sum(&PoolCounters::statements);
    totals.transactions += done->sum(&PoolCounters::transactions);
    totals.received += done->sum(&PoolCounters::client_bytes);
    totals.sent += done->sum(&PoolCounters::server_bytes);
    totals.wait += done->sum(&PoolCounters::wait);
    totals.statement_time += done->sum(&PoolCounters::statement_total);
    totals.transaction_time += done->sum(&PoolCounters::transaction_total);
  }
  for (const TotalLine& line : kTotals) {
    families.push_back(named(line.name, line.help, Type::Counter));
    for (const auto& [database, totals] : databases) {
      add(families.back(), static_cast<double>(totals.*line.member) / line.divided_by,
          {{"database", database}});
    }
  }
}

void add_pool_gauges(const core::Shared& shared, std::vector<MetricFamily>& families) {
  constexpr std::array<const char*, 8> kNames = {
      "pools_client_active_connections",  "pools_client_waiting_connections",
      "pools_server_active_connections",  "pools_server_idle_connections",
      "pools_server_login_connections",   "pools_server_used_connections",
      "pools_server_testing_connections", "pools_client_maxwait_seconds"};
  const std::size_t first = families.size();
  for (const char* name : kNames) families.push_back(named(name, "As in SHOW POOLS.", Type::Gauge));
  const Instant now = std::chrono::steady_clock::now();
  // Those of replicas count with that of the primary.
  std::map<std::pair<std::string, std::string>, std::array<double, kNames.size()>> pools;
  for (const auto& pool : shared.pools.all()) {
    const core::Pool::Counts counts = pool->counts();
    if (counts.waiting == 0 && pool->statistics().blank()) continue;  // perhaps a made-up name
    if (counts.clients + counts.total + counts.waiting == 0) continue;
    const std::pair name{pool->key().database, pool->key().user};
    if (pools.size() >= core::kPoolRowsMax && !pools.contains(name)) continue;
    const bool waits = counts.waiting > 0 && counts.oldest_wait != kNever;
    const Duration oldest = waits ? std::max(now - counts.oldest_wait, Duration{}) : Duration{};
    auto& values = pools[name];
    values[0] += counts.clients;
    values[1] += counts.waiting;
    values[2] += counts.total - counts.opening - counts.parked;
    values[3] += counts.parked;
    values[4] += counts.opening;
    values[7] = std::max(values[7], std::chrono::duration<double>(oldest).count());
  }
  for (auto& [name, values] : pools) {
    // PgBouncer's active clients are all that do not wait; who waits for a replica is the
    // primary's.
    values[0] = std::max(values[0] - values[1], 0.0);
    const Labels labels = {{"database", name.first}, {"user", name.second}};
    for (std::size_t i = 0; i < values.size(); ++i) add(families[first + i], values[i], labels);
  }
}

}  // namespace

void add_pgbouncer(core::Shared& shared, const core::Runtime& runtime,
                   std::vector<MetricFamily>& families) {
  families.push_back(named("up", "Whether the console could be asked: always.", Type::Gauge));
  add(families.back(), 1);
  families.push_back(named("config_max_client_connections", "max_client_conn.", Type::Gauge));
  add(families.back(), runtime.max_client_conn);
  add_pool_gauges(shared, families);
  add_stats(shared, families);
}

}  // namespace forebay::metrics
