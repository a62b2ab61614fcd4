#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/statistics/statement_entry.hpp"
#include "forebay/base/counter.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

/// What was counted of a tenant. Times are in microseconds.
struct TenantCounts {
  std::uint64_t statements = 0;
  std::uint64_t errors = 0;
  std::uint64_t wait = 0;
  std::uint64_t server = 0;
  std::uint64_t received_bytes = 0;  ///< from its clients, while they had a server connection
  std::uint64_t sent_bytes = 0;      ///< by servers to them
  std::uint64_t refused = 0;         ///< statements, by the policy

  TenantCounts& operator+=(const TenantCounts& other) noexcept;
  TenantCounts& operator-=(const TenantCounts& other) noexcept;
};

/// What one worker has done for one tenant. Counted by its thread, read by any.
struct alignas(64) TenantCounters {
  Counter statements;
  Counter errors;
  Counter wait;
  Counter server;
  Counter received_bytes;
  Counter sent_bytes;
  Counter refused;

  void count(const TimeSplit& split, bool failed) noexcept {
    statements.add();
    if (failed) errors.add();
    if (split.wait > 0) wait.add(split.wait);
    server.add(split.server);
  }
};

/// What all workers have done for one tenant.
class TenantStatistics {
 public:
  explicit TenantStatistics(std::size_t workers)
      : workers_(workers), counters_(std::make_unique<Place[]>(workers)) {}
  TenantStatistics(const TenantStatistics&) = delete;
  TenantStatistics& operator=(const TenantStatistics&) = delete;
  ~TenantStatistics();

  std::atomic<std::uint32_t> clients{0};

  /// Called by that worker only.
  [[nodiscard]] TenantCounters& of(WorkerId worker);
  [[nodiscard]] TenantCounts sum() const noexcept;

 private:
  using Place = std::atomic<TenantCounters*>;

  const std::size_t workers_;
  const std::unique_ptr<Place[]> counters_;
};

/// One of a tenant's clients, for as long as it lives, and where its worker counts for it.
class TenantClient {
 public:
  TenantClient() = default;
  TenantClient(std::shared_ptr<TenantStatistics> tenant, WorkerId worker)
      : tenant_(std::move(tenant)), counters_(&tenant_->of(worker)) {
    tenant_->clients.fetch_add(1, std::memory_order_relaxed);
  }
  TenantClient(TenantClient&&) noexcept = default;
  TenantClient& operator=(TenantClient&&) = delete;
  ~TenantClient() {
    if (tenant_ != nullptr) tenant_->clients.fetch_sub(1, std::memory_order_relaxed);
  }

  /// Null: nobody counts.
  [[nodiscard]] TenantCounters* counters() const noexcept { return counters_; }

 private:
  std::shared_ptr<TenantStatistics> tenant_;
  TenantCounters* counters_ = nullptr;
};

/// A line of a report.
struct TenantRow {
  std::string tenant;
  std::uint32_t clients = 0;
  TenantCounts counts;
};

/// The tenants of the process, kept so that nothing counts backwards. Thread-safe.
class TenantDirectory {
 public:
  /// So many are told apart; the others are one, kOther.
  static constexpr std::size_t kTenantsMax = 10'000;
  static constexpr const char* kOther = "other";

  explicit TenantDirectory(std::size_t workers) : workers_(workers) {}

  std::shared_ptr<TenantStatistics> find_or_make(const std::string& tenant);
  [[nodiscard]] bool knows(const std::string& tenant) const {
    const std::lock_guard lock(mutex_);
    return entries_.contains(tenant);
  }
  /// All of them, by name.
  [[nodiscard]] std::vector<TenantRow> report() const;

  /// For a label: the `max` tenants that use most, by name, with what they did while they were
  /// among these, and at the end all the rest as kOther. Who is among them changes slowly, and no
  /// number ever goes down, nor is anything counted twice.
  std::vector<TenantRow> leaders(std::size_t max);

 private:
  struct Entry {
    std::shared_ptr<TenantStatistics> statistics;
    TenantCounts seen;  ///< by leaders(), the last time
    TenantCounts own;   ///< what it did as one of them
    std::uint64_t heat = 0;
    bool known = false;  ///< to leaders()
    bool leads = false;
  };
  void follow();
  void choose(std::size_t max);

  const std::size_t workers_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  TenantCounts others_;
  std::size_t leaders_ = 0;
};

}  // namespace forebay::core
