#pragma once

#include <cstdint>
#include <memory>

#include "forebay/routing/rules/rule_set.hpp"

namespace forebay::core {

/// Which rules match a text, remembered with what is prepared of it.
struct RulesMatched {
  rules::Mask mask = 0;
  std::uint32_t serial = 0;  ///< of the RuleSet that was asked; 0: none was
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
