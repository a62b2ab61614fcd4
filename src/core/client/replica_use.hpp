#pragma once

#include <cstdint>
#include <memory>

#include "core/engine/buffer.hpp"
#include "core/pool/pool.hpp"
#include "core/relay/route.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

/// What a session whose reads go to replicas remembers for that.
///
/// A batch that a replica shall do is an *attempt*: its bytes stay at the front of the session's
/// stash until the replica has answered, and what the client is told waits until it is certain that
/// it is the answer. Else the primary gets the same bytes, and the client sees only that.
struct ReplicaUse {
  std::shared_ptr<Pool> reader;  ///< asked for a link, or whose link it has; null: the primary
  std::uint32_t batch = 0;       ///< bytes of the attempt; 0: there is none
  std::uint32_t sent = 0;        ///< of which: to the replica
  Route route;                   ///< of the attempt
  Instant began{};               ///< the turn in which the attempt was sent
  Stash held;                    ///< the answer, while it may be replaced
  bool for_primary = false;      ///< the batch at the front was refused by a replica
  /// On a primary's link: so many bytes to come are reads for which no replica was to be had.
  std::uint32_t only_read = 0;
  bool wrote = false;      ///< the link may write for this session
  bool unsettled = false;  ///< it wrote since `since` was set
  Instant ended{};         ///< the turn in which it did so last
  Instant since = kNever;  ///< replicas must have what was written before; kNever: it never wrote
  bool listed = false;     ///< the engine will tell it when more is known of replicas
  Instant came = kNever;   ///< the batch that waits for a replica to have that; kNever: none does
};

}  // namespace forebay::core
