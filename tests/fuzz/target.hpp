#pragma once

#include <cstddef>
#include <cstdint>

#include "forebay/base/bytes.hpp"

/// A fuzz target: does something with the bytes and ends the program (FB_ASSERT, a sanitizer) when
/// that was wrong. Returns 0. Keeps nothing from one call to the next.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace forebay::fuzz {

inline Bytes bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Whether `part` is empty or stands inside `whole`: what a view of a message must be.
inline bool stands_in(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace forebay::fuzz
