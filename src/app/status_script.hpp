#pragma once

#include <string_view>

namespace forebay::app {

/// What makes the status page live.
extern const std::string_view kStatusScript;

}  // namespace forebay::app
