#include "core/engine/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace forebay::core {

void TimerWheel::arm(Timer& timer, Instant at) {
  timer.cancel();
  timer.at_ = at;
  // What is due already is found at the next visit.
  const std::size_t slot = slot_of(std::max(tick_of(at), done_) + 1);
  slots_[slot].push_back(timer);
  used_[slot / kWord] |= std::uint64_t{1} << (slot % kWord);
}

void TimerWheel::advance(Instant now) {
  const std::int64_t last = tick_of(now);
  if (done_ < 0) done_ = last - static_cast<std::int64_t>(kSlots);
  std::int64_t tick = std::max(done_ + 1, last - static_cast<std::int64_t>(kSlots) + 1);
  done_ = std::max(done_, last);
  for (; tick <= last; ++tick) {
    const std::size_t index = slot_of(tick);
    const std::uint64_t bit = std::uint64_t{1} << (index % kWord);
    if ((used_[index / kWord] & bit) == 0) continue;
    used_[index / kWord] &= ~bit;
    Slot due;
    due.splice(due.end(), slots_[index]);
    while (!due.empty()) {
      Timer& timer = due.front();
      due.pop_front();
      if (timer.at_ <= now) {
        timer.fire_(timer.owner_);
      } else {
        slots_[index].push_back(timer);  // of a later turn of the wheel
        used_[index / kWord] |= bit;
      }
    }
  }
}

Instant TimerWheel::next(Instant now) const noexcept {
  const std::int64_t first = std::max(tick_of(now), done_) + 1;
  // Whole words of slots at a time, beginning within the word of the first one.
  std::int64_t tick = first;
  while (tick < first + static_cast<std::int64_t>(kSlots + kWord)) {
    const std::size_t slot = slot_of(tick);
    const std::uint64_t word = used_[slot / kWord] >> (slot % kWord);
    if (word != 0) return Instant(kTick * (tick + std::countr_zero(word)));
    tick += static_cast<std::int64_t>(kWord - slot % kWord);
  }
  return kNever;
}

}  // namespace forebay::core
