#include "config/problems.hpp"

#include <algorithm>
#include <tuple>

namespace forebay::config {

Position position_at(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::string_view line = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
  const auto is_first_byte = [](char byte) { return (byte & 0xC0) != 0x80; };
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const auto columns = std::count_if(line.begin(), line.end(), is_first_byte);
  return {static_cast<std::uint32_t>(lines + 1), static_cast<std::uint32_t>(columns + 1)};
}

std::vector<Problem> Problems::sorted(Found found) const {
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.source, a.first.line, a.first.column) <
           std::tie(b.first.source, b.first.line, b.first.column);
  });
  std::vector<Problem> problems;
  for (auto& [at, message] : found) {
    problems.push_back({sources_[at.source], at.line, at.column, std::move(message)});
  }
  return problems;
}

std::string to_string(const Problem& problem) {
  std::string place = problem.source;
  if (problem.line != 0) {
    place += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
  }
  return place + ": " + problem.message;
}

}  // namespace forebay::config
