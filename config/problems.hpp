#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "forebay/config/load.hpp"

namespace forebay::config {

/// A place in one of the texts that a configuration is read from, line and column from 1. Line 0:
/// the text as a whole.
struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::uint32_t source = 0;  ///< which text, as `Problems` has them
  auto operator<=>(const Position&) const = default;
};

/// The place of a byte of a text in UTF-8.
[[nodiscard]] Position position_at(std::string_view text, std::size_t offset);

/// Collects what is wrong in the order in which it is found; hands it out by place.
class Problems {
 public:
  /// The names of the texts, by `Position::source`.
  explicit Problems(std::vector<std::string> sources) : sources_(std::move(sources)) {}

  /// Another text; its number.
  std::uint32_t add_source(std::string name) {
    sources_.push_back(std::move(name));
    return static_cast<std::uint32_t>(sources_.size() - 1);
  }
  [[nodiscard]] const std::vector<std::string>& sources() const noexcept { return sources_; }

  void error(Position at, std::string message) { errors_.emplace_back(at, std::move(message)); }
  void warning(Position at, std::string message) { warnings_.emplace_back(at, std::move(message)); }

  /// "forebay.toml:12"
  [[nodiscard]] std::string name_of(Position at) const {
    return sources_[at.source] + (at.line == 0 ? "" : ":" + std::to_string(at.line));
  }
  [[nodiscard]] bool any_errors() const noexcept { return !errors_.empty(); }
  [[nodiscard]] std::vector<Problem> take_errors() { return sorted(std::move(errors_)); }
  [[nodiscard]] std::vector<Problem> take_warnings() { return sorted(std::move(warnings_)); }

 private:
  using Found = std::vector<std::pair<Position, std::string>>;
  [[nodiscard]] std::vector<Problem> sorted(Found found) const;

  std::vector<std::string> sources_;
  Found errors_;
  Found warnings_;
};

}  // namespace forebay::config
