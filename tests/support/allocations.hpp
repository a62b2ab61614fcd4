#pragma once

#include <cstdint>

namespace forebay::test {

/// How often this program has called operator new so far. Only for programs that are linked with
/// allocations.cpp.
std::uint64_t allocations() noexcept;
/// Bytes that are allocated by operator new and not freed, as the system rounds them.
std::int64_t allocated_bytes() noexcept;

}  // namespace forebay::test
