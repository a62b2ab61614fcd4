#pragma once

#include <boost/intrusive/list.hpp>
#include <compare>
#include <cstdint>

#include "forebay/base/time.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

/// Names a client session from any thread; stays unambiguous after the session is gone.
struct SessionKey {
  WorkerId worker;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  auto operator<=>(const SessionKey&) const = default;
};

/// A place in a pool's queue. Belongs to a session, which must `withdraw` it before it goes.
/// Guarded by the pool's mutex from `acquire` on.
struct Ticket {
  using Hook = boost::intrusive::list_member_hook<>;

  SessionKey session;
  std::uint32_t held_bytes = 0;  ///< the session's own: what it has in Shared::failover_hold
  Instant since{};
  bool waiting = false;      ///< in the queue; false: never was, or a link is on its way
  bool urgent = false;       ///< for a StatementLimit: its place may be beyond the limit
  std::uint16_t weight = 1;  ///< turns in a row that its tenant has
  std::uint32_t tenant = 0;  ///< a hash of whose it is, where tenants share a pool; 0: nobody's
  Hook hook;
};

using WaitQueue =
    boost::intrusive::list<Ticket,
                           boost::intrusive::member_hook<Ticket, Ticket::Hook, &Ticket::hook>>;

/// The tickets of one tenant in a FairQueue, in the order in which they came.
struct TicketLane {
  using Hook = boost::intrusive::list_member_hook<>;

  std::uint32_t tenant = 0;
  std::uint32_t weight = 1;
  std::uint32_t turns = 1;  ///< so many more are served before it is another's turn
  WaitQueue tickets;
  Hook hook;
};

}  // namespace forebay::core
