#include "metrics/metrics.hpp"

#include <prometheus/text_serializer.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "core/statistics/report.hpp"
#include "metrics/families.hpp"
#include "metrics/open_metrics.hpp"
#include "metrics/utf8.hpp"

namespace forebay::metrics {
namespace {

struct CounterLine {
  const char* name;
  const char* help;
  Counter core::Counters::*member;
  const char* label = nullptr;  ///< lines of one name follow each other, and differ in this label
  const char* value = nullptr;
};

constexpr const char* kRefusals = "Clients that a limit refused.";
constexpr const char* kHeld = "Statements that a limit let wait.";
constexpr const char* kRefused = "Statements that a limit refused: too many waited.";
constexpr const char* kExplains =
    "Slow statements by what came of their plan: unfit ones can have none.";
constexpr const char* kTimeouts = "Statements, transactions and clients that took too long.";

constexpr CounterLine kCounters[] = {
    {"client_connections_total", "Connections that clients opened.",
     &core::Counters::clients_accepted},
    {"client_logins_total", "Clients that logged in.", &core::Counters::clients_logged_in},
    {"client_disconnects_total", "Client connections that ended.", &core::Counters::clients_closed},
    {"client_received_bytes_total", "Bytes received from clients.", &core::Counters::client_bytes},
    {"server_received_bytes_total", "Bytes received from servers.", &core::Counters::server_bytes},
    {"server_connections_opened_total", "Server connections that logged in.",
     &core::Counters::links_opened},
    {"server_connections_failed_total", "Attempts to open a server connection that failed.",
     &core::Counters::links_failed},
    {"auth_queries_total", "Users whose password was looked up by auth_query.",
     &core::Counters::auth_lookups},
    {"auth_query_failures_total", "Times that auth_query had no connection.",
     &core::Counters::auth_lookups_failed},
    {"slow_statement_explains_total", kExplains, &core::Counters::explains_done, "result", "done"},
    {"slow_statement_explains_total", kExplains, &core::Counters::explains_limited, "result",
     "limited"},
    {"slow_statement_explains_total", kExplains, &core::Counters::explains_unfit, "result",
     "unfit"},
    {"slow_statement_explains_total", kExplains, &core::Counters::explains_failed, "result",
     "failed"},
    {"server_connections_closed_total", "Server connections that ended.",
     &core::Counters::links_closed},
    {"server_connections_lost_total", "Server connections that ended against our will.",
     &core::Counters::links_lost},
    {"statements_resent_total",
     "Statements of lost server connections that went to another, unseen by their clients.",
     &core::Counters::statements_resent},
    {"statements_rerun_total",
     "Statements run again, unseen by their clients, because the catalog had changed behind them.",
     &core::Counters::statements_rerun},
    {"server_connections_moved_total", "Server connections that went to another worker.",
     &core::Counters::links_moved},
    {"replica_reads_total", "Reading statements, or batches up to a Sync, sent to a replica.",
     &core::Counters::replica_batches},
    {"replica_reads_retried_total", "Of these, those that the primary had to do in the end.",
     &core::Counters::replica_retries},
    {"replica_waits_total",
     "Reads that waited for a replica to have what read_consistency wants it to.",
     &core::Counters::replica_waits},
    {"replica_waits_failed_total", "Of these, those that the primary did in the end.",
     &core::Counters::replica_waits_failed},
    {"waits_total", "Statements that had to wait for a server connection.", &core::Counters::waits},
    {"waits_failed_total", "Waits for a server connection that ended without one.",
     &core::Counters::waits_failed},
    {"cancels_total", "Cancel requests that were carried out.", &core::Counters::cancels},
    {"cancels_forwarded_total", "Cancel requests that were sent on to a peer.",
     &core::Counters::cancels_forwarded},
    {"server_recoveries_total", "Server connections made clean after their client vanished.",
     &core::Counters::recoveries},
    {"tenant_statements_refused_total", "Statements refused by the policy for tenants.",
     &core::Counters::tenant_statements_refused},
    {"tenant_statements_reported_total", "Statements against the policy for tenants that ran.",
     &core::Counters::tenant_statements_reported},
    {"notifications_total", "Notifications that clients got by shared_listen.",
     &core::Counters::notifications},
    {"notifications_dropped_total",
     "Notifications of which too many waited for their client, with shared_listen.",
     &core::Counters::notifications_dropped},
    {"listening_connections_lost_total", "Connections of shared_listen that were lost.",
     &core::Counters::listening_lost},
    {"clients_refused_total", kRefusals, &core::Counters::refused_max_client_conn, "limit",
     "max_client_conn"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_address_clients, "limit",
     "max_address_client_connections"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_db_clients, "limit",
     "max_db_client_connections"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_user_clients, "limit",
     "max_user_client_connections"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_pool_clients, "limit",
     "max_pool_client_connections"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_tenant_clients, "limit",
     "max_tenant_client_connections"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_logins, "limit",
     "max_logins_per_second"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_address_logins, "limit",
     "max_address_logins_per_second"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_authenticating, "limit",
     "max_authenticating_clients"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_addresses, "limit", "allow_from"},
    {"clients_refused_total", kRefusals, &core::Counters::refused_headers, "limit",
     "proxy_protocol_from"},
    {"statements_held_total", kHeld, &core::Counters::held_statements, "limit", "max_statements"},
    {"statements_held_total", kHeld, &core::Counters::held_statement_rate, "limit",
     "max_statements_per_second"},
    {"statements_held_total", kHeld, &core::Counters::held_links, "limit",
     "max_tenant_connections"},
    {"byte_rate_pauses_total",
     "Times that a client and its server were not read from, for max_bytes_per_second.",
     &core::Counters::held_bytes},
    {"statements_refused_total", kRefused, &core::Counters::refused_statements, "limit",
     "max_statements"},
    {"statements_refused_total", kRefused, &core::Counters::refused_statement_rate, "limit",
     "max_statements_per_second"},
    {"statements_refused_total", kRefused, &core::Counters::refused_links, "limit",
     "max_tenant_connections"},
    {"statements_refused_total", kRefused, &core::Counters::refused_hold, "limit", "failover_hold"},
    {"timeouts_total", kTimeouts, &core::Counters::statement_timeouts, "kind", "statement_timeout"},
    {"timeouts_total", kTimeouts, &core::Counters::transaction_timeouts, "kind",
     "transaction_timeout"},
    {"timeouts_total", kTimeouts, &core::Counters::idle_transaction_timeouts, "kind",
     "idle_transaction_timeout"},
    {"timeouts_total", kTimeouts, &core::Counters::client_idle_timeouts, "kind",
     "client_idle_timeout"},
    {"timeouts_total", kTimeouts, &core::Counters::query_wait_timeouts, "kind",
     "query_wait_timeout"},
    {"timeouts_total", kTimeouts, &core::Counters::client_login_timeouts, "kind",
     "client_login_timeout"},
};

void add_counters(const std::vector<core::Counters>& workers, std::vector<MetricFamily>& families) {
  const std::size_t first = families.size();
  for (const CounterLine& line : kCounters) {
    std::uint64_t sum = 0;
    for (const core::Counters& counters : workers) sum += (counters.*line.member).value();
    MetricFamily made = family(line.name, line.help, MetricType::Counter);
    if (families.size() == first || families.back().name != made.name) {
      families.push_back(std::move(made));
    }
    add(families.back(), static_cast<double>(sum),
        line.label == nullptr ? Labels{} : Labels{{line.label, line.value}});
  }
}

void add_failed_logins(const std::vector<core::Counters>& workers,
                       std::vector<MetricFamily>& families) {
  std::map<std::string, std::uint64_t> codes;
  for (const core::Counters& counters : workers) {
    counters.login_errors.each(
        [&](const std::string& code, std::uint64_t count) { codes[code] += count; });
  }
  families.push_back(family("client_logins_failed_total",
                            "Logins that were refused, by what the client was told.",
                            MetricType::Counter));
  for (const auto& [code, count] : codes) {
    add(families.back(), static_cast<double>(count), {{"sqlstate", code}});
  }
}

void add_pins(const std::vector<core::Counters>& workers, std::vector<MetricFamily>& families) {
  MetricFamily pinned =
      family("pinned_clients", "Clients that keep a server connection beyond their transaction.",
             MetricType::Gauge);
  MetricFamily pins = family("pins_total", "Times that a client began to.", MetricType::Counter);
  for (std::size_t i = 0; i < core::kPinNames.size(); ++i) {
    std::uint64_t over = 0;  // read first: what is over has begun
    for (const core::Counters& counters : workers) over += counters.pins_over[i].value();
    std::uint64_t begun = 0;
    for (const core::Counters& counters : workers) begun += counters.pins_begun[i].value();
    const Labels labels = {{"reason", std::string(core::kPinNames[i])}};
    add(pinned, static_cast<double>(begun) - static_cast<double>(over), labels);
    add(pins, static_cast<double>(begun), labels);
  }
  families.push_back(std::move(pinned));
  families.push_back(std::move(pins));
}

void add_reloads(const core::ReloadCounters& reloads, std::vector<MetricFamily>& families) {
  const auto put = [&](const char* name, const char* help, MetricType type, double value) {
    families.push_back(single(name, help, type, value));
  };
  put("config_reloads_total", "Reloads that were applied.", MetricType::Counter,
      static_cast<double>(reloads.applied.value()));
  put("config_reloads_failed_total", "Reloads that changed nothing, because of an error.",
      MetricType::Counter, static_cast<double>(reloads.failed.value()));
  put("config_last_reload_success", "Whether the last attempt to load the configuration succeeded.",
      MetricType::Gauge, reloads.last_applied.load() ? 1 : 0);
  put("config_last_reload_timestamp_seconds", "When the configuration in use was loaded.",
      MetricType::Gauge, static_cast<double>(reloads.last_time.load()));
}

// One label that is no UTF-8, and Prometheus drops the whole scrape.
void make_valid(std::vector<MetricFamily>& families) {
  for (MetricFamily& made : families) {
    for (ClientMetric& metric : made.metric) {
      for (ClientMetric::Label& label : metric.label) label.value = valid_utf8(label.value);
    }
  }
}

}  // namespace

std::string render(core::Shared& shared, const Process& process, Format format) {
  std::vector<MetricFamily> families;
  MetricFamily build = family("build_info", "The running program.", MetricType::Gauge);
  add(build, 1, {{"version", process.version}});
  families.push_back(std::move(build));
  families.push_back(single("clients", "Clients beyond their start-up message.", MetricType::Gauge,
                            shared.clients.load()));
  add_counters(shared.counters, families);
  add_failed_logins(shared.counters, families);
  add_pins(shared.counters, families);
  add_reloads(shared.reloads, families);
  add_process(shared, process, families);
  add_pools(shared, families);
  add_clusters(shared, process.runtime, families);
  add_tenants(shared, families);
  if (process.runtime != nullptr) {
    const config::Config& config = process.runtime->config;
    if (config.statement_metrics > 0) add_statements(shared, config.statement_metrics, families);
    add_rules(*process.runtime, families);
    if (config.pgbouncer_metrics) add_pgbouncer(shared, *process.runtime, families);
  }
  make_valid(families);
  std::string text = prometheus::TextSerializer().Serialize(families);
  return format == Format::text ? text : open_metrics(text, core::slow_report(shared));
}

}  // namespace forebay::metrics
