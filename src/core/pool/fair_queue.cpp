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
  return take(lane, lane.tickets.begin());
}

Ticket& FairQueue::pop(WorkerId here, Instant now) noexcept {
  FB_ASSERT(size_ > 0);
  TicketLane& lane = ring_.front();
  const auto next = lane.tickets.begin();
  if (now - next->since >= kOvertaken) return take(lane, next);
  auto ticket = next;
  for (int looked = 0; looked <= kOvertakes && ticket != lane.tickets.end(); ++looked, ++ticket) {
    if (ticket->session.worker == here) return take(lane, ticket);
  }
  return take(lane, next);
}

Ticket& FairQueue::take(TicketLane& lane, WaitQueue::iterator taken) noexcept {
  Ticket& ticket = *taken;
  lane.tickets.erase(taken);
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
