#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "metrics/families.hpp"

namespace forebay::metrics {
namespace {

using Type = MetricType;

/// So many names have series of their own, for each kind of limit: with "*" clients choose the
/// names of databases.
constexpr std::size_t kNamesMax = 500;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double open_descriptors() {
  // Since Linux 6.2 the folder's size is their number. To list 10,000 takes 20 ms.
  struct stat folder {};
  if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0) {
    return static_cast<double>(folder.st_size);
  }
  std::error_code error;
  const std::filesystem::directory_iterator all("/proc/self/fd", error);
  if (error) return 0;
  return static_cast<double>(std::distance(begin(all), end(all))) - 1;  // the look itself is one
}

/// Limits that may be reached, with how much of them is in use: one pair of families for all, so
/// that one alert rule sees them.
class Limits {
 public:
  void add(const std::string& limit, const std::string& of, double used, double max) {
    if (max == 0 || ++shown_[limit] > kNamesMax) return;
    const Labels labels = {{"limit", limit}, {"of", of}};
    metrics::add(used_, used, labels);
    metrics::add(max_, max, labels);
  }
  void done(std::vector<MetricFamily>& families) {
    families.push_back(std::move(used_));
    families.push_back(std::move(max_));
  }

 private:
  std::map<std::string, std::size_t> shown_;  ///< of each kind: none crowds another out
  MetricFamily used_ = family("limit_used", "How much of a limit is in use.", Type::Gauge);
  MetricFamily max_ = family("limit_max", "The limit.", Type::Gauge);
};

// A quota's name is "max_db_connections of database "app"".
void add_quota(Limits& limits, const core::Quota& quota) {
  const std::string& name = quota.name();
  const std::size_t quote = name.find('"');
  limits.add(name.substr(0, name.find(' ')),
             quote == std::string::npos ? name : name.substr(quote + 1, name.size() - quote - 2),
             quota.count(), quota.max());
}

void add_client_limits(Limits& limits, const core::ClientLimits& clients,
                       const config::Config& config, const core::TenantOrderBook::All& orders) {
  std::uint32_t most = 0;                      // no address is a label
  std::map<std::string, std::uint32_t> pools;  // of each database, the one that has most
  std::vector<std::pair<std::string, std::uint32_t>> tenants;
  clients.each([&](const core::ClientLimits::Place& place, std::uint32_t count) {
    if (place.group == core::ClientGroup::address) {
      most = std::max(most, count);
    } else if (place.group == core::ClientGroup::database) {
      const config::Database* database = config.find_database(place.name);
      const std::uint32_t max = database == nullptr ? 0 : database->max_db_client_connections;
      limits.add("max_db_client_connections", place.name, count, max);
    } else if (place.group == core::ClientGroup::pool) {
      std::uint32_t& count_of_most = pools[place.name];
      count_of_most = std::max(count_of_most, count);
    } else if (place.group == core::ClientGroup::tenant) {
      tenants.emplace_back(place.name, count);
    } else {
      const config::User* user = config.find_user(place.name);
      const std::uint32_t max = user == nullptr ? 0 : user->max_user_client_connections;
      limits.add("max_user_client_connections", place.name, count, max);
    }
  });
  limits.add("max_address_client_connections", "the address that has most", most,
             config.max_address_client_connections);
  for (const auto& [name, count] : pools) {
    const config::Database* database = config.find_database(name);
    const std::uint32_t max = database == nullptr ? 0 : database->max_pool_client_connections;
    limits.add("max_pool_client_connections", name, count, max);
  }
  // There may be many of them, and there is no room for all: behind what there are few of.
  for (const auto& [tenant, count] : tenants) {
    const auto ordered = orders.find(tenant);
    limits.add("max_tenant_client_connections", tenant, count,
               config.tenants.max_clients_of(
                   tenant, ordered == orders.end() ? nullptr : &ordered->second.limits));
  }
}

void add_limits(const core::Shared& shared, const core::Runtime* runtime, double descriptors,
                double descriptors_max, std::vector<MetricFamily>& families) {
  Limits limits;
  limits.add("open_files", "", descriptors, descriptors_max);
  if (runtime != nullptr) {
    limits.add("max_client_conn", "", shared.clients.load(), runtime->max_client_conn);
  }
  auto quotas = shared.pools.quotas();
  std::ranges::stable_sort(quotas, std::greater(),
                           [](const auto& quota) { return quota->count(); });
  for (const auto& quota : quotas) add_quota(limits, *quota);
  for (const auto& limit : shared.statement_limits.all()) {
    limits.add("max_statements", limit->name(), limit->counts().running,
               limit->terms().max_statements);
  }
  for (const auto& limit : shared.link_limits.all()) {
    limits.add("max_tenant_connections", limit->name(), limit->counts().running,
               limit->terms().max_statements);
  }
  if (runtime != nullptr) {
    const auto& hold = shared.failover_hold;
    limits.add("failover_hold_statements", "", hold.count(),
               runtime->config.failover_hold_statements);
    limits.add("failover_hold_bytes", "", static_cast<double>(hold.bytes()),
               static_cast<double>(runtime->config.failover_hold_bytes.value()));
    add_client_limits(limits, shared.client_limits, runtime->config, *shared.tenant_orders.all());
  }
  limits.done(families);
}

MetricFamily standard(const char* name, const char* help, Type type, double value) {
  MetricFamily made = single("", help, type, value);
  made.name = name;
  return made;
}

}  // namespace

