#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/statistics/histogram.hpp"
#include "core/statistics/statement_kind.hpp"
#include "forebay/base/counter.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

/// Errors by SQLSTATE. Anybody can raise any (RAISE ... USING ERRCODE), so that only so many are
/// told apart; the rest is one number.
class ErrorCounters {
 public:
  static constexpr std::size_t kCodesMax = 24;

  void add(std::string_view sqlstate) noexcept { count(packed(sqlstate), 1); }

  /// Shows each SQLSTATE with its number, and what is left as "other".
  template <class Look>
  void each(Look look) const {
    for (const Line& line : lines_) {
      const std::uint64_t code = line.code.load(std::memory_order_relaxed);
      if (code == 0) break;
      look(unpacked(code), line.count.value());
    }
    if (other_.value() > 0) look(std::string("other"), other_.value());
  }

  void add(const ErrorCounters& from) noexcept {
    for (const Line& line : from.lines_) {
      const std::uint64_t code = line.code.load(std::memory_order_relaxed);
      if (code == 0) break;
      count(code, line.count.value());
    }
    other_.add(from.other_.value());
  }

 private:
  struct Line {
    std::atomic<std::uint64_t> code{0};
    Counter count;
  };
  void count(std::uint64_t code, std::uint64_t more) noexcept {
    for (Line& line : lines_) {
      const std::uint64_t known = line.code.load(std::memory_order_relaxed);
      if (known == 0) line.code.store(code, std::memory_order_relaxed);
      if (known != 0 && known != code) continue;
      line.count.add(more);
      return;
    }
    other_.add(more);
  }
  // Five characters in the low bytes, and a bit that tells them from none.
  static std::uint64_t packed(std::string_view sqlstate) noexcept {
    std::uint64_t code = 1;
    for (std::size_t i = 0; i < 5; ++i) {
      code = code << 8 | static_cast<unsigned char>(i < sqlstate.size() ? sqlstate[i] : '?');
    }
    return code;
  }
  static std::string unpacked(std::uint64_t code) {
    std::string sqlstate(5, '?');
    for (std::size_t i = 5; i-- > 0; code >>= 8) {
      const char c = static_cast<char>(code & 0xff);
      if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')) sqlstate[i] = c;
    }
    return sqlstate;
  }

  std::array<Line, kCodesMax> lines_;
  Counter other_;
};

class PoolStatistics;

/// So many pools, or databases, are told apart by labels, for a client may choose them; what the
/// others did is summed up.
inline constexpr std::size_t kPoolRowsMax = 500;

/// What one worker has done for one pool. Counted by its thread, read by any. Times are in
/// microseconds, of the clock that is read once in each turn.
struct alignas(64) PoolCounters {
  const PoolStatistics* owner = nullptr;

  Counter statements;  ///< Query, Execute and FunctionCall, with those that were refused
  std::array<Counter, kKindCounters> kinds;  ///< the same, as kind_counter says
  Counter transactions;                      ///< that servers ended
  Counter client_bytes;                      ///< received from clients that are logged in
  Counter server_bytes;                      ///< received from servers
  Counter rows;                              ///< sent or changed, as the command tags say
  Counter assignments;                       ///< a client was given a link
  Counter client_parses;
  Counter server_parses;    ///< of which a server was told, and those that we put ahead
  Counter injected_parses;  ///< those that we put ahead
  Counter binds;
  Counter transfer_time;  ///< in which a client did not take what the server had for it

  TimeHistogram wait;              ///< of each assignment, and those in vain
  TimeHistogram statement_server;  ///< what PostgreSQL took for each statement
  TimeHistogram statement_total;   ///< with the wait, and with the transfer
  TimeHistogram transaction_server;
  TimeHistogram transaction_total;  ///< with the wait, and with the client's pauses in between

  ErrorCounters server_errors;  ///< that a server told a client
  ErrorCounters own_errors;     ///< that we told a client which was logged in
};

