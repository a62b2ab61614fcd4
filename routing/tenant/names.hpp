#pragma once

#include "forebay/base/bytes.hpp"

namespace forebay::tenant {

/// Functions of PostgreSQL's, and of extensions that come with it, that run SQL given as a text or
/// read what no statement names: tables as XML, files, large objects, other servers, sessions.
bool hides_what_it_reads(Bytes function) noexcept;

/// Functions of PostgreSQL's that change what outlives their call: a setting, a sequence, a lock.
bool leaves_something(Bytes function) noexcept;

/// PostgreSQL's own: one that is named without schema is in pg_catalog, before any other.
bool is_catalog(Bytes schema, Bytes relation) noexcept;

/// Catalogs and views that show rows of tables (pg_stats), or what other sessions do and hold.
bool shows_others(Bytes relation) noexcept;

}  // namespace forebay::tenant
