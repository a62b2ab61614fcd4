#include "routing/sql/readable.hpp"

#include <algorithm>

#include "routing/sql/tokens.hpp"

namespace forebay::sql {
namespace {

/// One string of any kind but dollar quotes. libpg_query's scanner has standard strings only, and
/// knows no comment between the parts of a string. Its value is not looked at, so another does.
void make_string_readable(char* from, char* to, StandardStrings standard) noexcept {
  const Bytes written(from, static_cast<std::size_t>(to - from));
  const bool other = standard == StandardStrings::off && written[0] == '\'';
  if (!other && written.find("--") == Bytes::npos) return;
  std::fill(std::find(from, to, '\'') + 1, to - 1, '0');
}

/// 0x1F and 1_000 are PostgreSQL 16's.
void make_number_readable(char* from, char* to) noexcept {
  const Bytes written(from, static_cast<std::size_t>(to - from));
  if (written.size() > 2 && written[0] == '0' && !is_digit(written[1]) && written[1] != '_') {
    if (written[1] != '.' && (written[1] | 32) != 'e') std::fill(from, to, '1');
  }
  std::replace(from, to, '_', '0');
}

char* word_end(char* at, const char* end) noexcept {
  while (at < end && folded(*at) != 0) ++at;
  return at;
}

/// The end of the token at `at`, made readable.
char* token_end(char* at, char* end, StandardStrings standard) noexcept {
  const auto to = [at](const char* after) {
    // A text that was lexed before has an end for everything.
    return after == nullptr ? at + 1 : at + (after - at);
  };
  const Class kind = class_of(*at);
  char* after = at + 1;
  switch (kind) {
    case Class::prefix:
    case Class::quote:
      if (kind == Class::prefix && !string_begins(at, end)) return word_end(at, end);
      after = to(string_end(at, end, standard).end);
      make_string_readable(at, after, standard);
      break;
    case Class::word:
      return word_end(at, end);
    case Class::dot:
    case Class::digit:
      if (kind == Class::dot && (end - at < 2 || !is_digit(at[1]))) break;
      after = to(number_end(at, end));
      make_number_readable(at, after);
      break;
    case Class::double_quote:
      return to(quoted_end(at, end));
    case Class::dollar:
      if (end - at >= 2 && is_digit(at[1])) {
        std::uint32_t number = 0;
        return to(parameter_end(at, end, number));
      }
      return to(dollar_string_end(at, end));
    case Class::op:
      return to(operator_end(at, end));
    default:
      break;
  }
  return after;
}

}  // namespace

std::string readable(Bytes text, StandardStrings standard) {
  std::string copy(text);
  char* const end = copy.data() + copy.size();
  bool after_string = false;
  for (char* at = copy.data(); at < end;) {
    const char* const blanks = blank_end(at, end);
    if (blanks != nullptr && blanks > at) {
      char* const after = at + (blanks - at);
      // A comment keeps two strings apart that would be one without it. PostgreSQL takes neither.
      if (!after_string || after == end || *after != '\'') {
        std::replace_if(
            at, after, [](char c) { return class_of(c) != Class::blank; }, ' ');
      }
      at = after;
      continue;
    }
    after_string =
        class_of(*at) == Class::quote || (class_of(*at) == Class::prefix && string_begins(at, end));
    at = token_end(at, end, standard);
  }
  return copy;
}

}  // namespace forebay::sql
