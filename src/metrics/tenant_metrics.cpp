#include <array>
#include <cstddef>

#include "core/engine/shared.hpp"
#include "metrics/families.hpp"

namespace forebay::metrics {
namespace {

using core::TenantCounts;

/// So many tenants have series of their own; the others are one. Their names are short, and ASCII.
constexpr std::size_t kTenantsMax = 50;
constexpr double kMicroseconds = 1e6;

struct CounterLine {
  const char* name;
  const char* help;
  std::uint64_t TenantCounts::*member;
  double divided_by;
};

constexpr std::array kCounters = {
    CounterLine{"tenant_statements_total", "Statements of a tenant that servers answered.",
                &TenantCounts::statements, 1},
    CounterLine{"tenant_errors_total", "Errors that a tenant's statements ended with.",
                &TenantCounts::errors, 1},
    CounterLine{"tenant_wait_seconds_total",
                "Time in which a tenant's statements waited for a server connection.",
                &TenantCounts::wait, kMicroseconds},
    CounterLine{"tenant_server_seconds_total",
                "Time in which servers worked on a tenant's statements.", &TenantCounts::server,
                kMicroseconds},
    CounterLine{"tenant_received_bytes_total", "Bytes that a tenant's clients sent to servers.",
                &TenantCounts::received_bytes, 1},
    CounterLine{"tenant_sent_bytes_total", "Bytes that servers sent to a tenant's clients.",
                &TenantCounts::sent_bytes, 1},
    CounterLine{"tenant_refusals_total", "Statements of a tenant refused by the policy.",
                &TenantCounts::refused, 1},
};

// What operators have ordered, also of tenants of whom nobody has come.
void add_orders(const core::TenantOrderBook& book, std::vector<MetricFamily>& families) {
  constexpr std::array<const char*, core::kTenantOrderKinds> kNames{"ban", "pause", "limit"};
  const auto add_kinds = [&](const core::TenantOrderCounts& counts) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      add(families.back(), static_cast<double>(counts[i]), {{"order", kNames[i]}});
    }
  };
  families.push_back(family("tenant_orders", "Operators' orders of tenants that are in force.",
                            MetricType::Gauge));
  add_kinds(book.in_force());
  families.push_back(family("tenant_orders_total",
                            "Operators' orders of tenants: BAN, PAUSE and LIMIT TENANT.",
                            MetricType::Counter));
  add_kinds(book.given());
}

}  // namespace

void add_tenants(core::Shared& shared, std::vector<MetricFamily>& families) {
  const std::vector<core::TenantRow> rows = shared.tenants.leaders(kTenantsMax);
  if (!rows.empty() || shared.tenant_orders.version() > 0) {
    add_orders(shared.tenant_orders, families);
  }
  if (rows.empty()) return;
  families.push_back(
      family("tenant_clients", "Clients of a tenant that are logged in.", MetricType::Gauge));
  for (const core::TenantRow& row : rows) {
    add(families.back(), row.clients, {{"tenant", row.tenant}});
  }
  for (const CounterLine& line : kCounters) {
    families.push_back(family(line.name, line.help, MetricType::Counter));
    for (const core::TenantRow& row : rows) {
      add(families.back(), static_cast<double>(row.counts.*line.member) / line.divided_by,
          {{"tenant", row.tenant}});
    }
  }
}

}  // namespace forebay::metrics
