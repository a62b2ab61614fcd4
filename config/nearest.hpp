#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace forebay::config {

/// How many letters must be inserted, dropped, changed, or swapped with their neighbour.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that somebody who typed `word` most likely meant: the nearest one, unless even
/// that one differs in more than a third of its letters; else one that begins with `word`.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> candidates);

/// The first candidate that is `word` without some of its leading parts, or with more of them:
/// `pool_size` for `default_pool_size`, and the reverse.
[[nodiscard]] std::optional<std::string_view> extended(
    std::string_view word, std::span<const std::string_view> candidates);

}  // namespace forebay::config
