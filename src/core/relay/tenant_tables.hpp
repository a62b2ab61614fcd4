#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "forebay/routing/tenant/check.hpp"

namespace forebay::core {

/// Which tables of a database have the tenants' column, for all its pools, as its catalog last
/// said. Thread-safe.
class TenantTables {
 public:
  using Tables = tenant::CatalogTables;

  /// Null: nobody knows. What it says holds for as long as nobody was seen to change the catalog.
  [[nodiscard]] std::shared_ptr<const Tables> get() const {
    const std::lock_guard lock(mutex_);
    return tables_;
  }
  /// Of what `get` gives: no other in the process has the same, also where another database's
  /// tables come to stand at this address; 0 as long as nothing was ever known.
  [[nodiscard]] std::uint64_t serial() const noexcept {
    return serial_.load(std::memory_order_acquire);
  }
  /// Of the catalog as it was at `epoch`, or later. Null: it is not known any more.
  void publish(std::shared_ptr<const Tables> tables, std::uint64_t epoch) {
    const std::lock_guard lock(mutex_);
    const bool same = tables_ != nullptr && tables != nullptr && *tables_ == *tables;
    if (!same) {
      tables_ = std::move(tables);
      static std::atomic<std::uint64_t> last{0};
      serial_.store(last.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    epoch_.store(tables_ == nullptr ? kNone : epoch, std::memory_order_release);
  }
  [[nodiscard]] bool fresh(std::uint64_t epoch) const noexcept {
    return epoch_.load(std::memory_order_acquire) == epoch;
  }

  /// The catalog could not be read: nobody waits for it, until it can.
  void set_failing(bool failing) noexcept { failing_.store(failing, std::memory_order_release); }
  [[nodiscard]] bool failing() const noexcept { return failing_.load(std::memory_order_acquire); }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  mutable std::mutex mutex_;
  std::shared_ptr<const Tables> tables_;
  std::atomic<std::uint64_t> serial_{0};
  std::atomic<std::uint64_t> epoch_{kNone};
  std::atomic<bool> failing_{false};
};

/// One worker's policies with the tables of each database: another one only where something new is
/// known.
class TenantPolicies {
 public:
  using PolicyRef = std::shared_ptr<const tenant::Policy>;

  /// `epoch` is the catalog's now.
  const PolicyRef& of(const PolicyRef& base, const TenantTables& tables, std::uint64_t epoch) {
    // In this order: what is published later is of a later epoch.
    const bool fresh = tables.fresh(epoch);
    const std::uint64_t serial = tables.serial();
    for (Copy& copy : copies_) {
      if (copy.tables != &tables || copy.base != base) continue;
      if (copy.serial != serial || copy.policy == nullptr) fill(copy, tables, serial);
      return fresh ? copy.policy : copy.unknown;
    }
    // Those of a configuration that is gone.
    std::erase_if(copies_, [](const Copy& copy) { return copy.base.use_count() == 1; });
    Copy& copy = copies_.emplace_back(Copy{base, &tables, serial, nullptr, nullptr});
    auto unknown = std::make_shared<tenant::Policy>(*base);
    unknown->catalog = nullptr;
    copy.unknown = std::move(unknown);
    fill(copy, tables, serial);
    return fresh ? copy.policy : copy.unknown;
  }

 private:
  struct Copy {
    PolicyRef base;
    const TenantTables* tables;
    std::uint64_t serial;
    PolicyRef policy;
    PolicyRef unknown;  ///< while nobody knows
  };

  static void fill(Copy& copy, const TenantTables& tables, std::uint64_t serial) {
    auto known = tables.get();
    copy.serial = serial;
    copy.policy = copy.unknown;
    if (known == nullptr || known->column() != copy.base->column) return;
    auto policy = std::make_shared<tenant::Policy>(*copy.base);
    policy->catalog = std::move(known);
    copy.policy = std::move(policy);
  }

  std::vector<Copy> copies_;  ///< one for each database, and configuration that is in use
};

}  // namespace forebay::core
