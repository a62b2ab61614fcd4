#pragma once

#include "routing/sql/raw_tree.hpp"

/// What may be done with a node of a raw parse tree, for those who walk it.
namespace forebay::sql {

/// Node types that raw_expression_tree_walker of PostgreSQL 15 knows; on any other it would raise
/// an error of PostgreSQL's, for which nobody here is prepared.
bool walker_knows(NodeTag tag) noexcept;

/// Node types with nothing below them that calls a function or reads a table.
bool is_leaf(NodeTag tag) noexcept;

}  // namespace forebay::sql
