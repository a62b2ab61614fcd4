#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "forebay/base/assert.hpp"

namespace forebay::net {

/// Names one stay of a stream in a reactor; what epoll gives back with each event. A name whose
/// stay is over finds nothing, so events and calls that come late harm nobody: that is what makes
/// destroying, detaching and descriptor reuse within a batch of events safe.
class SlotId {
 public:
  SlotId() = default;
  SlotId(std::uint32_t index, std::uint32_t generation) : index_(index), generation_(generation) {}

  static SlotId from_key(std::uint64_t key) {
    return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
  }
  [[nodiscard]] std::uint64_t key() const noexcept {
    return static_cast<std::uint64_t>(generation_) << 32 | index_;
  }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  /// Generation 0 is never a stream's: what else the reactor watches has it.
  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }

 private:
  std::uint32_t index_ = 0;
  std::uint32_t generation_ = 0;
};

/// The streams in a reactor.
template <class Stream>
class Slots {
 public:
  struct Slot {
    Stream* stream = nullptr;
    std::uint32_t generation = 1;
    bool unanswered = false;  ///< sent to, and heard nothing since (PeerWatch)
    std::uint8_t silent = 0;  ///< periods in which the peer acknowledged nothing
  };

  SlotId add(Stream& stream) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.stream = &stream;
    slot.unanswered = false;
    slot.silent = 0;
    return {index, slot.generation};
  }

  void remove(SlotId id) {
    FB_ASSERT(find(id) != nullptr);
    Slot& slot = slots_[id.index()];
    slot.stream = nullptr;
    if (++slot.generation == 0) slot.generation = 1;
    free_.push_back(id.index());
  }

  [[nodiscard]] Stream* find(SlotId id) const noexcept {
    if (id.index() >= slots_.size()) return nullptr;
    const Slot& slot = slots_[id.index()];
    return slot.generation == id.generation() ? slot.stream : nullptr;
  }

  /// Of a stream that is here.
  [[nodiscard]] Slot& at(SlotId id) noexcept { return slots_[id.index()]; }

  [[nodiscard]] std::vector<Slot>& all() noexcept { return slots_; }
  [[nodiscard]] std::size_t size() const noexcept { return slots_.size() - free_.size(); }

 private:
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace forebay::net
