#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "forebay/base/counter.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

/// As microseconds; nothing is shorter than nothing.
inline std::uint64_t microseconds_of(Duration duration) noexcept {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}

/// How long something took, of many: for Prometheus' histograms, with bounds that people have in
/// mind when they say what is fast enough. Counted by one thread, read by any.
class TimeHistogram {
 public:
  /// Upper bounds in microseconds; one bucket more is for what takes longer.
  static constexpr std::array<std::uint32_t, 16> kBounds = {
      250,     500,     1'000,   2'500,     5'000,     10'000,    25'000,     50'000,
      100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000};

  void add(std::uint64_t microseconds) noexcept {
    // One after the other: most are among the first.
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && microseconds > kBounds[bucket]) ++bucket;
    buckets_[bucket].add();
    sum_.add(microseconds);
  }

  void add(const TimeHistogram& other) noexcept {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i].add(other.bucket(i));
    sum_.add(other.sum());
  }

  [[nodiscard]] std::uint64_t bucket(std::size_t index) const noexcept {
    return buckets_[index].value();
  }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.value(); }
  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t all = 0;
    for (const Counter& bucket : buckets_) all += bucket.value();
    return all;
  }

 private:
  std::array<Counter, kBounds.size() + 1> buckets_;
  Counter sum_;
};

}  // namespace forebay::core
