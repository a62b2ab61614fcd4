#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "config/document.hpp"
#include "config/problems.hpp"

namespace forebay::config {

/// What every reader of a value gets: the world, and a place to complain. Knows which key is being
/// read, so that complaints begin with its name.
class Reading {
 public:
  Reading(const Environment& environment, Problems& problems)
      : environment_(environment), problems_(problems) {}

  /// From now on complaints are about `key` in `section`.
  void enter(std::string_view section, std::string_view key) { subject_ = subject(section, key); }

  /// The value has the wrong type: `form` says the right one, with an example.
  void expected(const Value& value, std::string_view form) {
    refuse(value.at,
           "expected " + std::string(form) + ", but this is " + std::string(value.kind()));
  }
  /// The value has the right type and is wrong all the same.
  void refuse(Position at, const std::string& why) {
    refused_.insert(subject_);
    problems_.error(at, subject_ + why);
  }
  /// Whether the key is in the file with a value that was complained of: the model then holds
  /// something that nobody wrote, and nothing should be concluded from it.
  [[nodiscard]] bool refused(std::string_view section, std::string_view key) const {
    return refused_.contains(subject(section, key));
  }

  [[nodiscard]] const Environment& environment() const noexcept { return environment_; }
  [[nodiscard]] Problems& problems() noexcept { return problems_; }

 private:
  static std::string subject(std::string_view section, std::string_view key) {
    return "[" + std::string(section) + "] " + std::string(key) + ": ";
  }

  const Environment& environment_;
  Problems& problems_;
  std::string subject_;
  std::set<std::string> refused_;
};

}  // namespace forebay::config
