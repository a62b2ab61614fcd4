#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/statistics/audit_trail.hpp"
#include "core/statistics/slow_samples.hpp"

namespace forebay::core {
struct Shared;
}  // namespace forebay::core

namespace forebay::metrics {

struct Process;

/// A string as JSON; what is no UTF-8 shows as U+FFFD.
std::string json_string(std::string_view text);

/// How shapes are written.
std::string hexadecimal(std::uint64_t value);

/// The process, its pools, and what they did, as JSON: for the status page.
std::string pools_json(const core::Shared& shared, const Process& process);
/// The hosts of every database: what they are, since when, and how links to them fared.
std::string hosts_json(core::Shared& shared, const Process& process);
/// The first statements by some order, as JSON; empty when `order` is none.
std::string statements_json(const core::Shared& shared, std::string_view order, std::size_t limit);
/// Samples of slow statements, the newest first.
std::string slow_json(const core::Shared& shared, std::size_t limit);
/// One of them, in one line.
std::string sample_json(const core::SlowSample& sample);
/// A record of the audit log, likewise.
std::string audit_json(const core::AuditRecord& record);

}  // namespace forebay::metrics
