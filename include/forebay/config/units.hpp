#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "forebay/base/result.hpp"
#include "forebay/base/strong.hpp"

/// Times and sizes as people write them. Reading and writing are each other's inverse:
/// `parse_x(format_x(v)) == v` for every value that can be written.
namespace forebay::config {

using ByteSize = Strong<struct ByteSizeTag, std::uint64_t>;

/// A whole number with one of the units ms, s, min, h, d; "0" needs none. Whatever does not fit
/// into milliseconds of 64 bits is an error. The error's text does not repeat the input.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// In the largest unit that loses nothing: "500ms", "90s", "2min", "0".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds time);

/// A whole number with one of the units B, KiB, MiB, GiB, TiB (powers of 1024) or kB, MB, GB, TB
/// (powers of 1000); "0" needs none. The error's text does not repeat the input.
[[nodiscard]] Result<ByteSize> parse_size(std::string_view text);

/// In the largest unit that loses nothing, powers of 1024 first: "64KiB", "16kB", "1B", "0".
[[nodiscard]] std::string format_size(ByteSize size);

}  // namespace forebay::config
