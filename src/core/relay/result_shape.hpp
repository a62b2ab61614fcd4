#pragma once

#include <cstdint>

#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// What the rows of a statement look like, as one number: the columns' names and types, but not
/// their formats, nor which table they come from. PostgreSQL compares the same before it says
/// "cached plan must not change result type".
using ResultShape = std::uint64_t;

inline constexpr ResultShape kUntold = 0;      ///< nobody has said
inline constexpr ResultShape kNoRows = 1;      ///< NoData
inline constexpr ResultShape kUnreadable = 2;  ///< too large to be looked at, or malformed

/// Of a RowDescription's body, which is whole.
ResultShape result_shape(Bytes row_description);

}  // namespace forebay::core
