#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/statistics/tenant_learning.hpp"
#include "forebay/config/rules.hpp"
#include "forebay/config/tenants.hpp"

namespace forebay::core {
class Journal;
}  // namespace forebay::core

namespace forebay::app {

/// What a tenant ("*": all of them) was seen to do, as rules that close everything else. They only
/// count (dry_run) until somebody who has read them says otherwise.
[[nodiscard]] std::vector<config::Rule> learned_rules(const std::string& tenant,
                                                      const core::Learned& learned,
                                                      const config::TenantSettings& settings);

/// [tenants] learn_file: written anew when something new was seen, and always there as a whole.
/// What an earlier process has left there is kept beside it, as NAME.1764313200 (the time). Called
/// by the control thread.
class LearnFile {
 public:
  void write(const core::TenantLearnings& learnings, const config::TenantSettings& settings,
             core::Journal& journal);
  /// Times that it could not be written.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

 private:
  std::uint64_t written_ = 0;  ///< TenantLearnings::changes() that are in it
  std::uint64_t failures_ = 0;
  bool begun_ = false;
  bool failed_ = false;  ///< and said so
};

}  // namespace forebay::app
