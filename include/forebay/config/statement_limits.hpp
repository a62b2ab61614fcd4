#pragma once

#include <cstdint>

#include "forebay/config/units.hpp"

namespace forebay::config {

/// How much of PostgreSQL the clients of a user, a database or a tenant may use at a time. What is
/// too much waits, and is refused where too much waits already. 0 is no limit.
struct StatementLimits {
  std::uint32_t max_statements = 0;             ///< that run, or transactions that are open
  std::uint32_t max_statements_per_second = 0;  ///< that begin
  std::uint32_t statement_burst = 0;            ///< so many at once; 0: as many as in a second
  std::uint32_t max_waiting_statements = 100;   ///< for each of the two
  ByteSize max_bytes_per_second;                ///< to and from them
  bool operator==(const StatementLimits&) const = default;

  [[nodiscard]] bool any() const noexcept {
    return max_statements + max_statements_per_second > 0 || max_bytes_per_second.value() > 0;
  }
  [[nodiscard]] std::uint32_t burst() const noexcept {
    return statement_burst > 0 ? statement_burst : max_statements_per_second;
  }
};

}  // namespace forebay::config
