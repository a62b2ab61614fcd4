#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <string>

namespace forebay::core {

/// Names that may be values of a label: the first so many that come, which stay. All others are
/// one, so that what is counted of them never goes down. Thread-safe.
class LabelNames {
 public:
  static constexpr const char* kOther = "other";

  explicit LabelNames(std::size_t max) : max_(max) {}

  [[nodiscard]] std::string of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (names_.contains(name)) return name;
    if (names_.size() >= max_) return kOther;
    names_.insert(name);
    return name;
  }

 private:
  const std::size_t max_;
  std::mutex mutex_;
  std::set<std::string> names_;
};

}  // namespace forebay::core
