#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace forebay::config {

/// The most parts a dotted key may have, and the most values that may stand inside one another.
/// The TOML library recurses over both, and knows a limit for the second only.
inline constexpr std::size_t kMaxNesting = 32;

/// Where in a TOML text a key gets more than kMaxNesting parts, or nothing. In what is not TOML
/// it may find none or another place than the library would.
[[nodiscard]] std::optional<std::size_t> find_deep_key(std::string_view text);

}  // namespace forebay::config
