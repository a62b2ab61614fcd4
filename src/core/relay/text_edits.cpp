#include "core/relay/text_edits.hpp"

#include <algorithm>

namespace forebay::core {
namespace {

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || (static_cast<unsigned char>(c) & 0x80) != 0;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::int32_t characters(Bytes text) {
  return static_cast<std::int32_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string quoted_identifier(Bytes name) {
  if (std::all_of(name.begin(), name.end(), is_plain)) return std::string(name);
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += c;
    quoted += c;
  }
  return quoted + '"';
}

std::string apart(Bytes text) {
  std::string apart(!text.empty() && in_word(text.front()) ? " " : "");
  return apart.append(text);
}

std::int32_t front_of(Bytes before, Bytes behind) {
  const bool apart = !behind.empty() && in_word(behind.front());
  return characters(before) - (apart ? 1 : 0);
}

std::string quoted_literal(Bytes text) {
  std::string literal = text.find('\\') == Bytes::npos ? "'" : " E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') literal += c;
    literal += c;
  }
  return literal + '\'';
}

void TextEdits::replace(std::uint32_t begin, std::uint32_t end, std::string_view by) {
  // What goes in front of a statement is known after what is replaced in it.
  const auto at = std::upper_bound(
      places_.begin(), places_.end(), begin,
      [](std::uint32_t wanted, const Place& place) { return wanted < place.begin; });
  places_.insert(at, {begin, end, std::string(by)});
}

void TextEdits::replace_name(std::uint32_t begin, std::uint32_t end, std::string_view by) {
  std::string name(begin > 0 && in_word(original_[begin - 1]) ? " " : "");
  name.append(by);
  if (end < original_.size() && in_word(original_[end])) name += ' ';
  replace(begin, end, name);
}

std::string TextEdits::text() const {
  std::string edited;
  std::uint32_t at = 0;
  for (const Place& place : places_) {
    edited.append(original_.substr(at, place.begin - at)).append(place.by);
    at = place.end;
  }
  return edited.append(original_.substr(at));
}

std::int32_t TextEdits::moved(std::uint32_t end) const {
  std::int32_t moved = 0;
  for (const Place& place : places_) {
    if (place.end > end) continue;
    moved +=
        characters(place.by) - characters(original_.substr(place.begin, place.end - place.begin));
  }
  return moved;
}

std::vector<std::pair<std::uint32_t, std::int32_t>> TextEdits::shifts() const {
  std::vector<std::pair<std::uint32_t, std::int32_t>> shifts;
  std::int32_t shift = 0;
  for (const Place& place : places_) {
    const std::int32_t added =
        characters(place.by) - characters(original_.substr(place.begin, place.end - place.begin));
    shift += added;
    const std::int32_t from = characters(original_.substr(0, place.end)) + shift;
    shifts.emplace_back(static_cast<std::uint32_t>(std::max(from, 0)), shift);
  }
  return shifts;
}

}  // namespace forebay::core
