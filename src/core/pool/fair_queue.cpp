#include "core/pool/fair_queue.hpp"

#include <algorithm>

#include "forebay/base/assert.hpp"

namespace forebay::core {

TicketLane& FairQueue::lane_of(const Ticket& ticket) {
  if (ticket.tenant == 0) return of_nobody_;
  std::unique_ptr<TicketLane>& lane = of_tenants_[ticket.tenant];
  if (lane == nullptr) {
    lane = std::make_unique<TicketLane>();
    lane->tenant = ticket.tenant;
  }
  return *lane;
}

void FairQueue::push(Ticket& ticket) {
  TicketLane& lane = lane_of(ticket);
  lane.weight = ticket.weight;
  lane.tickets.push_back(ticket);
  ++size_;
  if (lane.hook.is_linked()) return;
  lane.turns = lane.weight;
  ring_.push_back(lane);
}

Ticket& FairQueue::pop() noexcept {
  FB_ASSERT(size_ > 0);
  TicketLane& lane = ring_.front();
  Ticket& ticket = lane.tickets.front();
  lane.tickets.pop_front();
  --size_;
  if (--lane.turns == 0) {
    lane.turns = lane.weight;
    ring_.splice(ring_.end(), ring_, ring_.iterator_to(lane));
  }
  drop_if_empty(lane);
  return ticket;
}

void FairQueue::erase(Ticket& ticket) {
  TicketLane& lane = lane_of(ticket);
  lane.tickets.erase(lane.tickets.iterator_to(ticket));
  --size_;
  drop_if_empty(lane);
}

void FairQueue::drop_if_empty(TicketLane& lane) noexcept {
  if (!lane.tickets.empty()) return;
  ring_.erase(ring_.iterator_to(lane));
  if (&lane != &of_nobody_) of_tenants_.erase(lane.tenant);
}

// Within a lane the first is the oldest.
Ticket& FairQueue::oldest() noexcept {
  FB_ASSERT(size_ > 0);
  const auto lane =
      std::min_element(ring_.begin(), ring_.end(), [](const TicketLane& a, const TicketLane& b) {
        return a.tickets.front().since < b.tickets.front().since;
      });
  return lane->tickets.front();
}

}  // namespace forebay::core
