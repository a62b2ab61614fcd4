#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "forebay/base/bytes.hpp"

namespace forebay::sql {

/// A longer text is not looked at; its facts are unknown.
inline constexpr std::size_t kTextMax = 64 * 1024;
/// Parentheses and brackets open at once; a text with more is not given to the parser.
inline constexpr std::uint32_t kDepthMax = 256;

/// The server's standard_conforming_strings, as the link at hand has it: whether a backslash in
/// '...' is a plain character.
enum class StandardStrings : std::uint8_t { on, off };

/// A part of a text. Offsets in bytes, end exclusive.
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  [[nodiscard]] bool empty() const noexcept { return begin == end; }
  [[nodiscard]] Bytes of(Bytes text) const noexcept { return text.substr(begin, end - begin); }
  auto operator<=>(const Span&) const noexcept = default;
};

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const Hash128&) const noexcept = default;
};

/// Random bits, fresh for each process: with them no client can make two shapes collide, or fill
/// one place of a table. Hashes differ from process to process; none is to be shown or stored.
struct HashSeed {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

Hash128 hash_of(Bytes bytes, HashSeed seed) noexcept;

enum class LiteralKind : std::uint8_t {
  string,          ///< '...', with its continuations on further lines
  escape_string,   ///< E'...', and '...' while standard_conforming_strings is off
  unicode_string,  ///< U&'...'
  dollar_string,   ///< $tag$...$tag$
  bit_string,      ///< B'...'
  hex_string,      ///< X'...'
  number,          ///< without sign: that is an operator
  list,            ///< the elements of IN (...) or the rows of VALUES, folded: see ListReader
};

struct Literal {
  Span span;
  LiteralKind kind = LiteralKind::string;
};

enum class ShapeFault : std::uint8_t {
  none,
  too_large,  ///< longer than kTextMax: nothing was looked at
  malformed,  ///< PostgreSQL's scanner would refuse it, or take very long (a run of + and -)
  too_deep,   ///< more than kDepthMax open at once
};

/// What Shape::key() holds instead of literals. The bytes stand nowhere else in a key outside
/// quoted identifiers: a text that has them outside of quotes is malformed.
inline constexpr char kLiteralMark = 1;    ///< one literal
inline constexpr char kListMark = 2;       ///< a folded list without parameters
inline constexpr char kParameterMark = 3;  ///< a folded list with at least one parameter

/// One text (a Query's string or a Parse's), understood as far as its tokens go. Made to be used
/// again and again by one thread: its buffers grow to what the largest text needs and stay.
///
/// The key is the text with literals lifted out, blanks and comments gone where they do not
/// separate, ASCII letters folded to lower case outside quotes (PostgreSQL folds others only in
/// single-byte server encodings), and lists of literals folded: two texts with equal keys have the
/// same tokens but for the values of their literals, the length of their lists, and whether an
/// element of such a list is a literal, NULL, TRUE, FALSE, DEFAULT or (kParameterMark) a parameter.
///
/// Spans and the key are valid until the next lex() into this object.
class Shape {
 public:
  [[nodiscard]] ShapeFault fault() const noexcept { return fault_; }
  [[nodiscard]] const Hash128& hash() const noexcept { return hash_; }
  [[nodiscard]] Bytes key() const noexcept { return {key_.get(), key_size_}; }

  /// In the order of the text. Literal i of every text with this key plays the same part.
  [[nodiscard]] std::span<const Literal> literals() const noexcept { return literals_; }
  /// Parts between semicolons outside parentheses, without blanks around and without empty ones.
  /// Not quite statements: the body of an SQL function (BEGIN ATOMIC) has semicolons of its own,
  /// Facts says which parts are one statement.
  [[nodiscard]] std::span<const Span> parts() const noexcept { return parts_; }

  /// The first comment when nothing but blanks stands before it, with its delimiters.
  [[nodiscard]] Span leading_comment() const noexcept { return leading_comment_; }
  /// The first comment that has the word traceparent in it, with its delimiters.
  [[nodiscard]] Span trace_comment() const noexcept { return trace_comment_; }

  /// The highest n of all $n; 0 without parameters.
  [[nodiscard]] std::uint32_t parameter_max() const noexcept { return parameter_max_; }
  [[nodiscard]] std::uint32_t depth() const noexcept { return depth_; }

 private:
  friend class Scanner;

  std::unique_ptr<char[]> key_;
  std::size_t key_capacity_ = 0;
  std::size_t key_size_ = 0;
  Hash128 hash_;
  std::vector<Literal> literals_;
  std::vector<Span> parts_;
  Span leading_comment_;
  Span trace_comment_;
  std::uint32_t parameter_max_ = 0;
  std::uint32_t depth_ = 0;
  ShapeFault fault_ = ShapeFault::none;
};

/// One pass over `text`, exact about what PostgreSQL 15 to 18 take for a token. No NUL stands in
/// it (the wire format excludes it); anything else may. Allocates nothing once `shape` has seen a
/// text as large. The text must be in an encoding whose multi-byte characters have no ASCII bytes:
/// see lexable_encoding.
void lex(Bytes text, StandardStrings standard, HashSeed seed, Shape& shape);

/// Whether texts in this client_encoding can be lexed as they are. Not so SJIS, BIG5, GBK, UHC,
/// JOHAB, GB18030 and SHIFT_JIS_2004, where the second byte of a character may be a backslash.
bool lexable_encoding(Bytes client_encoding) noexcept;

/// A key for people: marks become ? and "...".
std::string printable(Bytes key);

/// The value that PostgreSQL's scanner would give a string literal: quotes doubled, escapes and
/// continuations undone. Numbers, bit strings and lists as written. False where it is not known: an
/// escape that the server refuses, or a UESCAPE whose character is not written as 'c'.
bool literal_value(Bytes text, const Literal& literal, std::string& value);

/// The elements of a literal of kind list, row by row.
class ListReader {
 public:
  struct Element {
    Span span;                    ///< with its sign
    std::uint32_t row = 0;        ///< from 0; IN (...) has one row
    std::uint32_t column = 0;     ///< from 0
    std::uint32_t parameter = 0;  ///< n of $n
    bool literal = false;  ///< string or number; else a parameter, NULL, TRUE, FALSE, DEFAULT
    LiteralKind kind = LiteralKind::string;  ///< when literal
  };

  ListReader(Bytes text, const Literal& list, StandardStrings standard) noexcept;
  /// False at the end.
  bool next(Element& element) noexcept;

 private:
  Bytes text_;
  std::uint32_t at_;
  std::uint32_t end_;
  std::uint32_t row_ = 0;
  std::uint32_t column_ = 0;
  StandardStrings standard_;
};

}  // namespace forebay::sql
