#pragma once

#include <string>

#include "forebay/routing/sql/shape.hpp"

namespace forebay::sql {

/// The text as libpg_query's parser can read it, with every token in the same place: comments
/// become blanks (its grammar does not look past them where it looks ahead, as in NOT IN), numbers
/// of PostgreSQL 16 and strings that are not standard become others.
std::string readable(Bytes text, StandardStrings standard);

}  // namespace forebay::sql
