#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace forebay::core {

/// Of what a client is one of so many.
enum class ClientGroup : std::uint8_t { address, database, user };

/// Clients by source address, by database and by user, where these have a limit: asked at login
/// and at the end only. Thread-safe and exact.
class ClientLimits {
 public:
  struct Place {
    ClientGroup group;
    std::string name;
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

}  // namespace forebay::core
