#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/refused.hpp"
#include "forebay/base/time.hpp"
#include "forebay/config/tenants.hpp"

namespace forebay::core {

/// What operators have ordered for one tenant, while the process runs.
struct TenantOrders {
  struct Order {
    std::string reason;      ///< empty: none was given
    std::string by;          ///< the user of the console
    std::int64_t since = 0;  ///< in Unix time
    std::int64_t until = 0;  ///< the same; 0: until it is taken back
    Instant ends = kNever;
    [[nodiscard]] bool over(Instant now) const noexcept { return ends <= now; }
    /// " until 2026-11-28 18:00:00 UTC: it is not paid for"
    [[nodiscard]] std::string words() const;
  };
  std::optional<Order> ban;    ///< no clients
  std::optional<Order> pause;  ///< no new transactions
  std::optional<Order> limit;  ///< other limits than the configuration's
  config::TenantLimits limits;

  [[nodiscard]] bool none() const noexcept { return !ban && !pause && !limit; }
};

enum class TenantOrderKind : std::uint8_t { ban, pause, limit };
inline constexpr std::size_t kTenantOrderKinds = 3;
using TenantOrderCounts = std::array<std::uint64_t, kTenantOrderKinds>;

/// Those of the process. Thread-safe.
class TenantOrderBook {
 public:
  using All = std::map<std::string, TenantOrders, std::less<>>;
  /// Of so many tenants something may be ordered at a time.
  static constexpr std::size_t kTenantsMax = 10'000;

  /// Changes with every change.
  [[nodiscard]] std::uint64_t version() const noexcept {
    return version_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::shared_ptr<const All> all() const;

  using Change = std::function<void(TenantOrders&)>;
  /// What it is now is known to `then` before anybody else changes it. False: there are
  /// kTenantsMax already.
  bool change(const std::string& tenant, const Change& change,
              const std::function<void(const TenantOrders&)>& then);
  /// One more was given, of one tenant or of another; given() has all since the process began.
  void note_given(TenantOrderKind kind) noexcept {
    given_[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] TenantOrderCounts given() const noexcept;
  [[nodiscard]] TenantOrderCounts in_force() const;
  /// Those of whom something is over.
  [[nodiscard]] std::vector<std::string> over(Instant now) const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const All> all_ = std::make_shared<const All>();
  std::atomic<std::uint64_t> version_{0};
  std::array<std::atomic<std::uint64_t>, kTenantOrderKinds> given_{};
};

/// One worker's look at them: a load as long as nothing changes.
class TenantOrdersReader {
 public:
  explicit TenantOrdersReader(const TenantOrderBook& book) : book_(book) {}
  /// Null: nothing is ordered. Holds until the next is asked for.
  const TenantOrders* of(std::string_view tenant);

 private:
  const TenantOrderBook& book_;
  std::shared_ptr<const TenantOrderBook::All> all_;
  std::uint64_t version_ = 0;
};

/// "2026-11-28 18:00:00 UTC"
[[nodiscard]] std::string moment_of(std::int64_t unix_time);

}  // namespace forebay::core
