#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace forebay::core {

/// Why a client keeps its link beyond the transaction. A set of bits.
enum class PinReason : std::uint16_t {
  none = 0,
  session_mode = 1,     ///< pool_mode = "session", or a replication connection
  large_statement = 2,  ///< a prepared statement too large to be kept in memory
  large_unnamed = 4,    ///< the same, of the unnamed one
  temporary = 8,        ///< a temporary table, view, function ...
  held_cursor = 16,     ///< a cursor WITH HOLD
  listen = 32,          ///< LISTEN
  advisory_lock = 64,   ///< an advisory lock of the session
  library = 128,        ///< LOAD
  sequence = 256,       ///< currval, lastval: what they say is the session's own
  setting = 512,        ///< a parameter was given a value that its statement does not show
  unknown = 1024,       ///< a statement that could not be understood
  looking = 2048,       ///< the server is being asked which of these hold
};

using Pins = std::uint16_t;

constexpr Pins bit(PinReason reason) noexcept {
  return static_cast<Pins>(reason);
}

/// What operators read, by the number of the bit.
inline constexpr std::array<std::string_view, 12> kPinNames = {
    "session_mode",  "large_statement", "large_unnamed", "temporary", "held_cursor", "listen",
    "advisory_lock", "library",         "sequence",      "setting",   "unknown",     "looking"};
static_assert(bit(PinReason::looking) == 1 << (kPinNames.size() - 1));

/// The same for clients, in a sentence.
inline constexpr std::array<std::string_view, 12> kPinCauses = {
    "session mode",
    "a large prepared statement",
    "a large unnamed statement",
    "a temporary object",
    "a cursor WITH HOLD",
    "LISTEN",
    "an advisory lock of the session",
    "LOAD",
    "currval or lastval",
    "a parameter whose value the statement does not show",
    "a change of the session that cannot be followed",
    "a statement that may have changed the session"};

/// Those of which the server itself can say whether they hold: see `kInventory`.
inline constexpr Pins kVisiblePins = bit(PinReason::temporary) | bit(PinReason::held_cursor) |
                                     bit(PinReason::listen) | bit(PinReason::advisory_lock);
/// Those that a rollback takes back.
inline constexpr Pins kTransactionalPins =
    bit(PinReason::temporary) | bit(PinReason::held_cursor) | bit(PinReason::listen);
/// Those that leave something on the link.
inline constexpr Pins kResiduePins = kVisiblePins | bit(PinReason::library) |
                                     bit(PinReason::sequence) | bit(PinReason::setting) |
                                     bit(PinReason::unknown) | bit(PinReason::looking);

}  // namespace forebay::core
