#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/pool/pool_directory.hpp"
#include "core/statistics/pool_statistics.hpp"

namespace forebay::core {

/// What all workers counted, of one pool or of several. Times are in microseconds.
struct PoolSums {
  struct Times {
    std::array<std::uint64_t, TimeHistogram::kBounds.size() + 1> buckets{};
    std::uint64_t sum = 0;
  };
  using Errors = std::map<std::string, std::uint64_t>;  ///< by SQLSTATE

  std::array<std::uint64_t, kPoolCounters.size()> counters{};
  std::array<std::uint64_t, kKindCounters> kinds{};
  std::array<Times, kPoolHistograms.size()> histograms{};
  Errors server_errors;
  Errors own_errors;

  [[nodiscard]] std::uint64_t of(Counter PoolCounters::*member) const noexcept;
  [[nodiscard]] const Times& of(TimeHistogram PoolCounters::*member) const noexcept;
  void take(const PoolStatistics& from);
  PoolSums& operator+=(const PoolSums& other);
  /// What was counted before is never more.
  PoolSums& operator-=(const PoolSums& before);
};

/// The pools that do most, for labels, and the others together. No number ever goes down, and
/// nothing is counted twice: who loses its place is among the others with what it does from then
/// on, and goes on where it was when it has one again. For one thread at a time.
class PoolLeaders {
 public:
  /// So many SQLSTATEs are told apart, for each pool.
  static constexpr std::size_t kCodesMax = 30;

  struct Row {
    PoolKey key;
    bool others = false;  ///< all that have no row; the last
    PoolSums sums;
  };
  /// `max` pools at most, in no order. `all` is not older than the last time.
  std::vector<Row> follow(const PoolDirectory::Statistics& all, std::size_t max);

 private:
  /// The SQLSTATEs that have series of their own: what once was one stays one.
  struct Codes {
    std::set<std::string> server;
    std::set<std::string> own;
    void cap(PoolSums& sums);
  };
  struct Place {
    std::weak_ptr<const PoolStatistics> of;
    /// What it did while it did not lead, where it leads; else what it did while it led.
    std::unique_ptr<const PoolSums> otherwise;
    Codes codes;
    bool known = false;
    bool leads = false;
    std::uint64_t round = 0;  ///< in which there was such a pool
  };
  struct Candidate {
    const PoolKey* key;
    const PoolStatistics* statistics;
    Place* place;
    std::uint64_t weight;
  };
  std::vector<Candidate> candidates(const PoolDirectory::Statistics& all, PoolSums& others);
  static std::unique_ptr<const PoolSums> less(const PoolSums& now, const PoolSums* before);

  std::uint64_t round_ = 0;
  std::map<PoolKey, Place> places_;
  Codes other_codes_;
  PoolSums::Errors other_server_errors_;  ///< as they were shown
  PoolSums::Errors other_own_errors_;
  bool others_shown_ = false;
};

}  // namespace forebay::core
