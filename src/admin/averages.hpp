#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>

#include "core/engine/shared.hpp"
#include "forebay/base/time.hpp"

namespace forebay::admin {

/// What PgBouncer counts for each database, in the order of its columns.
enum class Total : std::uint8_t {
  assignments,
  transactions,
  queries,
  received,
  sent,
  transaction_time,
  query_time,
  wait_time,
  client_parses,
  server_parses,
  binds,
  count,
};
using Totals = std::array<std::uint64_t, static_cast<std::size_t>(Total::count)>;
using TotalsByDatabase = std::map<std::string, Totals>;

/// Of all pools, also of those that are gone.
[[nodiscard]] TotalsByDatabase totals(const core::Shared& shared);

/// Averages over the last whole period, as PgBouncer's stats_period. Thread-safe.
class Averages {
 public:
  static constexpr std::chrono::seconds kPeriod{60};

  void tick(const core::Shared& shared, Instant now);
  /// Of each second; of times, of each thing that was timed.
  [[nodiscard]] Totals of(const std::string& database) const;

 private:
  mutable std::mutex mutex_;
  Instant begun_{};
  TotalsByDatabase before_;
  std::map<std::string, Totals> averages_;
};

}  // namespace forebay::admin
