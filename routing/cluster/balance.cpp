#include "forebay/routing/cluster/balance.hpp"

#include <algorithm>

namespace forebay::routing {
namespace {

/// Multiples of these, modulo 2^64, fill the range evenly however many are taken, and do not keep
/// step with each other.
constexpr std::uint64_t kFirst = 0x9e3779b97f4a7c15;   // 2^64 / the golden ratio
constexpr std::uint64_t kSecond = 0x6a09e667f3bcc909;  // 2^64 * (sqrt(2) - 1)

// The place that `turn` draws in a row of so many.
std::uint64_t draw(std::uint64_t turn, std::uint64_t factor, std::uint64_t total) {
  return ((turn * factor) >> 32) * total >> 32;
}

}  // namespace

std::uint32_t share(std::uint32_t weight, std::optional<Instant> back_since, Duration slow_start,
                    Instant now) noexcept {
  const std::uint32_t whole = weight * kWholeShare;
  if (weight == 0 || !back_since || slow_start <= Duration::zero() ||
      now - *back_since >= slow_start)
    return whole;
  // What another worker saw may be later than this one's clock.
  const double part =
      std::clamp(std::chrono::duration<double>(now - *back_since) / slow_start, 0.0, 1.0);
  return std::max(1U, static_cast<std::uint32_t>(whole * part));
}

Instant lag_ends(const ClusterView& view, Instant now) noexcept {
  Instant ends = std::min(now, view.unwritable_since);
  for (const HostView& host : view.hosts) {
    const bool newest = host.role == Role::primary && host.timeline == view.timeline;
    if (!newest || host.no_writes == Why::other_system) continue;
    if (host.up) return now;
    ends = std::min(ends, host.sampled);
  }
  return ends;
}

std::size_t choose(std::span<const Candidate> candidates, std::uint64_t turn) {
  const bool all_zero = std::all_of(candidates.begin(), candidates.end(),
                                    [](const Candidate& one) { return one.weight == 0; });
  const auto weight = [&](std::size_t i) -> std::uint64_t {
    return all_zero ? 1 : candidates[i].weight;
  };
  const auto at = [&](std::uint64_t place, std::size_t without) {
    std::size_t i = 0;
    for (;; ++i) {
      if (i == without) continue;
      if (place < weight(i)) return i;
      place -= weight(i);
    }
  };
  const std::size_t none = candidates.size();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) total += weight(i);
  const std::size_t first = at(draw(turn, kFirst, total), none);
  total -= weight(first);
  if (total == 0) return first;
  const std::size_t second = at(draw(turn, kSecond, total), first);
  // Only if it has less to do even with this: else few reads at a time would not keep the shares.
  const std::uint64_t load = candidates[first].in_flight * weight(second);
  return (candidates[second].in_flight + std::uint64_t{1}) * weight(first) < load ? second : first;
}

}  // namespace forebay::routing
