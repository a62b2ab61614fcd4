#include "app/audit_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/engine/journal.hpp"
#include "core/engine/shared.hpp"
#include "forebay/net/descriptor.hpp"
#include "metrics/json.hpp"

namespace forebay::app {
namespace {

/// Others may not read who did what.
net::Descriptor opened(const std::string& file) {
  return net::Descriptor(
      ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
}

}  // namespace

// At once, so that lines of two processes do not mix while one takes over from the other.
bool append_lines(const std::string& file, const std::string& lines) {
  const net::Descriptor out = opened(file);
  return out &&
         ::write(out.get(), lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
}

Result<void> check_audit_log(const std::string& file) {
  if (file.empty() || opened(file)) return {};
  return failure("[audit] file: cannot write to \"" + file + "\"");
}

std::uint64_t write_audit_log(core::Shared& shared, const std::string& file,
                              std::uint64_t& failures) {
  std::vector<core::AuditRecord> records;
  std::uint64_t lost = 0;
  for (core::Measures& measures : shared.measures) lost += measures.audit.take(records);
  if (records.empty()) return lost;
  std::ranges::stable_sort(records, {}, [](const auto& record) { return record.statement.ended; });
  std::string lines;
  for (const core::AuditRecord& record : records) lines += metrics::audit_json(record) + '\n';
  if (lost > 0) lines += "{\"lost\":" + std::to_string(lost) + "}\n";
  if (append_lines(file, lines)) return lost;
  ++failures;
  shared.journal.note({.weight = core::Weight::error,
                       .event = "audit_log",
                       .text = "cannot write to the audit log \"" + file +
                               "\": " + std::to_string(records.size()) + " records are not in it"});
  return lost + records.size();
}

}  // namespace forebay::app
