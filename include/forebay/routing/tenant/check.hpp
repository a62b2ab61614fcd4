#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "forebay/routing/sql/facts.hpp"
#include "forebay/routing/tenant/policy.hpp"

/// Whose a session is, and the values of a text against a verdict: what is left to do for each text
/// of a known shape.
namespace forebay::tenant {

/// A statement that goes against the policy: with Mode::enforce it is refused.
struct Violation {
  Mode mode = Mode::enforce;
  std::string message;
  bool unread = false;  ///< the text was not understood
};

/// The policy of a configuration.
Policy policy_of(const config::TenantSettings& settings);

/// Who a client is, as far as it says whose; empty for what there is not.
struct Claims {
  Bytes user;
  Bytes database;
  Bytes startup_parameter;
  Bytes server_name;                                 ///< of TLS
  const std::vector<std::string>* fields = nullptr;  ///< of its certificate; null: it has none
};

/// Whose a session is, as it is written; nothing where nobody says it, or a certificate says two.
std::optional<std::string> tenant_of(const config::TenantSettings& settings, const Claims& claims);

/// The value as it is compared, or nothing where the column's type has no such value: digits
/// without leading zeros, a UUID in lower case, printable ASCII of at most 63 bytes.
std::optional<std::string> normal_value(ColumnType type, Bytes value);

/// In a list of parameters: this one is an array, or may be a text whatever the column's type is.
inline constexpr std::uint32_t kArrayParameter = 0x80000000;
inline constexpr std::uint32_t kTextParameter = 0x40000000;

/// A text whose facts are `facts`, and its literals. Nothing: it may run, once its parameters are
/// checked, too. `parameters` gets those that must be the tenant's value.
std::optional<Violation> check_text(const Policy& policy, Bytes tenant, Bytes text,
                                    sql::StandardStrings standard, const sql::Facts& facts,
                                    const sql::Shape& shape,
                                    std::vector<std::uint32_t>& parameters);

/// A Parse: the declared types of its parameters (`types`: as the message has them, behind their
/// number) let the values be read, and where none is declared, the parameter serves for nothing
/// else, which would give it a type of its own.
std::optional<Violation> check_types(const Policy& policy, const sql::Facts& facts, Bytes text,
                                     const std::vector<std::uint32_t>& parameters, Bytes types);

/// A Bind: `values` are its formats and values, as in the message. May be cut off at its end.
std::optional<Violation> check_values(const Policy& policy, Bytes tenant, const sql::Facts& facts,
                                      const std::vector<std::uint32_t>& parameters, Bytes values);

}  // namespace forebay::tenant
