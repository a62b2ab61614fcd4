#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

/// What became of the connections to one host. Counted by every worker, when links come and go
/// only; read by any thread.
class HostCounts {
 public:
  /// What went wrong last, and since when nothing has gone well.
  struct Trouble {
    std::string error;               ///< empty: nothing ever
    Instant last{};                  ///< when that was
    Instant failing_since = kNever;  ///< kNever: the last attempt to open one succeeded
  };

  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> failed{0};  ///< attempts, of which others may have gone elsewhere
  std::atomic<std::uint64_t> lost{0};    ///< that the server ended, or that broke
  std::atomic<std::uint32_t> open{0};    ///< logged in at present

  void succeeded() {
    const std::lock_guard lock(mutex_);
    trouble_.failing_since = kNever;
  }
  void note_failed(const std::string& error, Instant now) {
    failed.fetch_add(1, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    if (trouble_.failing_since == kNever) trouble_.failing_since = now;
    note(error, now);
  }
  void note_lost(const std::string& error, Instant now) {
    lost.fetch_add(1, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    note(error, now);
  }
  [[nodiscard]] Trouble trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_;
  }

 private:
  void note(const std::string& error, Instant now) {
    trouble_.error = error;
    trouble_.last = now;
  }

  mutable std::mutex mutex_;
  Trouble trouble_;
};

/// One link's place among those that are open to its host, whose book outlives it.
class HostPlace {
 public:
  HostPlace() = default;
  HostPlace(const HostPlace&) = delete;
  HostPlace& operator=(const HostPlace&) = delete;
  ~HostPlace() { leave(); }

  /// It has logged in.
  void take(HostCounts& counts) {
    leave();
    counts_ = &counts;
    counts.opened.fetch_add(1, std::memory_order_relaxed);
    counts.open.fetch_add(1, std::memory_order_relaxed);
    counts.succeeded();
  }
  void leave() noexcept {
    if (counts_ != nullptr) counts_->open.fetch_sub(1, std::memory_order_relaxed);
    counts_ = nullptr;
  }
  /// The link was lost. Nothing where it was not logged in.
  void lost(const std::string& error, Instant now) {
    if (counts_ != nullptr) counts_->note_lost(error, now);
  }

 private:
  HostCounts* counts_ = nullptr;
};

/// Those of every host that a link was opened to, or was to be. The configuration says how many
/// there are; they stay, so that nothing counts backwards. Thread-safe.
class HostBook {
 public:
  [[nodiscard]] HostCounts& of(const Endpoint& host) {
    const std::lock_guard lock(mutex_);
    return hosts_[host];
  }
  /// Null where there was never a link.
  [[nodiscard]] const HostCounts* find(const Endpoint& host) const {
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find(host);
    return found == hosts_.end() ? nullptr : &found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<Endpoint, HostCounts> hosts_;
};

}  // namespace forebay::core
