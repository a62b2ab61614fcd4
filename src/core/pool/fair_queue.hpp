#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "core/pool/ticket.hpp"

namespace forebay::core {

/// Who waits for a link of a pool, in the order in which they came. Where they are of tenants,
/// these take turns, as many in a row as their weight says, so that who asks for more than others
/// waits behind itself. Not thread-safe.
///
/// A link that comes free at one worker costs two system calls and a wake-up to reach a waiter at
/// another. So one of the link's own worker may overtake others, within bounds.
class FairQueue {
 public:
  /// Nobody is overtaken who has waited for so long, which is little beside what waiting means ...
  static constexpr std::chrono::milliseconds kOvertaken{2};
  /// ... nor by one who is further back than this.
  static constexpr int kOvertakes = 16;

  FairQueue() = default;
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void push(Ticket& ticket);
  /// Takes the next one out; there is one.
  Ticket& pop() noexcept;
  /// The same for a link at this worker, which may be for one who is not next.
  Ticket& pop(WorkerId here, Instant now) noexcept;
  void erase(Ticket& ticket);
  /// Who is served next, and who waits for longest; there is one.
  [[nodiscard]] const Ticket& next() const noexcept { return ring_.front().tickets.front(); }
  [[nodiscard]] Ticket& oldest() noexcept;
  [[nodiscard]] const Ticket& oldest() const noexcept {
    return const_cast<FairQueue*>(this)->oldest();
  }

 private:
  using Ring = boost::intrusive::list<
      TicketLane, boost::intrusive::member_hook<TicketLane, TicketLane::Hook, &TicketLane::hook>>;

  TicketLane& lane_of(const Ticket& ticket);
  Ticket& take(TicketLane& lane, WaitQueue::iterator taken) noexcept;
  void drop_if_empty(TicketLane& lane) noexcept;

  std::size_t size_ = 0;
  TicketLane of_nobody_;  ///< those that are no tenant's
  std::unordered_map<std::uint32_t, std::unique_ptr<TicketLane>> of_tenants_;
  Ring ring_;  ///< lanes in which somebody waits; whose turn it is stands first
};

}  // namespace forebay::core
