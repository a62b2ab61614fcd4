#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "core/engine/journal.hpp"

namespace forebay::test {

/// Keeps what was noted, as "event: text".
class ListJournal final : public core::Journal {
 public:
  void note(const core::Fact& fact) override {
    const std::lock_guard lock(mutex_);
    facts_.push_back(std::string(fact.event) + ": " + fact.text);
  }
  [[nodiscard]] std::vector<std::string> facts() const {
    const std::lock_guard lock(mutex_);
    return facts_;
  }
  [[nodiscard]] std::size_t count(std::string_view event) const {
    std::size_t count = 0;
    for (const std::string& fact : facts()) count += fact.starts_with(std::string(event) + ":");
    return count;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> facts_;
};

}  // namespace forebay::test
