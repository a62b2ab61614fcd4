#pragma once

/// PostgreSQL's parse tree, from the headers of its server (postgresql-server-dev). Only structs
/// and what reads them: its memory functions and its errors must not be used from here, since
/// libpg_query keeps their state for each thread and these headers do not know.
#define text varlena_text  // postgres.h has a type of this name
extern "C" {
#include <postgres.h>

#include <catalog/pg_class.h>
#include <nodes/nodeFuncs.h>
#include <nodes/parsenodes.h>
}

#undef text
// Macros of postgres.h that take everybody's names.
#undef printf
#undef fprintf
#undef sprintf
#undef snprintf
#undef vprintf
#undef vfprintf
#undef vsprintf
#undef vsnprintf
#undef strerror
#undef gettext
#undef Min
#undef Max
