#include "core/explain/plan_budget.hpp"

#include <algorithm>

namespace forebay::core {

std::string_view PlanBudget::take(Key key, Instant now, std::uint32_t per_minute) {
  const std::lock_guard lock(mutex_);
  std::erase_if(asked_, [&](const Asked& one) { return now - one.at >= kShapeEvery; });
  const auto same = std::ranges::find(asked_, key, &Asked::key);
  if (same != asked_.end()) return "one of its shape was asked for less than 10 minutes ago";
  if (count_ == 0 || now - minute_ >= std::chrono::minutes(1)) {
    minute_ = now;
    count_ = 0;
  }
  if (count_ >= per_minute) return "slow_query_explains_per_minute is reached";
  ++count_;
  if (asked_.size() >= kShapesMax) asked_.erase(asked_.begin());
  asked_.push_back({key, now});
  return {};
}

void PlanBudget::give_back(Key key) {
  const std::lock_guard lock(mutex_);
  if (std::erase_if(asked_, [&](const Asked& one) { return one.key == key; }) > 0 && count_ > 0) {
    --count_;
  }
}

}  // namespace forebay::core
