#include <algorithm>
#include <array>
#include <charconv>
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
    LimitKey{"max_tenant_connections", &TenantLimits::max_tenant_connections, {0, 100'000}},
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

std::string show_limits(const TenantLimits& limits) {
  std::string shown;
  const auto say = [&shown](std::string_view name, const std::string& value) {
    shown.append(shown.empty() ? "" : ", ").append(name).append(" = ").append(value);
  };
  for (const LimitKey& key : kLimits) {
    if (limits.*key.limit) say(key.name, std::to_string(*(limits.*key.limit)));
  }
  if (limits.max_bytes_per_second) {
    say(kBytesPerSecond, ByteRate().show(*limits.max_bytes_per_second));
  }
  if (limits.statement_timeout) say(kStatementTimeout, Time().show(*limits.statement_timeout));
  return shown;
}

Result<void> set_limit(TenantLimits& limits, std::string_view name, std::string_view value) {
  const auto wrong = [&](const std::string& expected) {
    return failure(std::string(name) + ": expected " + expected + ", not " + quoted(value));
  };
  if (name == kStatementTimeout) {
    const auto time = parse_duration(value);
    if (time.has_error() || *time > kLongestTime) return wrong("a time, such as '5s'; 0 for none");
    limits.statement_timeout = *time;
    return {};
  }
  if (name == kBytesPerSecond) {
    const auto size = parse_size(value);
    const bool fits =
        !size.has_error() &&
        (size->value() == 0 || (*size >= ByteRate::kLeast && *size <= ByteRate::kMost));
    if (!fits) return wrong("a size from 1KiB to 1TiB, such as '10MiB'; 0 for no limit");
    limits.max_bytes_per_second = *size;
    return {};
  }
  const auto known = std::ranges::find(kLimits, name, &LimitKey::name);
  if (known == kLimits.end()) {
    return failure("a tenant has no limit " + quoted(name) + "; there are " + names_of_limits());
  }
  std::uint32_t number = 0;
  const char* end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number > known->count.most) {
    return wrong("a number from 0 to " + std::to_string(known->count.most));
  }
  limits.*known->limit = number;
  return {};
}

std::string TenantLimitsByName::show(const Held& all) const {
  std::string shown;
  for (const auto& [tenant, limits] : all) {
    shown += (shown.empty() ? "" : ", ") + quoted(tenant) + " = {" + show_limits(limits) + "}";
  }
  return "{" + shown + "}";
}

std::string_view TenantSettings::learner_of(std::string_view tenant) const {
  if (learn.size() == 1 && learn.front() == "*") return "*";
  return std::ranges::find(learn, tenant) != learn.end() ? tenant : std::string_view();
}

StatementLimits TenantSettings::statements_of(std::string_view tenant,
                                              const TenantLimits* ordered) const {
  StatementLimits terms = statements;
  const auto apply = [&terms](const TenantLimits& own) {
    terms.max_statements = own.max_statements.value_or(terms.max_statements);
    terms.max_statements_per_second =
        own.max_statements_per_second.value_or(terms.max_statements_per_second);
    terms.statement_burst = own.statement_burst.value_or(terms.statement_burst);
    terms.max_waiting_statements =
        own.max_waiting_statements.value_or(terms.max_waiting_statements);
    terms.max_bytes_per_second = own.max_bytes_per_second.value_or(terms.max_bytes_per_second);
  };
  if (const auto found = limits.find(tenant); found != limits.end()) apply(found->second);
  if (ordered != nullptr) apply(*ordered);
  return terms;
}

StatementLimits TenantSettings::connections_of(std::string_view tenant,
                                               const TenantLimits* ordered) const {
  return {.max_statements = one_of(&TenantLimits::max_tenant_connections, max_tenant_connections,
                                   tenant, ordered),
          .max_waiting_statements = statements_of(tenant, ordered).max_waiting_statements};
}

std::uint32_t TenantSettings::max_clients_of(std::string_view tenant,
                                             const TenantLimits* ordered) const {
  return one_of(&TenantLimits::max_tenant_client_connections, max_tenant_client_connections, tenant,
                ordered);
}

std::chrono::milliseconds TenantSettings::statement_timeout_of(std::string_view tenant,
                                                               const TenantLimits* ordered) const {
  return one_of(&TenantLimits::statement_timeout, statement_timeout, tenant, ordered);
}

std::string TenantSettings::label_of_statements(std::string_view tenant,
                                                const TenantLimits* ordered) const {
  const std::string usual = label_of(tenant, false);
  std::string label = label_of(tenant, &TenantLimits::max_statements, ordered);
  if (label != usual) return label;
  label = label_of(tenant, &TenantLimits::max_statements_per_second, ordered);
  return label != usual ? label : label_of(tenant, &TenantLimits::max_bytes_per_second, ordered);
}

std::string TenantSettings::label_of(std::string_view tenant, bool has_its_own) {
  return has_its_own ? "[" + entry_label("tenants.limits", tenant) + "]" : "[tenants]";
}

}  // namespace forebay::config
