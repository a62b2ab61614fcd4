#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace forebay {

/// An integer that means one thing: two different ids cannot be swapped by accident.
template <class Tag, class Integer>
class Strong {
 public:
  constexpr Strong() noexcept = default;
  constexpr explicit Strong(Integer value) noexcept : value_(value) {}

  [[nodiscard]] constexpr Integer value() const noexcept { return value_; }
  constexpr auto operator<=>(const Strong&) const noexcept = default;

 private:
  Integer value_{};
};

}  // namespace forebay

template <class Tag, class Integer>
struct std::hash<forebay::Strong<Tag, Integer>> {
  std::size_t operator()(forebay::Strong<Tag, Integer> id) const noexcept {
    return std::hash<Integer>{}(id.value());
  }
};
