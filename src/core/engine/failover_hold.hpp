#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace forebay::core {

/// Of the process: how many statements and logins wait because there is no primary, and what the
/// clients' bytes that wait with them take. Thread-safe and exact.
class FailoverHold {
 public:
  enum class Entered : std::uint8_t { yes, too_many, too_large };

  /// One more, with so many bytes; a limit of 0 is none.
  Entered enter(std::size_t bytes, std::uint32_t max, std::uint64_t max_bytes) noexcept {
    if (count_.fetch_add(1, std::memory_order_relaxed) >= max && max > 0) {
      count_.fetch_sub(1, std::memory_order_relaxed);
      return Entered::too_many;
    }
    if (grow(bytes, max_bytes)) return Entered::yes;
    count_.fetch_sub(1, std::memory_order_relaxed);
    return Entered::too_large;
  }
  /// What one has grows by so much. False: there is no room for it.
  bool grow(std::size_t bytes, std::uint64_t max_bytes) noexcept {
    if (bytes == 0) return true;
    if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= max_bytes || max_bytes == 0) {
      return true;
    }
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  /// One that has grown to so much is gone.
  void leave(std::size_t bytes) noexcept {
    count_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint32_t count() const noexcept {
    return count_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint32_t> count_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace forebay::core
