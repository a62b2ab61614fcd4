#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "forebay/base/bytes.hpp"
#include "forebay/config/tenants.hpp"
#include "forebay/routing/tenant/catalog_tables.hpp"

namespace forebay::tenant {

using Mode = config::FirewallMode;
using ColumnType = config::TenantType;

/// What statements of tenants may do. Immutable while in use.
struct Policy {
  std::string column;  ///< that says whose a row is, in every protected table
  ColumnType type = ColumnType::text;
  Mode firewall = Mode::off;
  /// Protected tables and views: "orders" in every schema, "app.orders" in that one; "*" is every
  /// table but PostgreSQL's own and `shared_tables`.
  std::vector<std::string> tables;
  std::vector<std::string> report_tables;  ///< of these: only reported
  std::vector<std::string> shared_tables;  ///< without the column
  /// Besides, what shows tenants' rows as the catalog of the session's database says; null: nobody
  /// knows that now, so that it may be any.
  bool tables_with_column = false;
  std::shared_ptr<const CatalogTables> catalog;
  std::string setting;       ///< the run-time parameter that we own; empty for none
  config::Secret claim_key;  ///< signs what it has; empty: it has the tenant's value

  /// Of a table as a statement names it; no schema where none is written.
  [[nodiscard]] Mode mode_of(Bytes schema, Bytes table) const;
  /// Whether a table has the column for certain.
  [[nodiscard]] bool lists(Bytes schema, Bytes table) const;
  /// Of statements that hide what they do, whatever tables they name.
  [[nodiscard]] Mode of_statements() const noexcept {
    return setting.empty() ? firewall : Mode::enforce;
  }
  bool operator==(const Policy&) const = default;
};

/// Where a text has a value that must be the right one.
struct Place {
  enum class Kind : std::uint8_t {
    literal,    ///< Shape::literals()[index]
    parameter,  ///< $index
    list,       ///< column `column` of each row of the folded list Shape::literals()[index]
  };
  enum class Rule : std::uint8_t {
    tenant,        ///< the session's tenant
    text,          ///< the same; a parameter without a declared type is a text
    elements,      ///< an array, of which each element is the session's tenant
    setting_name,  ///< no run-time parameter that a client may not change
    encoding,      ///< a client_encoding whose texts can be read
  };
  static constexpr std::uint32_t kEveryColumn = 0xffffffff;

  Kind kind = Kind::literal;
  Rule rule = Rule::tenant;
  bool negative = false;
  std::uint32_t index = 0;
  std::uint32_t column = kEveryColumn;
  bool operator==(const Place&) const = default;
};

/// Why a statement is refused, whatever its values are.
struct Finding {
  Mode mode = Mode::off;
  std::string table;  ///< empty: it is about the statement
  std::string why;
  bool operator==(const Finding&) const = default;
};

/// What a policy says of all texts with one shape.
struct Verdict {
  Finding refused;   ///< the first with Mode::enforce; mode off for none
  Finding reported;  ///< the first with Mode::report
  std::vector<Place> places;
  Mode places_mode = Mode::off;
  std::string places_table;  ///< the first table that a value is for
  /// Prepared statements that SQL's EXECUTE names with arguments: none of them may have a place
  /// that is a parameter.
  std::vector<std::string> executes;
  bool prepares = false;  ///< SQL's PREPARE: nobody checks what EXECUTE gives it

  [[nodiscard]] std::size_t bytes() const noexcept;
  bool operator==(const Verdict&) const = default;
};

/// Run-time parameters (in lower case) that no client with a tenant may set.
[[nodiscard]] bool is_kept_setting(const Policy& policy, Bytes name) noexcept;

}  // namespace forebay::tenant