/// Those of its members that are simply summed up.
inline constexpr std::array kPoolCounters = {
    &PoolCounters::statements,    &PoolCounters::transactions,  &PoolCounters::client_bytes,
    &PoolCounters::server_bytes,  &PoolCounters::rows,          &PoolCounters::assignments,
    &PoolCounters::client_parses, &PoolCounters::server_parses, &PoolCounters::injected_parses,
    &PoolCounters::binds,         &PoolCounters::transfer_time};
inline constexpr std::array kPoolHistograms = {
    &PoolCounters::wait, &PoolCounters::statement_server, &PoolCounters::statement_total,
    &PoolCounters::transaction_server, &PoolCounters::transaction_total};

/// What all workers have done for one pool: kept while pools come and go, so that nothing counts
/// backwards. A worker's counters are made when it first has something to do with the pool.
class PoolStatistics {
 public:
  explicit PoolStatistics(std::size_t workers, std::string the_database = {},
                          std::string the_user = {})
      : database(std::move(the_database)),
        user(std::move(the_user)),
        workers_(workers),
        counters_(std::make_unique<Place[]>(workers)) {}
  PoolStatistics(const PoolStatistics&) = delete;
  PoolStatistics& operator=(const PoolStatistics&) = delete;
  ~PoolStatistics() {
    for (std::size_t i = 0; i < workers_; ++i) delete counters_[i].load();
  }

  const std::string database;
  const std::string user;

  /// Called by that worker only.
  [[nodiscard]] PoolCounters& of(WorkerId worker) {
    Place& place = counters_[worker.value()];
    if (place.load(std::memory_order_relaxed) == nullptr) {
      auto made = std::make_unique<PoolCounters>();
      made->owner = this;
      place.store(made.release(), std::memory_order_release);
    }
    return *place.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t sum(Counter PoolCounters::*member) const noexcept {
    std::uint64_t all = 0;
    each([&](const PoolCounters& counters) { all += (counters.*member).value(); });
    return all;
  }
  /// Microseconds.
  [[nodiscard]] std::uint64_t sum(TimeHistogram PoolCounters::*member) const noexcept {
    std::uint64_t all = 0;
    each([&](const PoolCounters& counters) { all += (counters.*member).sum(); });
    return all;
  }
  template <class Look>
  void each(Look look) const {
    for (std::size_t i = 0; i < workers_; ++i) {
      if (const auto* counters = counters_[i].load(std::memory_order_acquire)) look(*counters);
    }
  }
  /// What another has counted, which nobody counts for any more. By one thread at a time.
  void absorb(const PoolStatistics& other) {
    PoolCounters& mine = of(WorkerId(0));
    other.each([&](const PoolCounters& its) {
      for (const auto member : kPoolCounters) (mine.*member).add((its.*member).value());
      for (std::size_t i = 0; i < kKindCounters; ++i) mine.kinds[i].add(its.kinds[i].value());
      for (const auto member : kPoolHistograms) (mine.*member).add(its.*member);
      mine.server_errors.add(its.server_errors);
      mine.own_errors.add(its.own_errors);
    });
    note_client();
  }
  /// It has series of its own, which would begin anew if it were forgotten. Any thread.
  void show(bool shown) const noexcept { shown_.store(shown, std::memory_order_relaxed); }
  [[nodiscard]] bool shown() const noexcept { return shown_.load(std::memory_order_relaxed); }
  /// A client has logged in. Any thread.
  void note_client() noexcept { had_client_.store(true, std::memory_order_relaxed); }
  /// Whether no client got further than its login: perhaps somebody made its names up. What servers
  /// say to such logins is no sign of use.
  [[nodiscard]] bool blank() const noexcept {
    return !had_client_.load(std::memory_order_relaxed) && sum(&PoolCounters::assignments) == 0;
  }

 private:
  using Place = std::atomic<PoolCounters*>;

  const std::size_t workers_;
  const std::unique_ptr<Place[]> counters_;
  std::atomic<bool> had_client_{false};
  mutable std::atomic<bool> shown_{false};
};

}  // namespace forebay::core
