#include "app/audit_log.hpp"

#include <algorithm>
#include <fstream>
#include <vector>

#include "core/engine/journal.hpp"
#include "core/engine/shared.hpp"
#include "metrics/json.hpp"

namespace forebay::app {

Result<void> check_audit_log(const std::string& file) {
  if (file.empty() || std::ofstream(file, std::ios::app)) return {};
  return failure("[audit] file: cannot write to \"" + file + "\"");
}

std::uint64_t write_audit_log(core::Shared& shared, const std::string& file) {
  std::vector<core::AuditRecord> records;
  std::uint64_t lost = 0;
  for (core::Measures& measures : shared.measures) lost += measures.audit.take(records);
  if (records.empty()) return lost;
  std::ranges::stable_sort(records, {}, [](const auto& record) { return record.statement.ended; });
  std::ofstream out(file, std::ios::app);
  for (const core::AuditRecord& record : records) out << metrics::audit_json(record) << '\n';
  if (lost > 0) out << "{\"lost\":" << lost << "}\n";
  out.flush();
  if (out) return lost;
  shared.journal.note({.weight = core::Weight::error,
                       .event = "audit_log",
                       .text = "cannot write to the audit log \"" + file +
                               "\": " + std::to_string(records.size()) + " records are not in it"});
  return lost + records.size();
}

}  // namespace forebay::app
