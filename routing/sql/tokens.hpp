#pragma once

#include <array>
#include <cstdint>

#include "forebay/routing/sql/shape.hpp"

/// The tokens of PostgreSQL's scanner (scan.l) as far as their ends go. Every function takes where
/// a token begins and where the text ends, and returns where the token ends; nullptr where
/// PostgreSQL would refuse the text.
namespace forebay::sql {

enum class Class : std::uint8_t {
  other,  ///< begins no token
  blank,
  word,    ///< letter, underscore or any byte over 127
  prefix,  ///< letter that may begin a string: B E N U X
  digit,
  quote,  ///< '
  double_quote,
  dollar,
  dot,
  colon,
  open,   ///< ( [
  close,  ///< ) ]
  comma,
  semicolon,
  op,  ///< one of ~!@#^&|`?+-*/%<>=
};

struct Classes {
  std::array<Class, 256> of{};
  std::array<char, 256> folded{};  ///< what a word has instead of this byte; 0 where it ends

  constexpr Classes() {
    for (const char c : {' ', '\t', '\n', '\r', '\f', '\v'}) set(c, Class::blank);
    for (int c = 'a'; c <= 'z'; ++c) word(c, c);
    for (int c = 'A'; c <= 'Z'; ++c) word(c, c - 'A' + 'a');
    for (int c = 128; c <= 255; ++c) word(c, c);
    word('_', '_');
    for (const char c : {'b', 'e', 'n', 'u', 'x', 'B', 'E', 'N', 'U', 'X'}) set(c, Class::prefix);
    for (int c = '0'; c <= '9'; ++c) word(c, c), of[static_cast<unsigned>(c)] = Class::digit;
    folded['$'] = '$';
    set('\'', Class::quote), set('"', Class::double_quote), set('$', Class::dollar);
    set('.', Class::dot), set(':', Class::colon), set(',', Class::comma);
    set(';', Class::semicolon);
    set('(', Class::open), set('[', Class::open), set(')', Class::close), set(']', Class::close);
    for (const char c : {'~', '!', '@', '#', '^', '&', '|', '`', '?'}) set(c, Class::op);
    for (const char c : {'+', '-', '*', '/', '%', '<', '>', '='}) set(c, Class::op);
  }

 private:
  constexpr void set(char c, Class to) { of[static_cast<unsigned char>(c)] = to; }
  constexpr void word(int c, int fold) {
    of[static_cast<unsigned>(c)] = Class::word;
    folded[static_cast<unsigned>(c)] = static_cast<char>(fold);
  }
};

inline constexpr Classes kClasses;

inline Class class_of(char c) noexcept {
  return kClasses.of[static_cast<unsigned char>(c)];
}
inline char folded(char c) noexcept {
  return kClasses.folded[static_cast<unsigned char>(c)];
}
inline bool is_digit(char c) noexcept {
  return class_of(c) == Class::digit;
}

/// "--" to the end of the line, which is not part of it.
const char* line_comment_end(const char* at, const char* end) noexcept;
/// "/*" with what nests in it.
const char* block_comment_end(const char* at, const char* end) noexcept;
/// Blanks and comments; `at` where there are none.
const char* blank_end(const char* at, const char* end) noexcept;

/// A string of any kind, from its prefix or first quote on, with its continuations.
struct StringEnd {
  const char* end = nullptr;
  LiteralKind kind = LiteralKind::string;
};
/// At a letter: whether a string begins here. N'...' is the word N and a string, so does not.
bool string_begins(const char* at, const char* end) noexcept;
StringEnd string_end(const char* at, const char* end, StandardStrings standard) noexcept;
/// At a dollar: nullptr also where no dollar quote begins.
const char* dollar_string_end(const char* at, const char* end) noexcept;
/// A quoted identifier, from its first double quote.
const char* quoted_end(const char* at, const char* end) noexcept;
/// At a digit, or at a dot before one. PostgreSQL 16's forms too: 0x1F, 0o17, 0b1, 1_000.
const char* number_end(const char* at, const char* end) noexcept;
/// $1: from the dollar. Sets its number, at most 65535 + 1 (there are never more).
const char* parameter_end(const char* at, const char* end, std::uint32_t& number) noexcept;
/// No text has such a run of operator characters: names of operators are shorter, and of those at
/// the end of a run, + and -, each is found only by reading to its end.
inline constexpr std::ptrdiff_t kOperatorMax = 256;
/// A run of operator characters that is no comment: one operator. Of a longer run, kOperatorMax.
const char* operator_end(const char* at, const char* end) noexcept;
/// After the closing quote of a string: where the next part's quote stands, or nullptr.
const char* continuation(const char* at, const char* end) noexcept;

/// One element of a list that can be folded: a literal, a signed number, $n, or one of the words
/// NULL, TRUE, FALSE, DEFAULT. `end` is nullptr where it is anything else.
struct ListElement {
  const char* end = nullptr;
  bool literal = false;
  LiteralKind kind = LiteralKind::number;
  std::uint32_t parameter = 0;
};
ListElement list_element(const char* at, const char* end, StandardStrings standard) noexcept;

}  // namespace forebay::sql
