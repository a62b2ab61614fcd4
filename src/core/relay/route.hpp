#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_set>

#include "forebay/routing/split/access.hpp"

namespace forebay::core {

/// What a text asks for: its Access, and which shape it is, so that a replica that refuses it is
/// not asked again; and whether no replica is to do it though one would: an advisory lock, a hint.
/// Nothing known: a write.
class Route {
 public:
  Route() = default;
  Route(split::Access access, std::uint64_t shape, bool only_primary = false) noexcept
      : bits_((shape & ~kBits) | (only_primary ? kOnlyPrimary : 0) |
              static_cast<std::uint64_t>(access)) {}
  /// A write only for the functions that it calls.
  [[nodiscard]] Route for_its_functions() const noexcept { return with(kForFunctions); }
  /// Its text says that it is for a replica.
  [[nodiscard]] Route for_a_replica() const noexcept { return with(kForReplica); }
  [[nodiscard]] split::Access access() const noexcept {
    return static_cast<split::Access>(bits_ & kAccess);
  }
  [[nodiscard]] bool only_primary() const noexcept { return (bits_ & kOnlyPrimary) != 0; }
  /// A rule, by its number, limits the lag of its replica.
  [[nodiscard]] Route of_rule(std::size_t rule) const noexcept {
    return with((static_cast<std::uint64_t>(rule) + 1) << kRuleAt);
  }
  /// The rule's number; -1 for none.
  [[nodiscard]] int rule() const noexcept {
    return static_cast<int>((bits_ & kBits) >> kRuleAt) - 1;
  }
  [[nodiscard]] bool writes_by_functions() const noexcept { return (bits_ & kForFunctions) != 0; }
  [[nodiscard]] bool wants_replica() const noexcept { return (bits_ & kForReplica) != 0; }
  [[nodiscard]] std::uint64_t shape() const noexcept { return bits_ & ~kBits; }

 private:
  static constexpr std::uint64_t kAccess = 7;
  static constexpr std::uint64_t kOnlyPrimary = 8;
  static constexpr std::uint64_t kForFunctions = 16;
  static constexpr std::uint64_t kForReplica = 32;
  static constexpr unsigned kRuleAt = 6;
  static constexpr std::uint64_t kBits = (1 << 13) - 1;  // with 7 of the rule's number
  [[nodiscard]] Route with(std::uint64_t bit) const noexcept {
    Route route = *this;
    route.bits_ |= bit;
    return route;
  }
  std::uint64_t bits_ = 0;
};

/// Shapes that look like reads and that replicas refuse, by pool: they go to the primary.
class RefusedReads {
 public:
  void add(std::uint64_t pool, Route route) {
    if (shapes_.size() >= kMost) shapes_.clear();
    shapes_.insert(key(pool, route));
  }
  [[nodiscard]] bool holds(std::uint64_t pool, Route route) const {
    return !shapes_.empty() && shapes_.contains(key(pool, route));
  }

 private:
  static constexpr std::size_t kMost = 10'000;
  static std::uint64_t key(std::uint64_t pool, Route route) noexcept {
    return route.shape() ^ (pool * 0x9e3779b97f4a7c15);
  }
  std::unordered_set<std::uint64_t> shapes_;
};

}  // namespace forebay::core
