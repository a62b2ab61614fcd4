#include <cstdint>
#include <map>

#include "admin/show.hpp"

// SHOW TENANTS: who they are, what they have, what they did and were refused. Times are
// microseconds, as in SHOW STATS.
namespace forebay::admin {
namespace {

constexpr Type kInt = Type::int4;
constexpr Type kSum = Type::int8;
constexpr Column kTenants[] = {{"tenant"},          {"clients", kInt},     {"active", kInt},
                               {"waiting", kInt},   {"servers", kInt},     {"maxwait", kInt},
                               {"refused", kSum},   {"statements", kSum},  {"errors", kSum},
                               {"wait_time", kSum}, {"server_time", kSum}, {"received", kSum},
                               {"sent", kSum}};

struct Use {
  std::int64_t clients = 0;
  std::int64_t active = 0;
  std::int64_t waiting = 0;
  std::int64_t servers = 0;  ///< that its clients have, at work or pinned
  std::int64_t longest_wait = 0;
  core::TenantCounts counts;
};

Rows tenants(const View& view) {
  std::map<std::string, Use> uses;
  for (const auto& report : view.reports) {
    for (const core::ClientFacts& client : report->clients) {
      if (client.tenant.empty()) continue;
      Use& use = uses[client.tenant];
      ++use.clients;
      if (client.state == "active") ++use.active;
      if (client.state == "waiting") ++use.waiting;
      if (client.remote_pid != 0) ++use.servers;
      if (client.waits_since == kNever || client.waits_since > view.now) continue;
      const auto waited =
          std::chrono::duration_cast<std::chrono::seconds>(view.now - client.waits_since);
      use.longest_wait = std::max<std::int64_t>(use.longest_wait, waited.count());
    }
  }
  for (const core::TenantRow& row : view.shared.tenants.report()) {
    uses[row.tenant].counts = row.counts;
  }
  Rows rows;
  for (const auto& [tenant, use] : uses) {
    const core::TenantCounts& counts = use.counts;
    rows.push_back({tenant, use.clients, use.active, use.waiting, use.servers, use.longest_wait,
                    counts.refused, counts.statements, counts.errors, counts.wait, counts.server,
                    counts.received_bytes, counts.sent_bytes});
  }
  return rows;
}

}  // namespace

std::vector<ShowLine> show_tenants() {
  constexpr bool kAsks = true;
  return {{"TENANTS", kTenants, tenants, kAsks}};
}

}  // namespace forebay::admin
