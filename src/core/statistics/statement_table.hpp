#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "core/statistics/pool_statistics.hpp"
#include "core/statistics/statement_entry.hpp"

namespace forebay::core {

/// A shape for people: how it is named, the same in every process, and its text without literals,
/// cut off where it is long.
std::uint64_t shape_number(const sql::Shape& shape);
std::string shape_text(const sql::Shape& shape);

/// The statements of one worker that matter: so many, and the sum of all others. What takes long,
/// at once or by and by, keeps its place against any number of statements that come once: a new one
/// takes the place of the lightest, and weighs as much, or as much as its own time if that is more.
/// So the least weight grows only by what comes again. What loses its place is added to the others,
/// so that the sum is always right.
class StatementTable {
 public:
  StatementTable() = default;
  StatementTable(const StatementTable&) = delete;
  StatementTable& operator=(const StatementTable&) = delete;

  // ---- called by the worker

  /// 0: nothing is counted.
  void set_max(std::size_t max) noexcept { max_ = max; }
  [[nodiscard]] bool active() const noexcept { return max_ > 0; }

  /// The entry of this shape; made when nobody has it.
  StatementEntryRef find(const sql::Shape& shape, std::uint64_t pool, const PoolStatistics& of);
  /// Counts one execution; of the others when there is no entry.
  void count(StatementEntry* entry, const TimeSplit& split, const StatementAnswer& answer,
             std::uint64_t received, Instant now, bool replica = false) noexcept;

  // ---- called by any thread

  /// Adds all lines, and the others into `other`.
  void report(std::vector<StatementRow>& rows, StatementCounts& other) const;
  /// Everything begins at zero. Done by the worker with the next statement.
  void reset() noexcept { reset_.store(true, std::memory_order_relaxed); }

 private:
  struct KeyHash {
    using is_avalanching = void;
    std::size_t operator()(const StatementEntry::Key& key) const noexcept {
      return key.shape.low ^ (key.pool * 0x9e3779b97f4a7c15ull);
    }
  };

  /// In a heap, the lightest first. Entries gain weight after they were put where they are.
  struct Place {
    std::uint64_t weight = 0;
    std::uint64_t since = 0;  ///< numbers those that came; of two of a weight the older one goes
    StatementEntryRef entry;
  };

  static bool heavier(const Place& one, const Place& other) noexcept;
  void admit(const StatementEntryRef& entry) noexcept;
  std::uint64_t make_room() noexcept;
  void clear() noexcept;

  /// Held for changes of the list, and by those who read it. The worker does not wait for it.
  mutable std::mutex mutex_;
  std::vector<Place> list_;
  boost::unordered_flat_map<StatementEntry::Key, StatementEntry*, KeyHash> by_key_;
  StatementCounters other_;
  std::size_t max_ = 0;
  std::uint64_t admitted_ = 0;
  std::atomic<bool> reset_{false};
};

}  // namespace forebay::core
