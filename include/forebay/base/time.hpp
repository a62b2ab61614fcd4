#pragma once

#include <chrono>

namespace forebay {

/// A moment of the monotonic clock. The core never reads a clock: every event brings its moment.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

inline constexpr Instant kNever = Instant::max();

}  // namespace forebay
