#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/config/secret.hpp"
#include "forebay/config/statement_limits.hpp"

namespace forebay::config {

/// How a rule is applied: not at all; noted, and the statement runs; or the statement is refused.
enum class FirewallMode : std::uint8_t { off, report, enforce };

/// What the tenant column holds: how a tenant's value is compared, and how a parameter's bytes in
/// binary format are read.
enum class TenantType : std::uint8_t { text, integer, uuid };

/// What of a client's verified certificate says whose a session is.
enum class CertificateField : std::uint8_t { common_name, organizational_unit, alternative_name };

/// [tenants.limits.NAME]: what of the limits of each tenant is another for this one.
struct TenantLimits {
  std::optional<std::uint32_t> max_tenant_client_connections;
  std::optional<std::uint32_t> max_tenant_connections;
  std::optional<std::uint32_t> max_statements;
  std::optional<std::uint32_t> max_statements_per_second;
  std::optional<std::uint32_t> statement_burst;
  std::optional<std::uint32_t> max_waiting_statements;
  std::optional<ByteSize> max_bytes_per_second;
  std::optional<std::chrono::milliseconds> statement_timeout;
  bool operator==(const TenantLimits&) const = default;
};

/// [tenants]: one database, many customers.
struct TenantSettings {
  /// Names that clients give; "*" for all. Empty: there are no tenants.
  std::vector<std::string> databases;
  // Whose a session is: the first of these that says it.
  std::map<std::string, std::string, std::less<>> users;  ///< [tenants.users]: user to tenant
  CertificateField certificate_field = CertificateField::common_name;
  std::string certificate_pattern;  ///< with {tenant} in it, as all patterns; empty: none
  std::string user_pattern;
  std::string database_pattern;
  std::string server_name_pattern;  ///< the client's own word, as the next
  std::string startup_parameter;
  /// Users who say whose each transaction is, by a comment at its head.
  std::vector<std::string> comment_users;
  std::vector<std::string> setting_users;  ///< the same, by SET LOCAL behind BEGIN

  /// Tenants whose sessions go to another entry of `databases` of the configuration than the one
  /// that they name.
  std::map<std::string, std::string, std::less<>> places;

  std::string column = "tenant_id";
  TenantType column_type = TenantType::text;
  std::string setting;  ///< the run-time parameter that we own; empty: none
  Secret claim_key;     ///< it has a claim that this signs; empty: only the tenant's value

  /// Tenants that get more turns than others where several wait for a server connection.
  std::map<std::string, std::uint32_t, std::less<>> weights;
  StatementLimits statements;                               ///< of each tenant
  std::chrono::milliseconds statement_timeout{0};           ///< of each; 0: none
  std::uint32_t max_tenant_client_connections = 0;          ///< of each; 0: no limit
  std::uint32_t max_tenant_connections = 0;                 ///< to servers, of each; 0: no limit
  std::map<std::string, TenantLimits, std::less<>> limits;  ///< of some: what is said goes before

  FirewallMode firewall = FirewallMode::off;
  std::vector<std::string> tables;
  bool tables_with_column = false;  ///< besides, those that the catalog says have the column
  std::vector<std::string> report_tables;
  std::vector<std::string> shared_tables;

  std::vector<std::string> learn;  ///< tenants, or "*": what all do, together
  std::string learn_file;
  bool operator==(const TenantSettings&) const = default;

  [[nodiscard]] std::uint32_t weight(std::string_view tenant) const {
    const auto found = weights.find(tenant);
    return found == weights.end() ? 1 : found->second;
  }
  [[nodiscard]] bool serve(std::string_view database) const;
  /// Whether a session of some tenant may be there.
  [[nodiscard]] bool may_be_in(std::string_view database) const;
  /// Where the sessions of a tenant go that name this database.
  [[nodiscard]] std::string_view place_of(std::string_view tenant,
                                          std::string_view database) const {
    const auto found = places.find(tenant);
    return found == places.end() ? database : std::string_view(found->second);
  }
  /// Under whose name it is learned what this tenant does: its own or "*"; empty: it is not.
  [[nodiscard]] std::string_view learner_of(std::string_view tenant) const;
  /// What holds for this tenant. `ordered`: what an operator has ordered, which goes before what
  /// is said here; null for nothing.
  [[nodiscard]] StatementLimits statements_of(std::string_view tenant,
                                              const TenantLimits* ordered = nullptr) const;
  /// How many server connections its clients have at a time, and how many wait for one more.
  [[nodiscard]] StatementLimits connections_of(std::string_view tenant,
                                               const TenantLimits* ordered = nullptr) const;
  [[nodiscard]] std::uint32_t max_clients_of(std::string_view tenant,
                                             const TenantLimits* ordered = nullptr) const;
  [[nodiscard]] std::chrono::milliseconds statement_timeout_of(
      std::string_view tenant, const TenantLimits* ordered = nullptr) const;
  /// Where a limit of this tenant's is set, as error texts say it.
  template <class Limit>
  [[nodiscard]] std::string label_of(std::string_view tenant, Limit TenantLimits::*limit,
                                     const TenantLimits* ordered = nullptr) const {
    if (ordered != nullptr && (ordered->*limit).has_value()) return kOrderedLabel;
    const auto found = limits.find(tenant);
    return label_of(tenant, found != limits.end() && (found->second.*limit).has_value());
  }
  /// The same of limits of its statements, as one.
  [[nodiscard]] std::string label_of_statements(std::string_view tenant,
                                                const TenantLimits* ordered = nullptr) const;

 private:
  template <class Value>
  [[nodiscard]] Value one_of(std::optional<Value> TenantLimits::*limit, Value usual,
                             std::string_view tenant, const TenantLimits* ordered) const {
    if (ordered != nullptr && (ordered->*limit).has_value()) return *(ordered->*limit);
    const auto found = limits.find(tenant);
    return found == limits.end() ? usual : (found->second.*limit).value_or(usual);
  }
  static constexpr const char* kOrderedLabel = "the console by LIMIT TENANT";
  [[nodiscard]] static std::string label_of(std::string_view tenant, bool has_its_own);
};

/// Sets the limit of this name, as an operator writes it; an error says what is wrong.
[[nodiscard]] Result<void> set_limit(TenantLimits& limits, std::string_view name,
                                     std::string_view value);
/// "max_statements = 5, statement_timeout = 2s"
[[nodiscard]] std::string show_limits(const TenantLimits& limits);

/// Stands for the tenant in a pattern.
inline constexpr std::string_view kTenantMark = "{tenant}";

}  // namespace forebay::config
