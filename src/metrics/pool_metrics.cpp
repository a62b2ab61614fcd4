#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

#include "core/engine/shared.hpp"
#include "metrics/families.hpp"

namespace forebay::metrics {
namespace {

using core::PoolCounters;
using core::PoolSums;
using core::TimeHistogram;

constexpr double kMicroseconds = 1e6;

struct CounterLine {
  const char* name;
  const char* help;
  Counter PoolCounters::*member;
  double divided_by;
};

constexpr std::array kCounters = {
    CounterLine{"statements_total", "Statements that servers answered.", &PoolCounters::statements,
                1},
    CounterLine{"transactions_total", "Transactions that servers ended.",
                &PoolCounters::transactions, 1},
    CounterLine{"received_bytes_total", "Bytes that clients sent to servers.",
                &PoolCounters::client_bytes, 1},
    CounterLine{"sent_bytes_total", "Bytes that servers sent.", &PoolCounters::server_bytes, 1},
    CounterLine{"rows_total", "Rows sent or changed, as command tags say.", &PoolCounters::rows, 1},
    CounterLine{"server_assignments_total", "Times that a client was given a server connection.",
                &PoolCounters::assignments, 1},
    CounterLine{"client_parses_total", "Prepared statements that clients asked for.",
                &PoolCounters::client_parses, 1},
    CounterLine{"server_parses_total", "Prepared statements that servers were asked for.",
                &PoolCounters::server_parses, 1},
    CounterLine{"server_parses_injected_total",
                "Prepared statements that a server was asked for because it was not the one that "
                "the client had prepared them on.",
                &PoolCounters::injected_parses, 1},
    CounterLine{"binds_total", "Prepared statements that clients bound values to.",
                &PoolCounters::binds, 1},
    CounterLine{"transfer_seconds_total",
                "Time in which statements waited for their client to read or to send.",
                &PoolCounters::transfer_time, kMicroseconds},
};

struct HistogramLine {
  const char* name;
  const char* help;
  TimeHistogram PoolCounters::*member;
};

constexpr std::array kHistograms = {
    HistogramLine{"client_wait_seconds", "How long clients waited for a server connection.",
                  &PoolCounters::wait},
    HistogramLine{"statement_server_seconds", "How long servers worked on a statement.",
                  &PoolCounters::statement_server},
    HistogramLine{"statement_duration_seconds",
                  "How long statements took, with waiting and transfer.",
                  &PoolCounters::statement_total},
    HistogramLine{"transaction_server_seconds", "How long servers worked on a transaction.",
                  &PoolCounters::transaction_server},
    HistogramLine{"transaction_duration_seconds",
                  "How long transactions took, with waiting and the pauses of clients.",
                  &PoolCounters::transaction_total},
};

struct Line {
  Labels labels;
  PoolSums sums;
};

// A pool of links to read from is told apart by its host's place in the database's list.
Labels labels_of(const core::PoolKey& key) {
  Labels labels{{"database", key.database}, {"user", key.user}};
  if (key.reader > 0) labels.push_back({"replica", std::to_string(key.reader)});
  return labels;
}

/// The pools that did most, and the others.
std::vector<Line> lines_of(core::Shared& shared) {
  std::vector<Line> lines;
  for (core::PoolLeaders::Row& row :
       shared.pool_leaders.follow(shared.pools.statistics(), core::kPoolRowsMax)) {
    lines.push_back({labels_of(row.key), std::move(row.sums)});
  }
  return lines;
}

void add_histogram(MetricFamily& family, const PoolSums::Times& times, const Labels& labels) {
  ClientMetric metric;
  metric.label = labels;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < TimeHistogram::kBounds.size(); ++i) {
    below += times.buckets[i];
    metric.histogram.bucket.push_back({below, TimeHistogram::kBounds[i] / kMicroseconds});
  }
  metric.histogram.sample_count = below + times.buckets.back();
  metric.histogram.sample_sum = static_cast<double>(times.sum) / kMicroseconds;
  family.metric.push_back(std::move(metric));
}

// Those that there were: most pools know few kinds.
void add_kinds(const std::vector<Line>& lines, std::vector<MetricFamily>& families) {
  families.push_back(family("statements_by_kind_total",
                            "Statements that servers answered, by what they were and by the role "
                            "of the server.",
                            MetricType::Counter));
  for (const Line& line : lines) {
    for (std::size_t i = 0; i < core::kKindCounters; ++i) {
      if (line.sums.kinds[i] == 0) continue;
      const std::size_t kind = i % core::kStatementKinds.size();
      add(families.back(), static_cast<double>(line.sums.kinds[i]),
          with(with(line.labels, "kind", std::string(core::kStatementKinds[kind])), "role",
               i == kind ? "primary" : "replica"));
    }
  }
}

void add_counts(const std::vector<Line>& lines, std::vector<MetricFamily>& families) {
  for (std::size_t i = 0; i < kCounters.size(); ++i) {
    families.push_back(family(kCounters[i].name, kCounters[i].help, MetricType::Counter));
    for (const Line& line : lines) {
      add(families.back(),
          static_cast<double>(line.sums.of(kCounters[i].member)) / kCounters[i].divided_by,
          line.labels);
    }
  }
  add_kinds(lines, families);
  for (std::size_t i = 0; i < kHistograms.size(); ++i) {
    families.push_back(family(kHistograms[i].name, kHistograms[i].help, MetricType::Histogram));
    for (const Line& line : lines) {
      add_histogram(families.back(), line.sums.of(kHistograms[i].member), line.labels);
    }
  }
  MetricFamily errors = family("errors_total", "Errors that clients were told, by who found them.",
                               MetricType::Counter);
  for (const Line& line : lines) {
    const auto add_all = [&](const auto& counts, const char* source) {
      for (const auto& [code, count] : counts) {
        add(errors, static_cast<double>(count),
            with(with(line.labels, "source", source), "sqlstate", code));
      }
    };
    add_all(line.sums.server_errors, "server");
    add_all(line.sums.own_errors, "forebay");
  }
  families.push_back(std::move(errors));
}

struct Clients {
  std::uint32_t active = 0;
  std::uint32_t waiting = 0;
  std::uint32_t idle = 0;
};

// A client is of one pool, and reads by that pool's readers: there it has a link or waits, but is
// not counted as theirs. Counted at slightly different moments: never below zero.
Clients clients_of(const core::Pool& pool, const core::Pool::Counts& counts) {
  const std::uint32_t out = counts.total - counts.opening - counts.parked;
  Clients clients{.waiting = counts.waiting};
  if (pool.is_reader()) {
    clients.active = out;
    return clients;
  }
  clients.active = std::min(counts.clients, out);
  std::uint32_t busy = clients.active + clients.waiting;
  for (const auto& reader : pool.readers()) {
    const core::Pool::Counts its = reader->counts();
    busy += its.waiting + its.total - its.opening - its.parked;
  }
  clients.idle = counts.clients > busy ? counts.clients - busy : 0;
  return clients;
}

void add_gauges(const core::Shared& shared, std::vector<MetricFamily>& families) {
  MetricFamily links =
      family("server_connections", "Server connections, by state.", MetricType::Gauge);
  MetricFamily limit =
      family("pool_size", "Server connections that the pool may open.", MetricType::Gauge);
  MetricFamily clients = family("pool_clients",
                                "Clients that are logged in: with a server connection, waiting "
                                "for one, or without need of one.",
                                MetricType::Gauge);
  MetricFamily oldest = family("pool_oldest_wait_seconds",
                               "How long the client waits that waits longest.", MetricType::Gauge);
  const Instant now = std::chrono::steady_clock::now();
  std::size_t shown = 0;
  for (const auto& pool : shared.pools.all()) {
    const core::Pool::Counts counts = pool->counts();
    if (counts.waiting == 0 && pool->statistics().blank()) continue;  // perhaps a made-up name
    if (counts.clients + counts.total + counts.waiting == 0) continue;
    if (++shown > core::kPoolRowsMax) break;
    const Labels labels = labels_of(pool->key());
    const std::uint32_t active = counts.total - counts.opening - counts.parked;
    const Clients of = clients_of(*pool, counts);
    add(links, counts.parked, with(labels, "state", "idle"));
    add(links, counts.opening, with(labels, "state", "login"));
    add(links, active, with(labels, "state", "active"));
    add(clients, of.active, with(labels, "state", "active"));
    add(clients, of.waiting, with(labels, "state", "waiting"));
    add(clients, of.idle, with(labels, "state", "idle"));
    add(limit, pool->settings().pool_size, labels);
    const bool somebody = counts.waiting > 0 && counts.oldest_wait != kNever;
    const Duration wait = somebody ? std::max(now - counts.oldest_wait, Duration{}) : Duration{};
    add(oldest, std::chrono::duration<double>(wait).count(), labels);
  }
  for (MetricFamily* made : {&links, &limit, &clients, &oldest}) {
    families.push_back(std::move(*made));
  }
}

}  // namespace

void add_pools(core::Shared& shared, std::vector<MetricFamily>& families) {
  add_counts(lines_of(shared), families);
  add_gauges(shared, families);
}

}  // namespace forebay::metrics
