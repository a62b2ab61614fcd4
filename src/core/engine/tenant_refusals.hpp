#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace forebay::core {

/// Statements that the policy for tenants refused, by tenant: something that seldom happens.
/// Thread-safe.
class TenantRefusals {
 public:
  /// Of so many tenants; the others' are counted under "".
  static constexpr std::size_t kTenantsMax = 10'000;

  void add(const std::string& tenant, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    const bool room = counts_.size() < kTenantsMax || counts_.contains(tenant);
    counts_[room ? tenant : std::string()] += count;
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> all() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace forebay::core
