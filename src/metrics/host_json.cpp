#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "metrics/json.hpp"
#include "metrics/json_object.hpp"
#include "metrics/metrics.hpp"

// What the status page shows of the process, its pools and their hosts.
namespace forebay::metrics {
namespace {

using core::PoolCounters;
using routing::HostView;

std::uint64_t age(Instant moment, Instant now) {
  return core::microseconds_of(std::max(now - moment, Duration{}));
}

// What stops a pool from working; empty: nothing that is known.
std::string trouble_of(const core::Shared& shared, const core::Pool& pool, Instant now) {
  if (shared.pools.disabled(pool.key().database)) return "disabled";
  if (pool.paused()) return "paused";
  const auto refused = pool.unavailable(now);
  return refused ? refused->message : std::string();
}

std::uint64_t errors_of(const core::PoolStatistics& done) {
  std::uint64_t errors = 0;
  const auto add = [&](const std::string&, std::uint64_t count) { errors += count; };
  done.each([&](const PoolCounters& counters) {
    counters.server_errors.each(add);
    counters.own_errors.each(add);
  });
  return errors;
}

std::string pool_json(const core::Shared& shared, const core::Pool& pool, Instant now) {
  const core::Pool::Counts counts = pool.counts();
  const core::PoolStatistics& done = pool.statistics();
  const bool waits = counts.waiting > 0 && counts.oldest_wait != kNever;
  std::string hosts;
  for (const Endpoint& host : pool.target().hosts) {
    if (!hosts.empty()) hosts += ", ";
    hosts += to_string(host);
  }
  return Object()
      .text("database", pool.key().database)
      .text("user", pool.key().user)
      .number("replica", pool.key().reader)
      .text("hosts", hosts)
      .text("trouble", trouble_of(shared, pool, now))
      .number("clients", counts.clients)
      .number("waiting", counts.waiting)
      .seconds("oldest_wait_seconds", waits ? age(counts.oldest_wait, now) : 0)
      .number("active", counts.total - counts.opening - counts.parked)
      .number("idle", counts.parked)
      .number("login", counts.opening)
      .number("pool_size", pool.settings().pool_size)
      .number("transactions", done.sum(&PoolCounters::transactions))
      .number("statements", done.sum(&PoolCounters::statements))
      .number("errors", errors_of(done))
      .number("rows", done.sum(&PoolCounters::rows))
      .seconds("wait_seconds", done.sum(&PoolCounters::wait))
      .seconds("server_seconds", done.sum(&PoolCounters::statement_server))
      .seconds("transfer_seconds", done.sum(&PoolCounters::transfer_time))
      .number("received_bytes", done.sum(&PoolCounters::client_bytes))
      .number("sent_bytes", done.sum(&PoolCounters::server_bytes))
      .done();
}

// What this process did to connections to a host.
void add_links(Object& object, const core::HostCounts* counts) {
  object.number("links", counts == nullptr ? 0 : counts->open.load())
      .number("opened", counts == nullptr ? 0 : counts->opened.load())
      .number("failed", counts == nullptr ? 0 : counts->failed.load())
      .number("lost", counts == nullptr ? 0 : counts->lost.load());
  const auto trouble = counts == nullptr ? core::HostCounts::Trouble() : counts->trouble();
  object.text("last_error", trouble.error)
      .text("last_error_time", trouble.error.empty() ? std::string() : utc(trouble.last));
}

void add_since(Object& object, Instant since, Instant now) {
  if (since == Instant{} || since == kNever) {
    object.raw("since_seconds", "null");
  } else {
    object.seconds("since_seconds", age(since, now));
  }
}

// The only host of its databases: nobody asks it, and what is known is how logins went.
std::string lone_json(const Endpoint& host, const core::HostCounts* counts,
                      const std::string& databases, Instant now) {
  const auto trouble = counts == nullptr ? core::HostCounts::Trouble() : counts->trouble();
  const bool fails = trouble.failing_since != kNever;
  const bool used = counts != nullptr && counts->opened.load() > 0;
  Object object;
  object.text("host", to_string(host))
      .text("databases", databases)
      .text("cluster", "")
      .text("role", "")
      .text("state", fails  ? "down"
                     : used ? "up"
                            : "unknown")
      .boolean("ordered", false)
      .text("why", fails ? trouble.error : std::string());
  add_since(object, fails ? trouble.failing_since : kNever, now);
  object.raw("lag_seconds", "null").raw("behind_bytes", "null");
  object.number("probes", 0).number("failed_probes", 0).number("downs", 0);
  add_links(object, counts);
  return object.done();
}

std::string state_of(const core::Cluster::View& view, const HostView& host, bool asked) {
  if (host.order != nullptr && host.order->shuts()) {
    return std::string(routing::to_string(host.order->standing));
  }
  if (!view.watched && !asked) return "unknown";
  if (!host.up) return "down";
  if (host.fenced) return "fenced";
  return host.may_write() || host.may_read() ? "up" : "unfit";
}

std::string member_json(core::Cluster& cluster, const core::Cluster::View& view, std::size_t i,
                        const core::HostCounts* counts, const std::string& databases, Instant now) {
  const HostView host = i < view.hosts.size() ? view.hosts[i] : HostView();
  const auto& probes = cluster.statistics(i);
  const auto past = cluster.past(i);
  const std::string state = state_of(view, host, probes.probes.load() > 0);
  const bool replica = host.role == routing::Role::replica;
  const bool used = replica ? host.may_read() : host.may_write();
  std::string name;
  for (const Endpoint& each : cluster.hosts()) name += (name.empty() ? "" : ",") + to_string(each);
  std::string why = used ? "" : explain(host, replica ? host.no_reads : host.no_writes, now);
  if (!host.error.empty() && !host.up) why += (why.empty() ? "" : ": ") + host.error;
  Object object;
  object.text("host", to_string(cluster.hosts()[i]))
      .text("databases", databases)
      .text("cluster", name)
      .text("role", host.role == routing::Role::unknown ? "" : routing::to_string(host.role))
      .text("state", state)
      .boolean("ordered", host.order != nullptr)
      .text("why", host.order != nullptr ? to_string(*host.order, now) : why);
  add_since(object, past.since, now);
  if (replica && host.complete_until) {
    object.seconds("lag_seconds", age(*host.complete_until, now));
  } else {
    object.raw("lag_seconds", "null");
  }
  object.raw("behind_bytes", replica && host.bytes_behind ? std::to_string(*host.bytes_behind)
                                                          : std::string("null"));
  object.number("probes", probes.probes.load())
      .number("failed_probes", probes.failed_probes.load())
      .number("downs", past.downs);
  add_links(object, counts);
  return object.done();
}

// The databases whose hosts are these, as the configuration in use says.
std::string databases_of(const config::Config& config, const std::vector<Endpoint>& hosts) {
  std::string names;
  for (const auto& [name, entry] : config.databases) {
    if (entry.hosts == hosts) names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace

std::string hosts_json(core::Shared& shared, const Process& process) {
  if (process.runtime == nullptr) return "{\"hosts\":[]}\n";
  const config::Config& config = process.runtime->config;
  const Instant now = std::chrono::steady_clock::now();
  std::set<std::vector<Endpoint>> all;
  for (const auto& [name, entry] : config.databases) all.insert(entry.hosts);
  std::string rows;
  for (const std::vector<Endpoint>& hosts : all) {
    const std::string databases = databases_of(config, hosts);
    if (hosts.size() == 1) {
      append(rows, lone_json(hosts.front(), shared.hosts.find(hosts.front()), databases, now));
      continue;
    }
    const auto cluster = shared.pools.cluster_of(hosts);
    const auto view = cluster->view();
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      append(rows, member_json(*cluster, *view, i, shared.hosts.find(hosts[i]), databases, now));
    }
  }
  return "{\"hosts\":[" + rows + "]}\n";
}

std::string pools_json(const core::Shared& shared, const Process& process) {
  const Instant now = std::chrono::steady_clock::now();
  std::string pools;
  for (const auto& pool : shared.pools.all()) append(pools, pool_json(shared, *pool, now));
  std::uint64_t logins = 0;
  std::uint64_t failed_logins = 0;
  for (const core::Counters& counters : shared.counters) {
    logins += counters.clients_logged_in.value();
    failed_logins += counters.logins_failed.value();
  }
  std::uint64_t failovers = 0;
  for (const auto& cluster : shared.pools.clusters()) failovers += cluster->failovers.load();
  const auto limit = process.runtime == nullptr ? 0 : process.runtime->config.max_client_conn;
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wall).count();
  return Object()
             .text("version", process.version)
             .number("uptime_seconds", static_cast<std::uint64_t>(
                                           std::max<std::int64_t>(seconds - process.started, 0)))
             .number("workers", shared.workers)
             .number("clients", shared.clients.load())
             .number("max_client_conn", limit.value_or(0))
             .number("logins", logins)
             .number("failed_logins", failed_logins)
             .number("failovers", failovers)
             .number("lost_log_lines", process.lost_log_lines)
             .boolean("reloaded", shared.reloads.last_applied.load())
             .raw("pools", "[" + pools + "]")
             .done() +
         "\n";
}

}  // namespace forebay::metrics
