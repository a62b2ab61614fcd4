#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "forebay/base/bytes.hpp"
#include "forebay/routing/sql/facts.hpp"

/// Which statements a replica may run.
namespace forebay::split {

/// What a text does, as far as it matters for the choice between primary and replica.
enum class Access : std::uint8_t {
  write,            ///< anything: for the primary
  read,             ///< one statement that certainly only reads
  begin,            ///< begins a transaction that is READ ONLY where the session's default is
  begin_read_only,  ///< begins a transaction that is READ ONLY
  sets_read_only,   ///< SET TRANSACTION READ ONLY: for a replica where it begins a transaction
};

/// Which functions of a database do not change anything, by name: those of which every form is
/// IMMUTABLE or STABLE. The others count as writes, and so does every name that is not known.
/// Immutable.
class FunctionVolatility {
 public:
  struct Function {
    std::string schema;
    std::string name;
    bool is_volatile = true;
  };

  /// From what pg_proc says; a name may come several times.
  explicit FunctionVolatility(const std::vector<Function>& functions);

  /// PostgreSQL 15's own functions, for a database of which nothing is known yet.
  static const FunctionVolatility& built_in();

  /// `schema` is empty where the statement has none: then any function of that name may be meant.
  [[nodiscard]] bool reads(std::string_view schema, std::string_view name) const;
  [[nodiscard]] std::size_t size() const noexcept { return reading_.size(); }
  bool operator==(const FunctionVolatility& other) const { return reading_ == other.reading_; }
  /// Of this object: never 0, and never that of another one.
  [[nodiscard]] std::uint32_t serial() const noexcept { return serial_; }

 private:
  FunctionVolatility();

  std::unordered_set<std::string> reading_;  ///< "schema.name", and "name" where all schemas agree
  std::uint32_t serial_;
};

/// Why a text is not for a replica, for people; empty where it is.
std::string why_not_read(const sql::Facts& facts, const FunctionVolatility& functions);

/// One statement that reads, if the functions that it calls do: a rule may say so.
bool reads_but_for_functions(const sql::Facts& facts);

/// Costs a comparison for a shape that was judged before by the same functions.
Access access_of(const sql::Facts& facts, const FunctionVolatility& functions);

}  // namespace forebay::split
