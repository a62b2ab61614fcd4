#pragma once

#include <atomic>
#include <cstdint>

#include "core/relay/published.hpp"
#include "forebay/routing/split/access.hpp"

namespace forebay::core {

/// What the functions of a database do, for all its pools, as the monitor last heard. Thread-safe.
class KnownFunctions : public Published<split::FunctionVolatility> {
 public:
  using Functions = split::FunctionVolatility;

  /// Somebody was seen to change functions.
  void changed() noexcept { changes_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t changes() const noexcept {
    return changes_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> changes_{0};
};

/// One worker's copies.
class FunctionsReader {
 public:
  /// PostgreSQL 15's own where nothing is known yet.
  const split::FunctionVolatility& of(const KnownFunctions* known) {
    const split::FunctionVolatility* functions = copies_.of(known);
    return functions == nullptr ? split::FunctionVolatility::built_in() : *functions;
  }

 private:
  PublishedReader<split::FunctionVolatility> copies_;
};

}  // namespace forebay::core
