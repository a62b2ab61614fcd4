#pragma once

#include <array>
#include <atomic>
#include <chrono>
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
  // Of its reads, in microseconds; 0: not known.
  std::uint32_t latency = 0;  ///< as Latency::at() says
  std::uint32_t average = 0;
};

/// How long a host takes for a read: a moving average of the last ones, in which none counts for
/// more than a few times what the others took. Thread-safe; of two threads that add at the same
/// moment one may be forgotten.
class Latency {
 public:
  void add(Duration took, Instant now) noexcept;
  /// In microseconds; 0: not known.
  [[nodiscard]] std::uint32_t average() const noexcept;
  /// The same, but half as much for each kForget that nothing was added: who was slow is asked
  /// again, and what it says then counts for more.
  [[nodiscard]] std::uint32_t at(Instant now) const noexcept;

  static constexpr std::chrono::seconds kForget{1};

 private:
  std::atomic<std::uint64_t> state_{0};  ///< the average, and when it was added to
};
/// A host counts as slow that takes so many times as long as the fastest, and no less than so many
/// microseconds; else weights alone say who is to do how much.
inline constexpr std::uint32_t kSlow = 3;
inline constexpr std::uint32_t kSlowFrom = 3000;

/// The weight of a host whose share grows, within `slow_start`, to kWholeShare times its own.
inline constexpr std::uint32_t kWholeShare = 100;
[[nodiscard]] std::uint32_t share(std::uint32_t weight, std::optional<Instant> back_since,
                                  Duration slow_start, Instant now) noexcept;

/// Until when replicas count as falling behind: `now`, but where there is no primary, or it does
/// not answer, the moment at which it was last heard. Nothing is written that they could lack, and
/// reads go on.
[[nodiscard]] Instant lag_ends(const ClusterView& view, Instant now) noexcept;

/// How far replicas may be behind that are read from; zero: no limit.
struct LagLimits {
  Duration time{};
  Lsn bytes = 0;
};
/// Which limit a replica is beyond.
enum class Late : std::uint8_t { no, time, bytes };
/// Of one that `was` too late half of a limit is what counts: else it would come and go. `ends`: as
/// lag_ends() says.
[[nodiscard]] Late lateness(const HostView& host, const LagLimits& limits, Instant ends,
                            bool was) noexcept;

/// How many replicas are read from however late they are, so that not all reads fall upon the
/// primary. Of those that are too late it is the least late ones that fill up the number.
class LagFloor {
 public:
  explicit LagFloor(std::uint32_t least) noexcept : least_(least) {}
  /// One that could be read from, and how late it is.
  void add(Late late, Duration lag) noexcept;
  /// Who is too late is read from all the same with a lag of so much at most; nothing: nobody is.
  [[nodiscard]] std::optional<Duration> kept() const noexcept;

 private:
  static constexpr std::size_t kMost = 16;
  std::uint32_t least_;
  std::uint32_t in_time_ = 0;
  std::array<Duration, kMost> late_{};  ///< the least first
  std::size_t count_ = 0;
};

/// Power of two choices by weight: of two hosts, drawn so that over many turns each comes as often
/// as its weight says, the one that has less to do for its weight; what a slow host has to do
/// counts as many times as it is slower. `turn` counts up; `candidates` is not empty. Gives an
/// index into it.
[[nodiscard]] std::size_t choose(std::span<const Candidate> candidates, std::uint64_t turn);

}  // namespace forebay::routing
