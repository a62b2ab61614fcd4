#pragma once

#include <string>

#include "core/relay/statement_catalog.hpp"

namespace forebay::core {

/// The definition of a statement of the protocol, with these types of its parameters.
std::string with_types(const Statement& statement, Bytes types);

}  // namespace forebay::core
