#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/config/load.hpp"

namespace forebay::config {

/// A place in the file, both from 1.
struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  auto operator<=>(const Position&) const = default;
};

/// The place of a byte of a text in UTF-8.
[[nodiscard]] Position position_at(std::string_view text, std::size_t offset);

/// Collects what is wrong in the order in which it is found; hands it out by place.
class Problems {
 public:
  explicit Problems(std::string source) : source_(std::move(source)) {}

  void error(Position at, std::string message) { errors_.push_back(make(at, std::move(message))); }
  void warning(Position at, std::string message) {
    warnings_.push_back(make(at, std::move(message)));
  }

  /// "forebay.toml:12"
  [[nodiscard]] std::string name_of(Position at) const {
    return source_ + ":" + std::to_string(at.line);
  }
  [[nodiscard]] bool any_errors() const noexcept { return !errors_.empty(); }
  [[nodiscard]] std::vector<Problem> take_errors() { return sorted(std::move(errors_)); }
  [[nodiscard]] std::vector<Problem> take_warnings() { return sorted(std::move(warnings_)); }

 private:
  [[nodiscard]] Problem make(Position at, std::string message) const {
    return {source_, at.line, at.column, std::move(message)};
  }
  static std::vector<Problem> sorted(std::vector<Problem> problems);

  std::string source_;
  std::vector<Problem> errors_;
  std::vector<Problem> warnings_;
};

}  // namespace forebay::config
