#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "forebay/routing/rules/rule_set.hpp"

namespace forebay::core {

/// Which rules match a text, remembered with what is prepared of it.
struct RulesMatched {
  rules::Mask mask = 0;
  std::uint32_t serial = 0;  ///< of the RuleSet that was asked; 0: none was
};

/// What runs on a link counts for these rules, until it is answered.
class RulePlaces {
 public:
  explicit RulePlaces(std::shared_ptr<const rules::RuleSet> set) noexcept : set_(std::move(set)) {}
  RulePlaces(const RulePlaces&) = delete;
  RulePlaces& operator=(const RulePlaces&) = delete;
  ~RulePlaces() {
    for (; held_ != 0; held_ &= held_ - 1) {
      set_->hits(static_cast<std::size_t>(std::countr_zero(held_))).leave();
    }
  }
  [[nodiscard]] bool of(const rules::RuleSet& set) const noexcept { return set_.get() == &set; }
  /// False: as many run as may.
  [[nodiscard]] bool enter(std::size_t i) noexcept {
    const rules::Mask bit = rules::Mask{1} << i;
    if ((held_ & bit) == 0 && !set_->hits(i).enter((*set_)[i].max_statements)) return false;
    held_ |= bit;
    return true;
  }

 private:
  std::shared_ptr<const rules::RuleSet> set_;
  rules::Mask held_ = 0;
};

/// The rules for statements that may concern one session.
struct SessionRules {
  std::shared_ptr<const rules::RuleSet> set;
  rules::Mask mine = 0;  ///< never 0
  RulesMatched unnamed;  ///< by the unnamed prepared statement

  /// Whether some of them limit the time of a statement.
  [[nodiscard]] bool time() const noexcept { return (mine & set->timing()) != 0; }
};

}  // namespace forebay::core
