#pragma once

#include <cstdint>
#include <string>

#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// What code does to its session that outlives its transaction. A set of bits.
using Effects = std::uint8_t;
/// The server can be asked for what has come of it: temporary objects, cursors WITH HOLD, advisory
/// locks, LISTEN, prepared statements.
inline constexpr Effects kMayLeave = 1;
inline constexpr Effects kMaySet = 2;   ///< parameters
inline constexpr Effects kMayStay = 4;  ///< what nobody can find, nor take away: LOAD, setseed
inline constexpr Effects kMayNotify = 8;

/// Whether the body of a DO block changes parameters for longer than its transaction, as far as its
/// text shows: SET, RESET and set_config, also in a text that it executes. In doubt it does.
[[nodiscard]] bool block_sets(Bytes body);

/// What the text of CREATE FUNCTION shows that the function does. Of a text that it puts together
/// only the beginning counts: it is run often, and not everything that may be a SET is one. The
/// same is asked of the catalog: see `kEffectsQuestion`.
[[nodiscard]] Effects code_effects(Bytes code);

/// The word at the front of `rest`, which is taken off, in small letters; a sign is a word. Blanks
/// and comments are skipped. Empty at the end.
[[nodiscard]] std::string next_code_word(Bytes& rest);

}  // namespace forebay::core
