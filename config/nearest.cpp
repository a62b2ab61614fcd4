#include "config/nearest.hpp"

#include <algorithm>
#include <vector>

namespace forebay::config {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Optimal string alignment; three rows of the table are alive at a time.
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
  constexpr std::size_t kLongestWord = 64;  // what is longer is no slip of the finger
  constexpr std::size_t kShortestBeginning = 3;
  if (word.size() > kLongestWord) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t best_distance = 0;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    const std::size_t allowed = std::max<std::size_t>(1, candidate.size() / 3);
    if (distance > allowed || (best && distance >= best_distance)) continue;
    best = candidate;
    best_distance = distance;
  }
  if (best || word.size() < kShortestBeginning) return best;
  const auto begun = std::ranges::find_if(
      candidates, [word](std::string_view candidate) { return candidate.starts_with(word); });
  if (begun != candidates.end()) best = *begun;
  return best;
}

std::optional<std::string_view> extended(std::string_view word,
                                         std::span<const std::string_view> candidates) {
  const auto extends = [](std::string_view longer, std::string_view shorter) {
    return longer.size() > shorter.size() + 1 && longer.ends_with(shorter) &&
           longer[longer.size() - shorter.size() - 1] == '_';
  };
  for (const std::string_view candidate : candidates) {
    if (extends(word, candidate) || extends(candidate, word)) return candidate;
  }
  return std::nullopt;
}

}  // namespace forebay::config
