#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "admin/show.hpp"
#include "core/pool/pool.hpp"

// SHOW TENANTS: who they are, what they have, what they did and were refused. Times are
// microseconds, as in SHOW STATS. SHOW TENANTS EXTENDED: the limits of each, too; 0 is none.
namespace forebay::admin {
namespace {

constexpr Type kInt = Type::int4;
constexpr Type kSum = Type::int8;
constexpr Column kTenants[] = {{"tenant"},
                               {"clients", kInt},
                               {"active", kInt},
                               {"waiting", kInt},
                               {"servers", kInt},
                               {"maxwait", kInt},
                               {"refused", kSum},
                               {"statements", kSum},
                               {"errors", kSum},
                               {"wait_time", kSum},
                               {"server_time", kSum},
                               {"received", kSum},
                               {"sent", kSum},
                               {"state"},
                               {"until"},
                               {"reason"}};

constexpr Column kLimits[] = {{"max_clients", kInt},
                              {"max_connections", kInt},
                              {"max_statements", kInt},
                              {"max_statements_per_second", kInt},
                              {"max_bytes_per_second", kSum},
                              {"statement_timeout_ms", kSum},
                              {"weight", kInt}};
constexpr auto kExtended = [] {
  std::array<Column, std::size(kTenants) + std::size(kLimits)> all{};
  std::ranges::copy(kLimits, std::ranges::copy(kTenants, all.begin()).out);
  return all;
}();

constexpr Column kOrders[] = {{"tenant"}, {"order"}, {"limits"}, {"since"},
                              {"until"},  {"by"},    {"reason"}};

std::string until(const core::TenantOrders::Order& order) {
  return order.until == 0 ? std::string() : core::moment_of(order.until);
}

Rows tenant_orders(const View& view) {
  Rows rows;
  const auto all = view.shared.tenant_orders.all();
  for (const auto& [tenant, orders] : *all) {
    const auto add = [&rows, &name = tenant](const std::optional<core::TenantOrders::Order>& order,
                                             std::string_view what, const std::string& limits) {
      if (!order) return;
      rows.push_back({name, what, limits, core::moment_of(order->since), until(*order), order->by,
                      order->reason});
    };
    add(orders.ban, "ban", {});
    add(orders.pause, "pause", {});
    add(orders.limit, "limit", config::show_limits(orders.limits));
  }
  return rows;
}

constexpr Column kTables[] = {{"database"}, {"schema"}, {"table"}, {"mode"}, {"why"}};

std::string_view name_of(tenant::Mode mode) {
  return mode == tenant::Mode::enforce  ? "enforce"
         : mode == tenant::Mode::report ? "report"
                                        : "off";
}

/// What the firewall covers: by its name in the configuration, or since the catalog says so.
Rows tenant_tables(const View& view) {
  using Shows = tenant::CatalogTables::Shows;
  Rows rows;
  std::set<std::string> databases;
  tenant::Policy policy = tenant::policy_of(view.config.tenants);
  if (view.config.tenants.databases.empty()) return rows;
  for (const std::vector<std::string>* names : {&policy.tables, &policy.report_tables}) {
    for (const std::string& name : *names) {
      const std::size_t dot = name.find('.');
      const bool any = dot == std::string::npos;
      const tenant::Mode mode = names == &policy.tables ? policy.firewall : tenant::Mode::report;
      rows.push_back({"", any ? "" : name.substr(0, dot), any ? name : name.substr(dot + 1),
                      name_of(policy.firewall == tenant::Mode::off ? policy.firewall : mode),
                      "listed"});
    }
  }
  if (!policy.tables_with_column) return rows;
  for (const auto& pool : view.shared.pools.all()) {
    const std::string& database = pool->key().database;
    if (!pool->target().tenant_tables || !databases.insert(database).second) continue;
    core::CatalogEpoch& catalog = pool->catalog();
    policy.catalog = catalog.tables.fresh(catalog.now()) ? catalog.tables.get() : nullptr;
    if (policy.catalog == nullptr) {
      rows.push_back({database, "", "", name_of(policy.firewall), "not known now: each table"});
      continue;
    }
    for (const auto& relation : policy.catalog->relations()) {
      if (relation.shows == Shows::nothing) continue;
      rows.push_back({database, relation.schema, relation.name,
                      name_of(policy.mode_of(relation.schema, relation.name)),
                      relation.shows == Shows::column ? "has the column" : "shows tenants' rows"});
    }
  }
  return rows;
}

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
  const auto all_orders = view.shared.tenant_orders.all();
  for (const auto& [tenant, orders] : *all_orders) uses[tenant];
  Rows rows;
  for (const auto& [tenant, use] : uses) {
    // The strongest; SHOW TENANT ORDERS has all.
    std::string_view state;
    const core::TenantOrders::Order* order = nullptr;
    if (const auto found = all_orders->find(tenant); found != all_orders->end()) {
      const core::TenantOrders& orders = found->second;
      state = orders.ban ? "banned" : orders.pause ? "paused" : "limited";
      order = &(orders.ban ? *orders.ban : orders.pause ? *orders.pause : *orders.limit);
    }
    const core::TenantCounts& counts = use.counts;
    rows.push_back({tenant, use.clients, use.active, use.waiting, use.servers, use.longest_wait,
                    counts.refused, counts.statements, counts.errors, counts.wait, counts.server,
                    counts.received_bytes, counts.sent_bytes, state,
                    order == nullptr ? std::string() : until(*order),
                    order == nullptr ? std::string() : order->reason});
  }
  return rows;
}

Rows tenants_extended(const View& view) {
  Rows rows = tenants(view);
  const config::TenantSettings& settings = view.config.tenants;
  const auto all_orders = view.shared.tenant_orders.all();
  for (Row& row : rows) {
    const std::string tenant = row.front().text;
    const auto found = all_orders->find(tenant);
    const config::TenantLimits* ordered =
        found == all_orders->end() ? nullptr : &found->second.limits;
    const config::StatementLimits statements = settings.statements_of(tenant, ordered);
    row.insert(row.end(),
               {settings.max_clients_of(tenant, ordered),
                settings.connections_of(tenant, ordered).max_statements, statements.max_statements,
                statements.max_statements_per_second, statements.max_bytes_per_second.value(),
                settings.statement_timeout_of(tenant, ordered).count(), settings.weight(tenant)});
  }
  return rows;
}

}  // namespace

std::vector<ShowLine> show_tenants() {
  constexpr bool kAsks = true;
  return {{"TENANTS", kTenants, tenants, kAsks},
          {"TENANTS EXTENDED", kExtended, tenants_extended, kAsks},
          {"TENANT ORDERS", kOrders, tenant_orders},
          {"TENANT TABLES", kTables, tenant_tables}};
}

}  // namespace forebay::admin
