#include "forebay/routing/cluster/balance.hpp"

#include <algorithm>

namespace forebay::routing {
namespace {

/// Multiples of these, modulo 2^64, fill the range evenly however many are taken, and do not keep
/// step with each other.
constexpr std::uint64_t kFirst = 0x9e3779b97f4a7c15;   // 2^64 / the golden ratio
constexpr std::uint64_t kSecond = 0x6a09e667f3bcc909;  // 2^64 * (sqrt(2) - 1)

/// An average is of about so many answers, and one counts for so many times it at most, and this.
constexpr std::uint64_t kMemory = 16;
constexpr std::uint64_t kOneCounts = 4;
constexpr std::uint64_t kRough = 1000;  // microseconds
constexpr std::uint64_t kSlowest = 1000;

// The place that `turn` draws in a row of so many.
std::uint64_t draw(std::uint64_t turn, std::uint64_t factor, std::uint64_t total) {
  return ((turn * factor) >> 32) * total >> 32;
}

// How many times as long as the fastest it takes, where that matters.
std::uint64_t slowness(std::uint32_t latency, std::uint32_t fastest) {
  const bool slow = latency >= kSlowFrom && latency / kSlow >= fastest;
  return slow && fastest > 0 ? std::min<std::uint64_t>(latency / fastest, kSlowest) : 1;
}

std::uint32_t milliseconds_of(Instant now) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
}

// For how many kForget nothing was added.
std::uint32_t steps_since(std::uint64_t state, std::uint32_t now) {
  constexpr std::uint32_t kStep = std::chrono::milliseconds(Latency::kForget).count();
  // What another worker saw may be later than this one's clock.
  const auto age = static_cast<std::int32_t>(now - static_cast<std::uint32_t>(state));
  return age > 0 ? std::min(static_cast<std::uint32_t>(age) / kStep, 31U) : 0;
}

}  // namespace

void Latency::add(Duration took, Instant now) noexcept {
  constexpr std::int64_t kMost = 1 << 30;
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  auto sample = static_cast<std::uint64_t>(std::clamp<std::int64_t>(micros, 1, kMost));
  const std::uint32_t moment = milliseconds_of(now);
  const std::uint64_t state = state_.load(std::memory_order_relaxed);
  const std::uint32_t steps = steps_since(state, moment);
  const std::uint64_t memory = std::max<std::uint64_t>(kMemory >> steps, 1);
  std::uint64_t average = state >> 32;
  if (average > 0 && memory > 1) {
    sample = std::min(sample, (average * kOneCounts << steps) + kRough);
    average = (average * (memory - 1) + sample + memory / 2) / memory;
  } else {
    // The first one, in a while: it may have found nothing in any cache, and makes nobody slow.
    average = std::min<std::uint64_t>(sample, kSlowFrom - 1);
  }
  state_.store(average << 32 | moment, std::memory_order_relaxed);
}

std::uint32_t Latency::average() const noexcept {
  return static_cast<std::uint32_t>(state_.load(std::memory_order_relaxed) >> 32);
}

std::uint32_t Latency::at(Instant now) const noexcept {
  const std::uint64_t state = state_.load(std::memory_order_relaxed);
  return static_cast<std::uint32_t>(state >> 32) >> steps_since(state, milliseconds_of(now));
}

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

Late lateness(const HostView& host, const LagLimits& limits, Instant ends, bool was) noexcept {
  const int share = was ? 2 : 1;
  const Duration time = limits.time / share;
  if (limits.time > Duration::zero() && host.lag(ends) > time) return Late::time;
  if (limits.bytes > 0 && (!host.bytes_behind || *host.bytes_behind > limits.bytes / share)) {
    return Late::bytes;
  }
  return Late::no;
}

void LagFloor::add(Late late, Duration lag) noexcept {
  if (late == Late::no) {
    ++in_time_;
    return;
  }
  const auto at = std::upper_bound(late_.begin(), late_.begin() + count_, lag);
  if (at == late_.end()) return;
  count_ = std::min(count_ + 1, kMost);
  std::move_backward(at, late_.begin() + count_ - 1, late_.begin() + count_);
  *at = lag;
}

std::optional<Duration> LagFloor::kept() const noexcept {
  if (in_time_ >= least_ || count_ == 0) return std::nullopt;
  return late_[std::min<std::size_t>(least_ - in_time_, count_) - 1];
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
  std::uint32_t fastest = 0;
  for (const Candidate& one : candidates) {
    if (one.average > 0 && (fastest == 0 || one.average < fastest)) fastest = one.average;
  }
  const auto load = [&](std::size_t i) {
    return (candidates[i].in_flight + std::uint64_t{1}) * slowness(candidates[i].latency, fastest);
  };
  return load(second) * weight(first) < (load(first) - 1) * weight(second) ? second : first;
}

}  // namespace forebay::routing
