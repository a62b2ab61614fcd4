#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "forebay/base/time.hpp"

namespace forebay::core {

/// Something with a deadline. Owned by whoever waits; cancels itself when it goes.
class Timer {
 public:
  /// `fire(owner)` is called once when the deadline has passed.
  Timer(void (*fire)(void*), void* owner) noexcept : fire_(fire), owner_(owner) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  [[nodiscard]] bool armed() const noexcept { return hook_.is_linked(); }
  void cancel() noexcept { hook_.unlink(); }
  /// The deadline, while it is armed.
  [[nodiscard]] Instant at() const noexcept { return at_; }

 private:
  friend class TimerWheel;
  boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>
      hook_;
  Instant at_ = kNever;
  void (*fire_)(void*);
  void* owner_;
};

/// The deadlines of one worker: arming and cancelling cost nothing worth mention, and no clock or
/// timer of the system is touched. Deadlines are kept to within kTick.
class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(10);

  /// Arms (or moves) a timer.
  void arm(Timer& timer, Instant at);
  /// Fires everything that is due. Timers may be armed and cancelled meanwhile.
  void advance(Instant now);
  /// No later than the earliest deadline; kNever when nothing is armed. May be early, by a turn of
  /// the wheel at most.
  [[nodiscard]] Instant next(Instant now) const noexcept;

 private:
  using Slot = boost::intrusive::list<
      Timer, boost::intrusive::member_hook<Timer, decltype(Timer::hook_), &Timer::hook_>,
      boost::intrusive::constant_time_size<false>>;
  static constexpr std::size_t kSlots = 1024;  ///< a power of two
  static constexpr std::size_t kWord = 64;

  static std::size_t slot_of(std::int64_t tick) noexcept {
    return static_cast<std::size_t>(tick) % kSlots;
  }
  [[nodiscard]] static std::int64_t tick_of(Instant at) noexcept {
    return at.time_since_epoch() / kTick;
  }

  std::array<Slot, kSlots> slots_;
  /// Slots that may hold something: set when a timer is armed, cleared when the slot is visited.
  std::array<std::uint64_t, kSlots / kWord> used_{};
  std::int64_t done_ = -1;  ///< every tick up to this one was visited
};

}  // namespace forebay::core
