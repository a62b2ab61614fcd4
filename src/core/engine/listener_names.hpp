#pragma once

#include <map>
#include <mutex>
#include <string>

#include "forebay/core/io.hpp"

namespace forebay::core {

/// What the places where clients come in are called in the configuration. Thread-safe.
class ListenerNames {
 public:
  void set(ListenerId id, std::string name) {
    const std::lock_guard lock(mutex_);
    names_[id] = std::move(name);
  }
  [[nodiscard]] std::string of(ListenerId id) const {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(id);
    return found == names_.end() ? std::string() : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<ListenerId, std::string> names_;
};

}  // namespace forebay::core
