#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/statistics/bound_values.hpp"
#include "core/statistics/pool_statistics.hpp"
#include "core/statistics/statement_entry.hpp"
#include "forebay/base/time.hpp"
#include "forebay/config/config.hpp"

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
    holding_ = quiet_ = false;
    first_ = true;
    held_ = Duration{};
    forget();
    current = {};
    begin_transaction(now - waited);
  }

  /// A statement was sent.
  void sent(Instant now) noexcept {
    if (std::exchange(quiet_, false)) {
      held_ = Duration{};
      held_since_ = now;
    }
    if (!in_transaction_) begin_transaction(now);
  }

  /// The server owes nothing: who holds it up between two statements delays none of them.
  void quiet() noexcept { quiet_ = true; }

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
    bool first = false;  ///< of the client's on this link, once it is closed
    BoundValues::Ticket values = 0;
    Instant ended{};
    StatementAnswer answer;
    StatementSent sent;
  };
  [[nodiscard]] const Open& open() const noexcept { return open_; }
  [[nodiscard]] Open& open() noexcept { return open_; }

  /// The answer to a statement is complete.
  void answered(StatementSent&& sent, Instant now, BoundValues::Ticket bound = 0) noexcept {
    open_.exists = true;
    open_.values = bound;
    open_.ended = now;
    open_.answer = std::exchange(current, {});
    open_.answer.part = sent.again;
    open_.sent = std::move(sent);
  }
  /// ReadyForQuery: what the server did for the open statement, it has done now.
  void ready(Instant now) noexcept {
    const StatementAnswer rest = std::exchange(current, {});
    open_.ended = now;
    open_.answer.bytes += rest.bytes;
    if (rest.failed) open_.answer.fail({rest.sqlstate.data(), rest.sqlstate.size()});
  }

  /// The open statement, which exists, is over. Gives where its time went. `replica`: it was one
  /// that answered.
  TimeSplit close(bool replica) noexcept {
    TimeSplit split;
    open_.exists = false;
    open_.first = std::exchange(first_, false);
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
    const StatementAnswer& answer = open_.answer;
    pool->statements.add();
    const StatementKind kind = answer.failed ? StatementKind::failed : answer.kind();
    pool->kinds[kind_counter(kind, replica)].add();
    ++count_;
    pool->rows.add(answer.rows);
    if (split.transfer > 0) pool->transfer_time.add(split.transfer);
    pool->statement_server.add(split.server);
    pool->statement_total.add(split.total());
    return split;
  }

  /// Of the transaction at hand: it counts those of the link.
  [[nodiscard]] std::uint64_t transaction_number() const noexcept { return transactions_; }

  /// How many statements were closed since this was asked last.
  std::uint32_t take_count() noexcept { return std::exchange(count_, 0); }

  /// The link is nobody's any more: it may go to another worker, and references may not.
  void forget() noexcept {
    // The rest is written anew when it is used.
    open_.exists = false;
    open_.sent.entry.reset();
    open_.sent.note.reset();
    portal = {};
    parts.reset();
    in_transaction_ = false;
    if (values != nullptr) values->forget();
  }

  /// `another`: the server has its first statement already, and turns to that.
  void transaction_over(Instant now, bool another = false) noexcept {
    portal = {};
    parts.reset();
    if (in_transaction_) {
      pool->transactions.add();
      pool->transaction_server.add(transaction_server_);
      pool->transaction_total.add(microseconds_of(now - transaction_));
    }
    in_transaction_ = false;
    if (another) begin_transaction(now);
  }

  /// What the portal bound last would run.
  struct Portal {
    StatementEntryRef entry;
    std::uint32_t bytes = 0;       ///< of its Bind
    std::uint32_t limit : 31 = 0;  ///< of its Execute: so many rows at most; 0: all
    std::uint32_t again : 1 = 0;   ///< ... which goes on with it
  };
  Portal portal;
  /// Portals that are read in parts, whichever was bound last.
  struct Parts {
    static constexpr std::size_t kMax = 16;
    std::vector<std::pair<std::string, StatementEntryRef>> portals;
    /// The name is another portal's.
    void forget(std::string_view name) {
      std::erase_if(portals, [&](const auto& portal) { return portal.first == name; });
    }
  };
  std::unique_ptr<Parts> parts;  ///< null: none
  /// What takes so long is a sample; zero: nothing is.
  Duration slow_after{};
  /// What was bound; null where samples show nothing of it.
  std::unique_ptr<BoundValues> values;

  /// What is about to be executed was bound to.
  [[nodiscard]] BoundValues::Ticket executed() const noexcept {
    return values == nullptr ? 0 : values->executed;
  }
  /// For people: what the open statement was bound to; empty where nobody knows.
  [[nodiscard]] std::string parameters() const {
    if (values == nullptr) return {};
    return parameters_text(values->at(open_.values), !values->shown);
  }

  /// From now on samples are taken like that.
  void sample(Duration after, config::SlowQueryParameters parameters) {
    using config::SlowQueryParameters;
    slow_after = after;
    if (values == nullptr && parameters == SlowQueryParameters::off) return;
    const bool keeps = parameters != SlowQueryParameters::off && after > Duration{};
    if (keeps != (values != nullptr)) values = keeps ? std::make_unique<BoundValues>() : nullptr;
    if (keeps) values->shown = parameters == SlowQueryParameters::full;
  }

 private:
  void begin_transaction(Instant now) noexcept {
    ++transactions_;
    in_transaction_ = true;
    transaction_ = now;
    transaction_server_ = 0;
  }

  Instant answered_{};
  Instant held_since_{};
  Instant transaction_{};
  Duration held_{};
  std::uint64_t wait_ = 0;
  std::uint64_t transaction_server_ = 0;
  std::uint64_t transactions_ = 0;
  Open open_;
  std::uint32_t count_ = 0;
  bool holding_ = false;
  bool quiet_ = false;
  bool first_ = false;
  bool in_transaction_ = false;
};

}  // namespace forebay::core
