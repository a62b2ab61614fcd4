#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "core/engine/statement_limit.hpp"
#include "core/engine/timer_wheel.hpp"
#include "core/refused.hpp"
#include "core/relay/relay_state.hpp"
#include "forebay/protocol/postgres/framer.hpp"

namespace forebay::core {

/// Nobody answers it, or nothing is done for it: the end of a batch, that of a COPY that has
/// failed.
[[nodiscard]] bool is_no_statement(const pg::Message& message);

/// What a session has whose statements are limited. A transaction, or a statement alone, passes the
/// limits one after the other before it begins: first how many begin within a second, so that it
/// waits for that without a place, then how many run at a time. It leaves them when it is over.
struct Throttle {
  /// `fire(session)` when it may go on that was held up for its bytes.
  Throttle(void (*fire)(void*), void* session) noexcept : paced(fire, session) {}

  std::vector<std::shared_ptr<StatementLimit>> limits;  ///< of user, database, tenant
  Ticket ticket;
  std::size_t passed = 0;  ///< of the limits, twice
  Instant since{};         ///< when the statement came that is to begin
  Instant opens = kNever;  ///< held until then by a rate; kNever: until there is a place
  bool held = false;
  bool link_wanted = false;   ///< who has a place elsewhere may wait for a link of this pool
  bool indebted = false;      ///< held, for the bytes that went before
  bool exempt = false;        ///< what goes on began before there were limits
  bool outdated = false;      ///< others hold since a reload
  bool counts_bytes = false;  ///< one of the limits is of bytes
  /// How many links its tenant's clients have; null: no limit. It has a place there from before it
  /// has a link until that is given back.
  std::shared_ptr<StatementLimit> links;
  Ticket link_ticket;
  bool has_link_place = false;
  bool says = false;         ///< transactions say whose they are
  std::size_t answered = 0;  ///< of the bytes at hand, here
  bool apart = false;        ///< the message at hand needs no server, though there is one
  std::unique_ptr<const SessionTenant> refused_as;  ///< to whom `refusal` is booked; null: its own
  bool awaits_link_place = false;                   ///< held, or at its login
  Timer paced;                     ///< while it runs nothing is read for the session
  std::optional<Refused> refusal;  ///< what the statement is told in a moment

  [[nodiscard]] bool inside() const noexcept { return exempt || passed == 2 * limits.size(); }
  /// The one that it waits for, or passes next.
  [[nodiscard]] std::shared_ptr<StatementLimit>& limit() noexcept {
    return limits[passed % limits.size()];
  }
  [[nodiscard]] bool waits_for_place() const noexcept {
    return held && !refusal && !awaits_link_place && passed >= limits.size() && opens == kNever;
  }
};

}  // namespace forebay::core
