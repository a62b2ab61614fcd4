#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "forebay/base/time.hpp"

namespace forebay::core {

class Pool;

/// A limit on server connections that several pools share: those of one database, of one user, or
/// to one host. Thread-safe and exact: never exceeded by one.
class Quota {
 public:
  /// `max` of 0 is no limit. `name` is the setting, for errors: "max_db_connections of app".
  Quota(std::string name, std::uint32_t max) : name_(std::move(name)), max_(max) {}

  bool try_reserve() noexcept {
    const std::uint32_t max = max_.load(std::memory_order_relaxed);
    std::uint32_t count = count_.load(std::memory_order_relaxed);
    do {
      if (max != 0 && count >= max) return false;
    } while (!count_.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel));
    return true;
  }
  void release(std::uint32_t places = 1) noexcept {
    count_.fetch_sub(places, std::memory_order_acq_rel);
  }
  /// Counts what is there already, over the limit if need be.
  void take(std::uint32_t places) noexcept { count_.fetch_add(places, std::memory_order_acq_rel); }
  void set_max(std::uint32_t max) noexcept { max_.store(max, std::memory_order_relaxed); }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint32_t max() const noexcept { return max_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t count() const noexcept {
    return count_.load(std::memory_order_relaxed);
  }
  /// By how much, after the limit was lowered below what is there.
  [[nodiscard]] std::uint32_t excess() const noexcept {
    const std::uint32_t max = max_.load(std::memory_order_relaxed);
    const std::uint32_t there = count();
    return max != 0 && there > max ? there - max : 0;
  }

  /// Whether a place would be missing for one more than `more` others.
  [[nodiscard]] bool full(std::uint32_t more) const noexcept {
    return max() != 0 && count() + more >= max();
  }

  /// A pool that could do with a link more.
  struct Needy {
    std::weak_ptr<const Pool> pool;
    Instant since;        ///< its first waiter waits; kNever: nobody does
    std::uint32_t links;  ///< that it has
    std::uint32_t weight = 1;
  };
  /// It has waiters and got nothing here: it wants to hear when something is free.
  void add_starved(Needy needy);
  /// Those pools that are still there, that of the oldest waiter first; forgets them.
  std::vector<std::shared_ptr<Pool>> take_starved();
  [[nodiscard]] bool any_starved() const noexcept {
    return any_starved_.load(std::memory_order_acquire);
  }
  /// A waiter of another pool has waited for so long before a pool with waiters gives up a link for
  /// it: opening another one costs far more than using this one.
  static constexpr std::chrono::milliseconds kPatience{100};
  /// Whether the link that `holder` has to spare is to be closed for the sake of another pool: one
  /// that waits for longer, and has none or so few that it would not have more than the holder, by
  /// their weights.
  [[nodiscard]] bool claims_link(const Needy& holder, Instant now) const;

 private:
  const std::string name_;
  std::atomic<std::uint32_t> max_;
  std::atomic<std::uint32_t> count_{0};
  std::atomic<bool> any_starved_{false};
  mutable std::mutex mutex_;
  std::vector<Needy> starved_;  ///< pools own their quotas, not the reverse
};

}  // namespace forebay::core