void add_process(const core::Shared& shared, const Process& process,
                 std::vector<MetricFamily>& families) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  double total = 0;
  double resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const double descriptors = open_descriptors();
  const auto descriptors_max = static_cast<double>(files.rlim_cur);
  families.push_back(standard("process_cpu_seconds_total", "Processor time used.", Type::Counter,
                              seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime)));
  families.push_back(
      standard("process_resident_memory_bytes", "Memory in use.", Type::Gauge, resident * page));
  families.push_back(
      standard("process_open_fds", "Open file descriptors.", Type::Gauge, descriptors));
  families.push_back(standard("process_max_fds", "The most file descriptors that may be open.",
                              Type::Gauge, descriptors_max));
  families.push_back(standard("process_start_time_seconds", "When the process began.", Type::Gauge,
                              static_cast<double>(process.started)));
  families.push_back(single("log_lines_lost_total",
                            "Lines of the log that were not written: they came too fast.",
                            Type::Counter, static_cast<double>(process.lost_log_lines)));
  MetricFamily left_out =
      family("log_lines_suppressed_total",
             "Lines of the log that were left out, for event_rate, by event.", Type::Counter);
  for (const auto& [event, count] : process.left_out_log_lines) {
    add(left_out, static_cast<double>(count), {{"event", event}});
  }
  if (!left_out.metric.empty()) families.push_back(std::move(left_out));
  families.push_back(single("audit_records_lost_total",
                            "Records of the audit log that were not written.", Type::Counter,
                            static_cast<double>(process.lost_audit_records)));
  families.push_back(single("slow_statements_lost_total",
                            "Slow statements that are not in slow_query_log.", Type::Counter,
                            static_cast<double>(process.lost_slow_statements)));
  MetricFamily failed = family("write_errors_total",
                               "Times that a file could not be written: log, audit_log, "
                               "slow_query_log or learn_file.",
                               Type::Counter);
  for (const auto& [file, count] : process.write_errors) {
    add(failed, static_cast<double>(count), {{"file", file}});
  }
  families.push_back(std::move(failed));
  add_limits(shared, process.runtime, descriptors, descriptors_max, families);
  MetricFamily expiry = family("certificate_expiry_timestamp_seconds",
                               "When a certificate of ours expires.", Type::Gauge);
  if (process.runtime != nullptr) {
    for (const core::CertificateFacts& each : process.runtime->certificates) {
      if (each.expires != 0) add(expiry, static_cast<double>(each.expires), {{"file", each.file}});
    }
  }
  if (!expiry.metric.empty()) families.push_back(std::move(expiry));
}

}  // namespace forebay::metrics
