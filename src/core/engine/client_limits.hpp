#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "forebay/base/time.hpp"

namespace forebay::core {

/// Of what a client is one of so many.
enum class ClientGroup : std::uint8_t { address, database, user, pool, tenant };

/// Clients by source address, by database, by user, by both and by tenant, where these have a
/// limit: asked at login and at the end only. Thread-safe and exact.
class ClientLimits {
 public:
  struct Place {
    ClientGroup group;
    std::string name;
    std::string user = {};  ///< of a pool, whose database is `name`
    auto operator<=>(const Place&) const = default;
  };

  /// Takes a place of `max`. False when all are taken.
  bool enter(const Place& place, std::uint32_t max) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.try_emplace(place, 0).first;
    if (found->second >= max) return false;
    ++found->second;
    return true;
  }
  void leave(const Place& place) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(place);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }
  /// Shows each name with its clients; holds everybody up meanwhile.
  template <class Look>
  void each(Look look) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [place, count] : counts_) look(place, count);
  }
  /// So many names are known: those that have clients, and no others.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return counts_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<Place, std::uint32_t> counts_;
};

/// How many logins begin within a second, in all and from each address, where these have a limit.
/// Thread-safe.
class LoginRates {
 public:
  /// Whether one more may begin now, of `per_second` with this name. So many may come at once; then
  /// there is room for one after another.
  bool enter(const std::string& name, std::uint32_t per_second, Instant now) {
    const auto apart = std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second;
    const std::lock_guard lock(mutex_);
    forget(now);
    Instant& next = next_[name];
    const Instant at = std::max(next, now) + apart;
    if (at > now + std::chrono::seconds(1)) return false;
    next = at;
    return true;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return next_.size();
  }
  /// Names are forgotten when there are so many, and again when there are twice as many as then.
  static constexpr std::size_t kForgetAt = 1024;

 private:
  void forget(Instant now) {
    if (next_.size() < forget_at_) return;
    std::erase_if(next_, [now](const auto& entry) { return entry.second <= now; });
    forget_at_ = std::max(kForgetAt, 2 * next_.size());
  }

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Instant> next_;  ///< when its room is all there again
  std::size_t forget_at_ = kForgetAt;
};

/// One of so many, for as long as it lives.
class Turnstile {
 public:
  Turnstile() = default;
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;
  ~Turnstile() { leave(); }

  /// False when there are `max` already; 0 is no limit.
  bool enter(std::atomic<std::uint32_t>& inside, std::uint32_t max) noexcept {
    leave();
    if (max == 0) return true;
    if (inside.fetch_add(1, std::memory_order_relaxed) >= max) {
      inside.fetch_sub(1, std::memory_order_relaxed);
      return false;
    }
    inside_ = &inside;
    return true;
  }
  void leave() noexcept {
    if (inside_ != nullptr) inside_->fetch_sub(1, std::memory_order_relaxed);
    inside_ = nullptr;
  }

 private:
  std::atomic<std::uint32_t>* inside_ = nullptr;
};

}  // namespace forebay::core
