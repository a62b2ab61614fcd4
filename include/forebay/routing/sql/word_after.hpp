#pragma once

#include "forebay/routing/sql/shape.hpp"

namespace forebay::sql {

/// Where the name stands that follows the first of these key words ("execute", in lower case) in a
/// part of a text, outside of parentheses: of `EXPLAIN (ANALYZE) EXECUTE "a b" (1)` it is "a b"
/// with its quotes, of U&"..." also what UESCAPE says. Empty where there is none.
Span name_after(Bytes text, Span part, Bytes key_word, StandardStrings standard) noexcept;

/// WITH, or WITH RECURSIVE, that this part of a text begins with; empty where it does not.
Span with_words(Bytes text, Span part) noexcept;

}  // namespace forebay::sql
