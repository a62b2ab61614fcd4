#pragma once

#include <string>
#include <vector>

#include "forebay/base/bytes.hpp"

namespace forebay::tenant {

/// Whether a list of tables names this one. A name without schema, on either side, may be in any.
bool is_named(const std::vector<std::string>& names, Bytes schema, Bytes table);

}  // namespace forebay::tenant
