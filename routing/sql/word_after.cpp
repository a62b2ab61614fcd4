#include "forebay/routing/sql/word_after.hpp"

#include "routing/sql/tokens.hpp"

namespace forebay::sql {
namespace {

const char* word_end(const char* at, const char* end) noexcept {
  while (at < end && folded(*at) != 0) ++at;
  return at;
}

// The end of the token that begins at `at`, which is no blank; nullptr where there is none.
const char* token_end(const char* at, const char* end, StandardStrings standard) noexcept {
  switch (class_of(*at)) {
    case Class::prefix:
      if (string_begins(at, end)) return string_end(at, end, standard).end;
      return word_end(at, end);
    case Class::word:
      return word_end(at, end);
    case Class::digit:
      return number_end(at, end);
    case Class::quote:
      return string_end(at, end, standard).end;
    case Class::double_quote:
      return quoted_end(at, end);
    case Class::dollar: {
      if (const char* string = dollar_string_end(at, end)) return string;
      std::uint32_t number = 0;
      const char* parameter = parameter_end(at, end, number);
      return parameter == nullptr ? at + 1 : parameter;
    }
    default:
      return at + 1;
  }
}

bool is_unicode_name(const char* at, const char* end) noexcept {
  return end - at > 2 && folded(*at) == 'u' && at[1] == '&' && at[2] == '"';
}

bool is_word(const char* at, const char* end, Bytes word) noexcept {
  if (static_cast<std::size_t>(end - at) != word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (folded(at[i]) != word[i]) return false;
  }
  return true;
}

// Of U&"...", behind what UESCAPE says.
const char* unicode_name_end(const char* at, const char* end, StandardStrings standard) noexcept {
  const char* const name_end = quoted_end(at + 2, end);
  if (name_end == nullptr) return nullptr;
  const char* const word = blank_end(name_end, end);
  if (word == nullptr || word == end || folded(*word) != 'u') return name_end;
  const char* const behind = word_end(word, end);
  if (!is_word(word, behind, "uescape")) return name_end;
  const char* const escape = blank_end(behind, end);
  if (escape == nullptr || escape == end) return nullptr;
  return token_end(escape, end, standard);
}

}  // namespace

Span name_after(Bytes text, Span part, Bytes key_word, StandardStrings standard) noexcept {
  const char* const end = text.data() + part.end;
  int depth = 0;
  bool found = false;
  for (const char* at = blank_end(text.data() + part.begin, end); at != nullptr && at < end;) {
    const bool unicode = is_unicode_name(at, end);
    const char* const next =
        unicode ? unicode_name_end(at, end, standard) : token_end(at, end, standard);
    if (next == nullptr) return {};
    const Class kind = class_of(*at);
    if (found) {
      const bool name = kind == Class::word || kind == Class::prefix || kind == Class::double_quote;
      // DEALLOCATE PREPARE name; but a statement may be called "prepare".
      const char* const after = blank_end(next, end);
      const bool noise = key_word == "deallocate" && is_word(at, next, "prepare") &&
                         after != nullptr && after < end;
      if (!noise) {
        if (!name) return {};
        return {static_cast<std::uint32_t>(at - text.data()),
                static_cast<std::uint32_t>(next - text.data())};
      }
    } else if (kind == Class::open) {
      ++depth;
    } else if (kind == Class::close) {
      --depth;
    } else if (depth == 0 && is_word(at, next, key_word)) {
      found = true;
    }
    at = blank_end(next, end);
  }
  return {};
}

Span with_words(Bytes text, Span part) noexcept {
  const char* const end = text.data() + part.end;
  const char* const at = blank_end(text.data() + part.begin, end);
  if (at == nullptr) return {};
  const char* last = word_end(at, end);
  if (!is_word(at, last, "with")) return {};
  if (const char* const next = blank_end(last, end)) {
    const char* const behind = word_end(next, end);
    if (is_word(next, behind, "recursive")) last = behind;
  }
  return {static_cast<std::uint32_t>(at - text.data()),
          static_cast<std::uint32_t>(last - text.data())};
}

}  // namespace forebay::sql
