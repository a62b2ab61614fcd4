#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/statistics/slow_samples.hpp"
#include "core/statistics/statement_entry.hpp"
#include "forebay/routing/audit/events.hpp"

namespace forebay::core {

/// One statement of the audit log. Its text is that of its shape: no value, and no secret.
struct AuditRecord {
  audit::Events events = 0;
  SlowSample statement;     ///< whose it was, where from, and what came of it
  std::string reason;       ///< why it was refused
  std::string rule;         ///< the name of that of [[rules]]; empty: none
  bool unanswered = false;  ///< the server, or the client, was gone before: what it did is unknown
};

/// The audit log of one worker: what it has for the file. Added by the worker, taken by any thread.
class AuditTrail {
 public:
  /// So many wait to be written; what comes then is lost, and counted.
  static constexpr std::size_t kUnwrittenMax = 10'000;

  // ---- called by the worker

  void follow(const config::AuditSettings& settings);
  [[nodiscard]] bool active() const noexcept { return active_; }
  [[nodiscard]] bool records_refusals() const noexcept { return active_ && settings_.refusals; }
  [[nodiscard]] bool records_rules() const noexcept { return active_ && settings_.rules; }
  /// What is to be written of texts with these facts, which remember it.
  [[nodiscard]] audit::Events events_of(const sql::Facts& facts) const;
  /// What stands for a text that nobody could look at; null where it is not written.
  [[nodiscard]] StatementEntryRef unknown() const;

  /// Of the event at hand: nobody has said yet whose they are.
  [[nodiscard]] std::vector<AuditRecord>& fresh() noexcept { return fresh_; }
  void add(AuditRecord record);

  // ---- called by any thread

  /// Those since the last call. Gives how many more there were.
  std::uint64_t take(std::vector<AuditRecord>& records);

 private:
  config::AuditSettings settings_;
  std::uint32_t number_ = 0;  ///< of the settings
  bool active_ = false;
  std::vector<AuditRecord> fresh_;

  std::mutex mutex_;
  std::vector<AuditRecord> unwritten_;
  std::uint64_t lost_ = 0;
};

}  // namespace forebay::core
