#pragma once

#include <vector>

#include "core/statistics/audit_trail.hpp"
#include "core/statistics/slow_samples.hpp"
#include "core/statistics/statement_table.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

/// What one worker measures of statements. Outlives the worker, for whoever reads it.
struct Measures {
  Instant now{};  ///< of the turn at hand
  StatementTable statements;
  SlowSamples slow;
  AuditTrail audit;
  /// Of the event at hand: nobody has said yet whose they are.
  std::vector<SlowSample> fresh;
  bool full_text = false;  ///< samples show literals
  bool explains = false;   ///< samples have plans
};

}  // namespace forebay::core
