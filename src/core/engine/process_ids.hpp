#pragma once

#include <bit>
#include <cstdint>

#include "core/pool/ticket.hpp"

namespace forebay::core {

/// The process ids that clients are given (manual, "Canceling Requests in Progress"): they say
/// where the client is, so that a cancel request needs no table. Of the 31 bits of a positive
/// number the lowest are the session's slot, those above it the worker, as many as there are
/// workers for, and the highest the node, where several share an address (`peer_id`). What is left
/// is the slot's generation, which begins where the id is that of no server's process.
class ProcessIds {
 public:
  static constexpr std::uint32_t kPeersMax = 31;
  /// Of a node that has peers.
  static constexpr std::uint32_t kWorkersMax = 64;

  /// `peer`: this node; 0 where there are no others.
  ProcessIds(std::size_t workers, std::uint32_t peer) noexcept
      : worker_bits_(static_cast<std::uint32_t>(std::bit_width(workers - 1))), peer_(peer) {}

  [[nodiscard]] std::uint32_t of(SessionKey key) const noexcept {
    const std::uint32_t generation = key.generation % generations();
    const std::uint32_t place =
        ((generation << worker_bits_) + key.worker.value()) << kSlotBits | key.slot;
    return peer_ << kPeerShift | place;
  }
  /// No process of a server's has this id, or a higher one: Linux's PID_MAX_LIMIT. (Those of other
  /// systems are lower; where one is not, the server still takes it for its own.)
  static constexpr std::uint32_t kServersEnd = 1u << 22;
  /// The next generation of a slot.
  [[nodiscard]] std::uint32_t next_generation(SessionKey key) const noexcept {
    do {
      ++key.generation;
    } while (of(key) < kServersEnd);
    return key.generation;
  }
  /// How many a slot has in turn.
  [[nodiscard]] std::uint32_t generations() const noexcept {
    return 1u << ((peer_ == 0 ? kBits : kPeerShift) - kSlotBits - worker_bits_);
  }
  /// Of which node an id is; that of this one where there are no others.
  [[nodiscard]] std::uint32_t peer(std::uint32_t id) const noexcept {
    return peer_ == 0 ? 0 : id >> kPeerShift;
  }
  [[nodiscard]] std::uint32_t own_peer() const noexcept { return peer_; }
  [[nodiscard]] std::uint32_t worker(std::uint32_t id) const noexcept {
    return (id >> kSlotBits) & ((1u << worker_bits_) - 1);
  }
  [[nodiscard]] static std::uint32_t slot(std::uint32_t id) noexcept { return id & kLastSlot; }

  static constexpr std::uint32_t kSlotBits = 20;
  static constexpr std::uint32_t kLastSlot = (1u << kSlotBits) - 1;

 private:
  static constexpr std::uint32_t kBits = 31;
  static constexpr std::uint32_t kPeerShift = 26;
  static_assert(std::bit_width(kPeersMax) == kBits - kPeerShift);
  static_assert(std::bit_width(kWorkersMax - 1) == kPeerShift - kSlotBits);

  std::uint32_t worker_bits_;
  std::uint32_t peer_;
};

}  // namespace forebay::core
