#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "forebay/base/bytes.hpp"

namespace forebay::tenant {

/// The relations of a database (tables of all sorts, views, sequences), and which of them show
/// tenants' rows, as its catalog says. Immutable.
class CatalogTables {
 public:
  enum class Shows : std::uint8_t {
    nothing,  ///< of tenants
    rows,     ///< without the column: a view of what has it, or a parent of such a table
    column,   ///< it has the column
  };
  struct Relation {
    std::string name;
    std::string schema;
    Shows shows = Shows::nothing;
    auto operator<=>(const Relation&) const = default;
  };

  CatalogTables(std::string column, std::vector<Relation> relations);

  /// What is known of a name; without schema, which `search_path` may find in any.
  struct Known {
    bool there = false;         ///< else it is newer than what is known, or nothing
    bool shows = false;         ///< one of that name shows tenants' rows
    bool every_column = false;  ///< each has the column
  };
  [[nodiscard]] Known find(Bytes schema, Bytes name) const noexcept;

  [[nodiscard]] const std::string& column() const noexcept { return column_; }
  /// In order.
  [[nodiscard]] const std::vector<Relation>& relations() const noexcept { return relations_; }
  /// Whether some name has letters beyond ASCII.
  [[nodiscard]] bool beyond_ascii() const noexcept { return beyond_ascii_; }
  bool operator==(const CatalogTables&) const = default;

 private:
  std::string column_;
  std::vector<Relation> relations_;
  bool beyond_ascii_ = false;
};

}  // namespace forebay::tenant
