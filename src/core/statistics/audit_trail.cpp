#include "core/statistics/audit_trail.hpp"

namespace forebay::core {

void AuditTrail::follow(const config::AuditSettings& settings) {
  if (number_ > 0 && settings == settings_) return;
  settings_ = settings;
  active_ = !settings.file.empty();
  ++number_;
}

audit::Events AuditTrail::events_of(const sql::Facts& facts) const {
  if (facts.audited_by != number_) {
    facts.audited = audit::events_of(facts, settings_);
    facts.audited_by = number_;
  }
  return facts.audited;
}

StatementEntryRef AuditTrail::unknown() const {
  const audit::Events events = active_ ? audit::events_of_unknown(settings_) : 0;
  if (events == 0) return nullptr;
  StatementEntryRef entry(new StatementEntry);
  entry->audited = events;
  return entry;
}

void AuditTrail::add(AuditRecord record) {
  const std::lock_guard lock(mutex_);
  if (unwritten_.size() < kUnwrittenMax) {
    unwritten_.push_back(std::move(record));
  } else {
    ++lost_;
  }
}

std::uint64_t AuditTrail::take(std::vector<AuditRecord>& records) {
  std::vector<AuditRecord> taken;
  std::uint64_t lost = 0;
  {
    const std::lock_guard lock(mutex_);
    taken = std::exchange(unwritten_, {});
    lost = std::exchange(lost_, 0);
  }
  for (AuditRecord& record : taken) records.push_back(std::move(record));
  return lost;
}

}  // namespace forebay::core
