#pragma once

#include "forebay/base/time.hpp"

namespace forebay::core {

/// What one worker measures of statements. Used by its thread only.
struct Measures {
  Instant now{};  ///< of the turn at hand
};

}  // namespace forebay::core
