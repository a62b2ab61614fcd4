#include <algorithm>
#include <array>
#include <utility>

#include "config/checks.hpp"
#include "config/types.hpp"
#include "forebay/config/config.hpp"
#include "forebay/config/tenants.hpp"

namespace forebay::config {
namespace {

using Limit = std::optional<std::uint32_t> TenantLimits::*;

constexpr std::string_view kStatementTimeout = "statement_timeout";
constexpr std::string_view kBytesPerSecond = "max_bytes_per_second";

struct LimitKey {
  std::string_view name;
  Limit limit;
  Count count;
};

constexpr std::array kLimits = {
    LimitKey{"max_tenant_client_connections",
             &TenantLimits::max_tenant_client_connections,
             {0, 1'000'000}},
    LimitKey{"max_statements", &TenantLimits::max_statements, {0, 100'000}},
    LimitKey{"max_statements_per_second", &TenantLimits::max_statements_per_second, {0, 1'000'000}},
    LimitKey{"statement_burst", &TenantLimits::statement_burst, {0, 1'000'000}},
    LimitKey{"max_waiting_statements", &TenantLimits::max_waiting_statements, {0, 1'000'000}},
};

std::string names_of_limits() {
  std::string names;
  for (const LimitKey& key : kLimits) names.append(key.name).append(", ");
  return names.append(kBytesPerSecond).append(", ").append(kStatementTimeout);
}

}  // namespace

std::optional<TenantLimitsByName::Held> TenantLimitsByName::read(const Value& value,
                                                                 Reading& reading) const {
  Held all;
  const Table* tenants = value.as<Table>();
  if (tenants == nullptr) {
    reading.expected(value, "sections such as [tenants.limits.acme]");
    return std::nullopt;
  }
  for (const Member& tenant : *tenants) {
    const Table* limits = tenant.value.as<Table>();
    if (limits == nullptr) {
      reading.expected(tenant.value, "the limits of a tenant, such as {max_statements = 5}");
      return std::nullopt;
    }
    TenantLimits& held = all[tenant.name];
    for (const Member& member : *limits) {
      if (member.name == kStatementTimeout) {
        held.statement_timeout = Time().read(member.value, reading);
        if (!held.statement_timeout) return std::nullopt;
        continue;
      }
      if (member.name == kBytesPerSecond) {
        held.max_bytes_per_second = ByteRate().read(member.value, reading);
        if (!held.max_bytes_per_second) return std::nullopt;
        continue;
      }
      const auto known = std::ranges::find(kLimits, member.name, &LimitKey::name);
      if (known == kLimits.end()) {
        reading.refuse(member.at, "a tenant has no limit " + quoted(member.name) + "; there are " +
                                      names_of_limits());
        return std::nullopt;
      }
      const auto number = known->count.read(member.value, reading);
      if (!number) return std::nullopt;
      held.*known->limit = *number;
    }
  }
  return all;
}

std::string TenantLimitsByName::show(const Held& all) const {
  std::string shown;
  for (const auto& [tenant, limits] : all) {
    std::string inner;
    const auto say = [&inner](std::string_view name, const std::string& value) {
      inner.append(inner.empty() ? "" : ", ").append(name).append(" = ").append(value);
    };
    for (const LimitKey& key : kLimits) {
      if (limits.*key.limit) say(key.name, std::to_string(*(limits.*key.limit)));
    }
    if (limits.max_bytes_per_second) {
      say(kBytesPerSecond, ByteRate().show(*limits.max_bytes_per_second));
    }
    if (limits.statement_timeout) {
      say(kStatementTimeout, Time().show(*limits.statement_timeout));
    }
    shown += (shown.empty() ? "" : ", ") + quoted(tenant) + " = {" + inner + "}";
  }
  return "{" + shown + "}";
}

std::string_view TenantSettings::learner_of(std::string_view tenant) const {
  if (learn.size() == 1 && learn.front() == "*") return "*";
  return std::ranges::find(learn, tenant) != learn.end() ? tenant : std::string_view();
}

StatementLimits TenantSettings::statements_of(std::string_view tenant) const {
  StatementLimits terms = statements;
  const auto found = limits.find(tenant);
  if (found == limits.end()) return terms;
  const TenantLimits& own = found->second;
  terms.max_statements = own.max_statements.value_or(terms.max_statements);
  terms.max_statements_per_second =
      own.max_statements_per_second.value_or(terms.max_statements_per_second);
  terms.statement_burst = own.statement_burst.value_or(terms.statement_burst);
  terms.max_waiting_statements = own.max_waiting_statements.value_or(terms.max_waiting_statements);
  terms.max_bytes_per_second = own.max_bytes_per_second.value_or(terms.max_bytes_per_second);
  return terms;
}

std::uint32_t TenantSettings::max_clients_of(std::string_view tenant) const {
  const auto found = limits.find(tenant);
  return found == limits.end()
             ? max_tenant_client_connections
             : found->second.max_tenant_client_connections.value_or(max_tenant_client_connections);
}

std::chrono::milliseconds TenantSettings::statement_timeout_of(std::string_view tenant) const {
  const auto found = limits.find(tenant);
  return found == limits.end() ? statement_timeout
                               : found->second.statement_timeout.value_or(statement_timeout);
}

std::string TenantSettings::label_of(std::string_view tenant, Limit limit) const {
  const auto found = limits.find(tenant);
  return label_of(tenant, found != limits.end() && (found->second.*limit).has_value());
}

std::string TenantSettings::label_of_timeout(std::string_view tenant) const {
  const auto found = limits.find(tenant);
  return label_of(tenant, found != limits.end() && found->second.statement_timeout.has_value());
}

std::string TenantSettings::label_of(std::string_view tenant, bool has_its_own) {
  return has_its_own ? "[" + entry_label("tenants.limits", tenant) + "]" : "[tenants]";
}

}  // namespace forebay::config
