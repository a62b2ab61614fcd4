#pragma once

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"

namespace forebay::app {

/// Asks a running Forebay's HTTP listener for `path` ("/livez", "/readyz"), for health checks where
/// no other program is at hand. The error says what was answered, or why nothing was.
Result<void> ask_health(const Endpoint& http, const std::string& path);

}  // namespace forebay::app
