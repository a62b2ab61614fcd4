#include "routing/sql/tokens.hpp"

#include <algorithm>
#include <cstring>

namespace forebay::sql {
namespace {

const char* find(const char* at, const char* end, char wanted) noexcept {
  return static_cast<const char*>(std::memchr(at, wanted, static_cast<std::size_t>(end - at)));
}

bool two(const char* at, const char* end, char first, char second) noexcept {
  return end - at >= 2 && at[0] == first && at[1] == second;
}

/// The end of one part of a string, after its opening quote: just after the closing one.
const char* part_end(const char* at, const char* end, LiteralKind kind) noexcept {
  if (kind == LiteralKind::escape_string) {
    for (;; ++at) {
      while (at < end && *at != '\'' && *at != '\\') ++at;
      if (at >= end) return nullptr;
      if (*at == '\\') {
        if (++at >= end) return nullptr;
      } else if (two(at, end, '\'', '\'')) {
        ++at;
      } else {
        return at + 1;
      }
    }
  }
  const bool doubles = kind != LiteralKind::bit_string && kind != LiteralKind::hex_string;
  for (;; at += 2) {
    at = find(at, end, '\'');
    if (at == nullptr) return nullptr;
    if (!doubles || !two(at, end, '\'', '\'')) return at + 1;
  }
}

const char* digits_end(const char* at, const char* end, std::uint8_t base) noexcept {
  const auto digit = [base](char c) {
    if (base == 16 && lower(c) >= 'a' && lower(c) <= 'f') return true;
    return c >= '0' && c <= '9' && (base != 8 || c < '8') && (base != 2 || c < '2');
  };
  while (at < end) {
    if (digit(*at)) {
      ++at;
    } else if (*at == '_' && end - at >= 2 && digit(at[1])) {
      at += 2;
    } else {
      break;
    }
  }
  return at;
}

}  // namespace

const char* line_comment_end(const char* at, const char* end) noexcept {
  while (at < end && *at != '\n' && *at != '\r') ++at;
  return at;
}

const char* block_comment_end(const char* at, const char* end) noexcept {
  at += 2;
  for (std::size_t depth = 1; at < end; ++at) {
    if (two(at, end, '*', '/')) {
      ++at;
      if (--depth == 0) return at + 1;
    } else if (two(at, end, '/', '*')) {
      ++at;
      ++depth;
    }
  }
  return nullptr;
}

const char* blank_end(const char* at, const char* end) noexcept {
  while (at != nullptr && at < end) {
    if (class_of(*at) == Class::blank) {
      ++at;
    } else if (two(at, end, '-', '-')) {
      at = line_comment_end(at, end);
    } else if (two(at, end, '/', '*')) {
      at = block_comment_end(at, end);
    } else {
      break;
    }
  }
  return at;
}

/// Blanks and line comments (no block comments), with at least one end of line, then a quote. A
/// comment counts only when a line ends after it: the quote must stand on a line of its own.
const char* continuation(const char* at, const char* end) noexcept {
  bool line_ended = false;
  while (at < end) {
    if (class_of(*at) == Class::blank) {
      line_ended = line_ended || *at == '\n' || *at == '\r';
      ++at;
    } else if (two(at, end, '-', '-')) {
      at = line_comment_end(at, end);
      if (at >= end) return nullptr;
    } else {
      break;
    }
  }
  return line_ended && at < end && *at == '\'' ? at : nullptr;
}

bool string_begins(const char* at, const char* end) noexcept {
  if (end - at < 2) return false;
  switch (lower(*at)) {
    case 'b':
    case 'e':
    case 'x':
      return at[1] == '\'';
    case 'u':
      return at[1] == '&' && end - at >= 3 && at[2] == '\'';
    default:
      return false;
  }
}

StringEnd string_end(const char* at, const char* end, StandardStrings standard) noexcept {
  StringEnd result;
  switch (lower(*at)) {
    case 'b':
      result.kind = LiteralKind::bit_string;
      break;
    case 'x':
      result.kind = LiteralKind::hex_string;
      break;
    case 'e':
      result.kind = LiteralKind::escape_string;
      break;
    case 'u':
      result.kind = LiteralKind::unicode_string;
      ++at;
      break;
    default:
      if (standard == StandardStrings::off) result.kind = LiteralKind::escape_string;
      --at;
  }
  ++at;  // at the quote
  while (at != nullptr) {
    result.end = part_end(at + 1, end, result.kind);
    if (result.end == nullptr) break;
    at = continuation(result.end, end);
  }
  return result;
}

const char* dollar_string_end(const char* at, const char* end) noexcept {
  const char* tag_end = at + 1;
  if (tag_end < end && !is_digit(*tag_end)) {
    while (tag_end < end && *tag_end != '$' && folded(*tag_end) != 0) ++tag_end;
  }
  if (tag_end >= end || *tag_end != '$') return nullptr;
  const Bytes tag(at, static_cast<std::size_t>(tag_end + 1 - at));
  const char* from = tag_end + 1;
  const void* found = memmem(from, static_cast<std::size_t>(end - from), tag.data(), tag.size());
  return found == nullptr ? nullptr : static_cast<const char*>(found) + tag.size();
}

const char* quoted_end(const char* at, const char* end) noexcept {
  for (++at;; at += 2) {
    at = find(at, end, '"');
    if (at == nullptr || !two(at, end, '"', '"')) return at == nullptr ? nullptr : at + 1;
  }
}

const char* number_end(const char* at, const char* end) noexcept {
  if (*at == '0' && end - at >= 3) {
    const char kind = lower(at[1]);
    const int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    if (base != 0) {
      const char* from = at[2] == '_' ? at + 3 : at + 2;
      const char* after = digits_end(from, end, static_cast<std::uint8_t>(base));
      if (after > from) return after;
    }
  }
  if (*at != '.') at = digits_end(at, end, 10);
  if (at < end && *at == '.' && !two(at, end, '.', '.')) at = digits_end(at + 1, end, 10);
  if (at < end && lower(*at) == 'e') {
    const char* exponent = at + 1;
    if (exponent < end && (*exponent == '+' || *exponent == '-')) ++exponent;
    if (exponent < end && is_digit(*exponent)) at = digits_end(exponent, end, 10);
  }
  return at;
}

const char* parameter_end(const char* at, const char* end, std::uint32_t& number) noexcept {
  number = 0;
  for (++at; at < end && is_digit(*at); ++at) {
    number = std::min<std::uint32_t>(number * 10 + static_cast<std::uint32_t>(*at - '0'), 65536);
  }
  return at;
}

const char* operator_end(const char* at, const char* end) noexcept {
  const char* after = at + 1;
  while (after < end && after - at < kOperatorMax && class_of(*after) == Class::op &&
         !two(after, end, '-', '-') && !two(after, end, '/', '*')) {
    ++after;
  }
  // As in SQL, + and - at the end are the next operator's, unless this one has a character that no
  // operator of SQL has.
  if (after - at == kOperatorMax) return after;
  if (after - at > 1 && (after[-1] == '+' || after[-1] == '-')) {
    const Bytes unusual = "~!@#^&|`?%";
    const Bytes rest(at, static_cast<std::size_t>(after - at - 1));
    if (rest.find_first_of(unusual) == Bytes::npos) {
      while (after - at > 1 && (after[-1] == '+' || after[-1] == '-')) --after;
    }
  }
  return after;
}

ListElement list_element(const char* at, const char* end, StandardStrings standard) noexcept {
  ListElement element;
  if (at >= end) return element;
  const Class kind = class_of(*at);
  if (kind == Class::quote || (kind == Class::prefix && string_begins(at, end))) {
    const StringEnd string = string_end(at, end, standard);
    return {string.end, true, string.kind, 0};
  }
  if (kind == Class::op && (*at == '-' || *at == '+')) {
    at = blank_end(at + 1, end);
    if (at == nullptr || at >= end || !is_digit(*at)) return element;
    return {number_end(at, end), true, LiteralKind::number, 0};
  }
  if (kind == Class::digit) return {number_end(at, end), true, LiteralKind::number, 0};
  if (kind == Class::dollar) {
    if (end - at >= 2 && is_digit(at[1])) {
      element.end = parameter_end(at, end, element.parameter);
    } else {
      element = {dollar_string_end(at, end), true, LiteralKind::dollar_string, 0};
    }
    return element;
  }
  if (kind != Class::word && kind != Class::prefix) return element;
  char word[8];
  std::size_t size = 0;
  for (; at < end && folded(*at) != 0; ++at) {
    if (size == sizeof word) return element;
    word[size++] = folded(*at);
  }
  const Bytes name(word, size);
  if (name == "null" || name == "true" || name == "false" || name == "default") element.end = at;
  return element;
}

}  // namespace forebay::sql
