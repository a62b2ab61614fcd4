#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/config/secret.hpp"
#include "forebay/config/statement_limits.hpp"

namespace forebay::config {

/// How a rule is applied: not at all; noted, and the statement runs; or the statement is refused.
enum class FirewallMode : std::uint8_t { off, report, enforce };

/// What the tenant column holds: how a tenant's value is compared, and how a parameter's bytes in
/// binary format are read.
enum class TenantType : std::uint8_t { text, integer, uuid };

/// [tenants]: one database, many customers.
struct TenantSettings {
  /// Names that clients give; "*" for all. Empty: there are no tenants.
  std::vector<std::string> databases;
  // Whose a session is: the first of these that says it.
  std::map<std::string, std::string, std::less<>> users;  ///< [tenants.users]: user to tenant
  std::string user_pattern;                               ///< with {tenant} in it; empty: none
  std::string database_pattern;
  std::string startup_parameter;  ///< the client's own word

  std::string column = "tenant_id";
  TenantType column_type = TenantType::text;
  std::string setting;  ///< the run-time parameter that we own; empty: none
  Secret claim_key;     ///< it has a claim that this signs; empty: only the tenant's value

  /// Tenants that get more turns than others where several wait for a server connection.
  std::map<std::string, std::uint32_t, std::less<>> weights;
  StatementLimits statements;  ///< of each tenant

  FirewallMode firewall = FirewallMode::off;
  std::vector<std::string> tables;
  std::vector<std::string> report_tables;
  std::vector<std::string> shared_tables;
  bool operator==(const TenantSettings&) const = default;

  [[nodiscard]] std::uint32_t weight(std::string_view tenant) const {
    const auto found = weights.find(tenant);
    return found == weights.end() ? 1 : found->second;
  }
  [[nodiscard]] bool serve(std::string_view database) const;
};

/// Stands for the tenant in a pattern.
inline constexpr std::string_view kTenantMark = "{tenant}";

}  // namespace forebay::config
