#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace forebay::core {

class Pool;

/// A limit on server connections that several pools share: those of one database, those of one
/// user. Thread-safe and exact: never exceeded by one.
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

  /// A pool has waiters and got nothing here: it wants to hear when something is free.
  void add_starved(std::weak_ptr<Pool> pool) {
    const std::lock_guard lock(mutex_);
    for (const auto& known : starved_) {
      if (!known.owner_before(pool) && !pool.owner_before(known)) return;
    }
    starved_.push_back(std::move(pool));
    any_starved_.store(true, std::memory_order_release);
  }
  /// Those pools that are still there, in the order in which they came; forgets them.
  std::vector<std::shared_ptr<Pool>> take_starved() {
    if (!any_starved()) return {};
    std::vector<std::weak_ptr<Pool>> starved;
    {
      const std::lock_guard lock(mutex_);
      any_starved_.store(false, std::memory_order_release);
      starved.swap(starved_);
    }
    std::vector<std::shared_ptr<Pool>> pools;
    for (const auto& pool : starved) {
      if (auto there = pool.lock()) pools.push_back(std::move(there));
    }
    return pools;
  }
  [[nodiscard]] bool any_starved() const noexcept {
    return any_starved_.load(std::memory_order_acquire);
  }
  /// Whether a pool other than `self` wants to hear: a link of its own helps `self` no further.
  [[nodiscard]] bool starves_another(const Pool& self) const {
    if (!any_starved()) return false;
    const std::lock_guard lock(mutex_);
    for (const auto& starved : starved_) {
      const auto pool = starved.lock();
      if (pool != nullptr && pool.get() != &self) return true;
    }
    return false;
  }

 private:
  const std::string name_;
  std::atomic<std::uint32_t> max_;
  std::atomic<std::uint32_t> count_{0};
  std::atomic<bool> any_starved_{false};
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<Pool>> starved_;  ///< pools own their quotas, not the reverse
};

}  // namespace forebay::core
