#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "forebay/base/time.hpp"
#include "metrics/json.hpp"

namespace forebay::metrics {

/// A moment of the monotonic clock as UTC.
std::string utc(Instant moment);

/// To the elements of a list, without its brackets.
void append(std::string& list, const std::string& element);

/// Builds one object.
class Object {
 public:
  Object& text(std::string_view name, std::string_view value) {
    return raw(name, json_string(value));
  }
  Object& boolean(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
  Object& number(std::string_view name, std::uint64_t value) {
    return raw(name, std::to_string(value));
  }
  /// Microseconds, as seconds.
  Object& seconds(std::string_view name, std::uint64_t microseconds) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%llu.%06llu",
                  static_cast<unsigned long long>(microseconds / 1'000'000),
                  static_cast<unsigned long long>(microseconds % 1'000'000));
    return raw(name, digits);
  }
  Object& raw(std::string_view name, std::string_view value) {
    text_ += text_.empty() ? '{' : ',';
    text_.append(json_string(name)).append(":").append(value);
    return *this;
  }
  [[nodiscard]] std::string done() const { return text_.empty() ? "{}" : text_ + '}'; }

 private:
  std::string text_;
};

}  // namespace forebay::metrics
