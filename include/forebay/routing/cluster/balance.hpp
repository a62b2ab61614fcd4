#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "forebay/base/time.hpp"
#include "forebay/routing/cluster/topology.hpp"

namespace forebay::routing {

/// A host that would do.
struct Candidate {
  std::size_t host = 0;
  std::uint32_t weight = 1;  ///< its share; 0: only where all have 0
  std::uint32_t in_flight = 0;
};

/// The weight of a host whose share grows, within `slow_start`, to kWholeShare times its own.
inline constexpr std::uint32_t kWholeShare = 100;
[[nodiscard]] std::uint32_t share(std::uint32_t weight, std::optional<Instant> back_since,
                                  Duration slow_start, Instant now) noexcept;

/// Until when replicas count as falling behind: `now`, but where there is no primary, or it does
/// not answer, the moment at which it was last heard. Nothing is written that they could lack, and
/// reads go on.
[[nodiscard]] Instant lag_ends(const ClusterView& view, Instant now) noexcept;

/// Power of two choices by weight: of two hosts, drawn so that over many turns each comes as often
/// as its weight says, the one that has less to do for its weight. `turn` counts up; `candidates`
/// is not empty. Gives an index into it.
[[nodiscard]] std::size_t choose(std::span<const Candidate> candidates, std::uint64_t turn);

}  // namespace forebay::routing
