#pragma once

#include <cstdint>
#include <string>

#include "core/engine/journal.hpp"

namespace forebay::core {
struct Shared;
}  // namespace forebay::core

namespace forebay::app {

/// Appends what the workers found slow to the file `slow_query_log`, one JSON object per line. The
/// file is opened each time, so that it may be renamed meanwhile. Called by the control thread,
/// now and then; workers do not wait for it. Gives how many are not in it, and
/// counts a failure to write.
std::uint64_t write_slow_log(core::Shared& shared, const std::string& file,
                             std::uint64_t& failures);

}  // namespace forebay::app
