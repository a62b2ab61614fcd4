#pragma once

#include <cstdint>
#include <string>

#include "forebay/base/result.hpp"

namespace forebay::core {
struct Shared;
}  // namespace forebay::core

namespace forebay::app {

/// Whether records can be appended to the file; "" for none.
Result<void> check_audit_log(const std::string& file);

/// Appends what the workers have for the audit log, one JSON object per line, and says so in the
/// file where records were lost. Gives how many were, and counts a failure to write. The file is
/// opened each time, so that it may be renamed meanwhile. Called by the control thread, now and
/// then; workers do not wait for it.
std::uint64_t write_audit_log(core::Shared& shared, const std::string& file,
                              std::uint64_t& failures);

/// Appends to a file that others may not read. False when not all of it is written.
bool append_lines(const std::string& file, const std::string& lines);

}  // namespace forebay::app
