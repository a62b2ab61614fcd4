#include "metrics/metrics.hpp"

#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

#include "core/engine/shared.hpp"
#include "metrics/families.hpp"

namespace forebay::metrics {
namespace {

struct CounterLine {
  const char* name;
  const char* help;
  Counter core::Counters::*member;
};

constexpr CounterLine kCounters[] = {
    {"client_connections_total", "Connections that clients opened.",
     &core::Counters::clients_accepted},
    {"client_logins_total", "Clients that logged in.", &core::Counters::clients_logged_in},
    {"client_logins_failed_total", "Logins that were refused.", &core::Counters::logins_failed},
    {"client_disconnects_total", "Client connections that ended.", &core::Counters::clients_closed},
    {"client_received_bytes_total", "Bytes received from clients.", &core::Counters::client_bytes},
    {"server_received_bytes_total", "Bytes received from servers.", &core::Counters::server_bytes},
    {"server_connections_opened_total", "Server connections that logged in.",
     &core::Counters::links_opened},
    {"server_connections_failed_total", "Attempts to open a server connection that failed.",
     &core::Counters::links_failed},
    {"server_connections_closed_total", "Server connections that ended.",
     &core::Counters::links_closed},
    {"server_connections_lost_total", "Server connections that ended against our will.",
     &core::Counters::links_lost},
    {"server_connections_moved_total", "Server connections that went to another worker.",
     &core::Counters::links_moved},
    {"replica_reads_total", "Reading statements, or batches up to a Sync, sent to a replica.",
     &core::Counters::replica_batches},
    {"replica_reads_retried_total", "Of these, those that the primary had to do in the end.",
     &core::Counters::replica_retries},
    {"waits_total", "Statements that had to wait for a server connection.", &core::Counters::waits},
    {"waits_failed_total", "Waits for a server connection that ended without one.",
     &core::Counters::waits_failed},
    {"cancels_total", "Cancel requests that were carried out.", &core::Counters::cancels},
    {"server_recoveries_total", "Server connections made clean after their client vanished.",
     &core::Counters::recoveries},
    {"tenant_statements_refused_total", "Statements refused by the policy for tenants.",
     &core::Counters::tenant_statements_refused},
    {"tenant_statements_reported_total", "Statements against the policy for tenants that ran.",
     &core::Counters::tenant_statements_reported},
    {"refused_max_client_conn_total", "Clients that max_client_conn refused.",
     &core::Counters::refused_max_client_conn},
    {"refused_max_address_client_connections_total",
     "Clients that max_address_client_connections refused.",
     &core::Counters::refused_address_clients},
    {"refused_max_db_client_connections_total", "Clients that max_db_client_connections refused.",
     &core::Counters::refused_db_clients},
    {"refused_max_user_client_connections_total",
     "Clients that max_user_client_connections refused.", &core::Counters::refused_user_clients},
    {"statement_timeouts_total", "Statements that took longer than statement_timeout.",
     &core::Counters::statement_timeouts},
    {"transaction_timeouts_total", "Transactions that took longer than transaction_timeout.",
     &core::Counters::transaction_timeouts},
    {"idle_transaction_timeouts_total",
     "Transactions that were idle for longer than idle_transaction_timeout.",
     &core::Counters::idle_transaction_timeouts},
    {"client_idle_timeouts_total", "Clients that were idle for longer than client_idle_timeout.",
     &core::Counters::client_idle_timeouts},
};

void add_reloads(const core::ReloadCounters& reloads, std::vector<MetricFamily>& families) {
  const auto put = [&](const char* name, const char* help, MetricType type, double value) {
    MetricFamily made = family(name, help, type);
    add(made, value);
    families.push_back(std::move(made));
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

}  // namespace

std::string render(const core::Shared& shared, const std::string& version) {
  std::vector<MetricFamily> families;
  MetricFamily build = family("build_info", "The running program.", MetricType::Gauge);
  add(build, 1, {{"version", version}});
  families.push_back(std::move(build));
  MetricFamily clients =
      family("clients", "Clients beyond their start-up message.", MetricType::Gauge);
  add(clients, shared.clients.load());
  families.push_back(std::move(clients));
  for (const CounterLine& line : kCounters) {
    MetricFamily made = family(line.name, line.help, MetricType::Counter);
    std::uint64_t sum = 0;
    for (const core::Counters& counters : shared.counters) sum += (counters.*line.member).value();
    add(made, static_cast<double>(sum));
    families.push_back(std::move(made));
  }
  add_reloads(shared.reloads, families);
  add_pools(shared, families);
  add_clusters(shared, families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace forebay::metrics
