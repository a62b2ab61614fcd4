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
  const bool based = written.size() > 2 && written[0] == '0' && !is_digit(written[1]);
  if (based || written.find('_') != Bytes::npos) std::fill(from, to, '1');
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
      if (end - at >= 2 && is_digit(at[1])) break;
      return to(dollar_string_end(at, end));
    case Class::op:
      after = to(blank_end(at, end));
      if (after == at) return to(operator_end(at, end));
      std::fill(at, after, ' ');
      break;
    default:
      break;
  }
  return after;
}

}  // namespace

std::string readable(Bytes text, StandardStrings standard) {
  std::string copy(text);
  char* const end = copy.data() + copy.size();
  for (char* at = copy.data(); at < end;) at = token_end(at, end, standard);
  return copy;
}

}  // namespace forebay::sql
