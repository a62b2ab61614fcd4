#pragma once

#include <atomic>
#include <cstdint>

#include "core/relay/known_functions.hpp"
#include "core/relay/notifiers.hpp"
#include "core/relay/side_effects.hpp"
#include "core/relay/tenant_tables.hpp"

namespace forebay::core {

/// Counts the changes of a database's catalog that anybody was seen to make: what a server was
/// asked to prepare before the last of them may be stale. Shared by all pools of the database;
/// thread-safe.
class CatalogEpoch {
 public:
  [[nodiscard]] std::uint64_t now() const noexcept {
    return changes_.load(std::memory_order_acquire);
  }
  void advance() noexcept { changes_.fetch_add(1, std::memory_order_acq_rel); }

  Notifiers notifiers;
  KnownFunctions functions;
  SideEffects effects;
  TenantTables tables;
  /// Whether functions, defaults, constraints or views ask for currval or lastval.
  std::atomic<bool> asks_sequences{false};

 private:
  std::atomic<std::uint64_t> changes_{0};
};

}  // namespace forebay::core
