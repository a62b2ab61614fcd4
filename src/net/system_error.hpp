#pragma once

#include <string>

namespace forebay::net {

/// What an errno means, for people: "connection refused". Thread-safe, unlike strerror.
std::string system_reason(int error);

}  // namespace forebay::net
