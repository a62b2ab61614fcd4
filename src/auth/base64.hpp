#pragma once

#include <optional>
#include <string>

#include "forebay/base/bytes.hpp"

namespace forebay::auth {

/// RFC 4648, section 4, with padding and without line breaks.
std::string base64_encode(Bytes bytes) noexcept;
/// Takes only what base64_encode makes: no blanks, full padding, unused bits zero. A text that was
/// changed thus never means the same. Nothing otherwise.
std::optional<std::string> base64_decode(Bytes text) noexcept;

}  // namespace forebay::auth
