#pragma once

#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// Whether the body of a DO block changes parameters for longer than its transaction, as far as its
/// text shows: SET, RESET and set_config, also in a text that it executes. In doubt it does.
[[nodiscard]] bool block_sets(Bytes body);

}  // namespace forebay::core
