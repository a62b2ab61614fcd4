#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/statistics/pool_statistics.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

/// Where the time of one statement went.
struct TimeSplit {
  std::uint64_t wait = 0;      ///< microseconds in which its client waited for a link
  std::uint64_t server = 0;    ///< in which the server worked on it
  std::uint64_t transfer = 0;  ///< in which one side waited for the client to read, or to send
  [[nodiscard]] std::uint64_t total() const noexcept { return wait + server + transfer; }
};

/// Measures the statements of one link, one after the other as the server answers them, with the
/// moments of the turns. A statement's time begins when it was sent, or when the answer before it
/// was complete, for then the server turned to it.
class StatementMeter {
 public:
  /// Null: nothing is measured.
  PoolCounters* pool = nullptr;

  /// A client has the link, after it waited so long.
  void linked(Instant now, Duration waited) noexcept {
    if (pool == nullptr) return;
    pool->assignments.add();
    wait_ = microseconds_of(waited);
    pool->wait.add(wait_);
    answered_ = now;
    holding_ = false;
    held_ = Duration{};
    transaction_ = now - waited;
    in_transaction_ = true;
    transaction_server_ = 0;
    open_ = {};
    current = {};
  }

  /// A statement was sent.
  void sent(Instant now) noexcept {
    if (in_transaction_) return;
    in_transaction_ = true;
    transaction_ = now;
    transaction_server_ = 0;
  }

  /// From now on the server waits for the client, or not any more.
  void hold(Instant now) noexcept {
    if (holding_) return;
    holding_ = true;
    held_since_ = now;
  }
  void let_go(Instant now) noexcept {
    if (holding_) held_ += now - held_since_;
    holding_ = false;
  }

  /// What the server has said since the statement before.
  struct Answer {
    std::uint64_t bytes = 0;
    std::uint64_t rows = 0;
    bool failed = false;
    std::array<char, 5> sqlstate{};

    void fail(std::string_view code) noexcept {
      failed = true;
      for (std::size_t i = 0; i < 5 && i < code.size(); ++i) sqlstate[i] = code[i];
    }
  };
  Answer current;

  /// A statement that was answered. It counts when it is closed: by the next one, or by the
  /// ReadyForQuery, since the server may have to commit between the two.
  struct Open {
    bool exists = false;
    Instant began{};
    Instant ended{};
    Answer answer;
  };
  [[nodiscard]] const Open& open() const noexcept { return open_; }
  [[nodiscard]] Open& open() noexcept { return open_; }

  /// The answer to a statement that was sent at `began` is complete.
  void answered(Instant began, Instant now) noexcept {
    open_ = {true, began, now, std::exchange(current, {})};
  }
  /// ReadyForQuery: what the server did for the open statement, it has done now.
  void ready(Instant now) noexcept {
    const Answer rest = std::exchange(current, {});
    open_.ended = now;
    open_.answer.bytes += rest.bytes;
    if (rest.failed) open_.answer.fail({rest.sqlstate.data(), rest.sqlstate.size()});
  }

  /// The open statement, which exists, is over. Gives where its time went.
  TimeSplit close() noexcept {
    TimeSplit split;
    open_.exists = false;
    const Instant began = std::max(open_.began, answered_);
    const Duration linked = std::max(open_.ended - began, Duration{});
    Duration held = held_;
    if (holding_) held += open_.ended - held_since_;
    held = std::clamp(held, Duration{}, linked);
    split.wait = wait_;
    split.transfer = microseconds_of(held);
    split.server = microseconds_of(linked - held);
    wait_ = 0;
    held_ = Duration{};
    holding_ = false;  // whoever still holds says so again
    answered_ = open_.ended;
    transaction_server_ += split.server;
    pool->statements.add();
    pool->rows.add(open_.answer.rows);
    if (split.transfer > 0) pool->transfer_time.add(split.transfer);
    pool->statement_server.add(split.server);
    pool->statement_total.add(split.total());
    return split;
  }

  void transaction_over(Instant now) noexcept {
    if (!in_transaction_) return;
    in_transaction_ = false;
    pool->transactions.add();
    pool->transaction_server.add(transaction_server_);
    pool->transaction_total.add(microseconds_of(now - transaction_));
  }

 private:
  Instant answered_{};
  Instant held_since_{};
  Instant transaction_{};
  Duration held_{};
  std::uint64_t wait_ = 0;
  std::uint64_t transaction_server_ = 0;
  Open open_;
  bool holding_ = false;
  bool in_transaction_ = false;
};

}  // namespace forebay::core
