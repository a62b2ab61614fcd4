#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/statistics/pool_statistics.hpp"
#include "core/statistics/statement_entry.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

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
    count_ = 0;
    holding_ = false;
    held_ = Duration{};
    transaction_ = now - waited;
    transaction_server_ = 0;
    forget();
    current = {};
    in_transaction_ = true;
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
  StatementAnswer current;

  /// A statement that was answered. It counts when it is closed: by the next one, or by the
  /// ReadyForQuery, since the server may have to commit between the two.
  struct Open {
    bool exists = false;
    Instant ended{};
    StatementAnswer answer;
    StatementSent sent;
  };
  [[nodiscard]] const Open& open() const noexcept { return open_; }
  [[nodiscard]] Open& open() noexcept { return open_; }

  /// The answer to a statement is complete.
  void answered(StatementSent&& sent, Instant now) noexcept {
    open_.exists = true;
    open_.ended = now;
    open_.answer = std::exchange(current, {});
    open_.sent = std::move(sent);
  }
  /// ReadyForQuery: what the server did for the open statement, it has done now.
  void ready(Instant now) noexcept {
    const StatementAnswer rest = std::exchange(current, {});
    open_.ended = now;
    open_.answer.bytes += rest.bytes;
    if (rest.failed) open_.answer.fail({rest.sqlstate.data(), rest.sqlstate.size()});
  }

  /// The open statement, which exists, is over. Gives where its time went.
  TimeSplit close() noexcept {
    TimeSplit split;
    open_.exists = false;
    const Instant began = std::max(open_.sent.began, answered_);
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
    ++count_;
    pool->rows.add(open_.answer.rows);
    if (split.transfer > 0) pool->transfer_time.add(split.transfer);
    pool->statement_server.add(split.server);
    pool->statement_total.add(split.total());
    return split;
  }

  /// How many statements were closed since this was asked last.
  std::uint32_t take_count() noexcept { return std::exchange(count_, 0); }

  /// The link is nobody's any more: it may go to another worker, and references may not.
  void forget() noexcept {
    open_ = {};
    portal = {};
    in_transaction_ = false;
  }

  void transaction_over(Instant now) noexcept {
    portal = {};
    if (!in_transaction_) return;
    in_transaction_ = false;
    pool->transactions.add();
    pool->transaction_server.add(transaction_server_);
    pool->transaction_total.add(microseconds_of(now - transaction_));
  }

  /// What the portal bound last would run.
  struct Portal {
    StatementEntryRef entry;
    std::uint32_t bytes = 0;  ///< of its Bind
  };
  Portal portal;
  /// What takes so long is a sample; zero: nothing is.
  Duration slow_after{};

 private:
  Instant answered_{};
  Instant held_since_{};
  Instant transaction_{};
  Duration held_{};
  std::uint64_t wait_ = 0;
  std::uint64_t transaction_server_ = 0;
  Open open_;
  std::uint32_t count_ = 0;
  bool holding_ = false;
  bool in_transaction_ = false;
};

}  // namespace forebay::core
