#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace forebay::metrics {

/// How many bytes the character at the front has; 0 where it is no UTF-8.
std::size_t character_size(std::string_view text);

/// With each byte that is no UTF-8 as "\xff": a name may be any bytes, a label may not.
std::string valid_utf8(std::string_view text);

}  // namespace forebay::metrics
