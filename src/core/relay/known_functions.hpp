#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "forebay/routing/split/access.hpp"

namespace forebay::core {

/// What the functions of a database do, for all its pools, as the monitor last heard. Thread-safe.
class KnownFunctions {
 public:
  using Functions = split::FunctionVolatility;

  /// Null: nobody has asked yet.
  [[nodiscard]] std::shared_ptr<const Functions> get() const {
    const std::lock_guard lock(mutex_);
    return functions_;
  }
  /// Of what `get` gives; 0 for null.
  [[nodiscard]] std::uint32_t serial() const noexcept {
    return serial_.load(std::memory_order_acquire);
  }
  void publish(std::shared_ptr<const Functions> functions) {
    const std::lock_guard lock(mutex_);
    // What was judged by the same stays judged.
    if (functions_ != nullptr && *functions_ == *functions) return;
    functions_ = std::move(functions);
    serial_.store(functions_->serial(), std::memory_order_release);
  }

  /// Somebody was seen to change functions.
  void changed() noexcept { changes_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t changes() const noexcept {
    return changes_.load(std::memory_order_relaxed);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Functions> functions_;
  std::atomic<std::uint32_t> serial_{0};
  std::atomic<std::uint64_t> changes_{0};
};

/// One worker's copies: takes a lock only when there is something new.
class FunctionsReader {
 public:
  /// PostgreSQL 15's own where nothing is known yet.
  const split::FunctionVolatility& of(const KnownFunctions* known) {
    const std::uint32_t serial = known == nullptr ? 0 : known->serial();
    if (serial == 0) return split::FunctionVolatility::built_in();
    for (Copy& copy : copies_) {
      if (copy.known != known) continue;
      if (copy.functions->serial() != serial) copy.functions = known->get();
      return *copy.functions;
    }
    return *copies_.emplace_back(Copy{known, known->get()}).functions;
  }

 private:
  struct Copy {
    const KnownFunctions* known;
    std::shared_ptr<const split::FunctionVolatility> functions;
  };
  std::vector<Copy> copies_;  ///< one for each database
};

}  // namespace forebay::core
