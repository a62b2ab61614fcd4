#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "forebay/base/result.hpp"

namespace forebay::config {

/// A regular expression in RE2's syntax: the time that it takes grows with the text's length, and
/// with nothing else that a client decides. It sees bytes, so that no invalid character hides
/// what stands around it. Immutable; any thread.
class Pattern {
 public:
  /// Matches nothing.
  Pattern() = default;
  [[nodiscard]] static Result<Pattern> compile(std::string_view text);

  [[nodiscard]] bool empty() const noexcept { return compiled_ == nullptr; }
  /// Anywhere in `text`.
  [[nodiscard]] bool matches(std::string_view text) const;
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  bool operator==(const Pattern& other) const { return text_ == other.text_; }

 private:
  struct Compiled;
  std::string text_;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace forebay::config
