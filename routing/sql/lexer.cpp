#include <algorithm>
#include <bit>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "forebay/base/assert.hpp"
#include "routing/sql/tokens.hpp"

namespace forebay::sql {
namespace {

/// So many bytes of a word are folded at a time.
constexpr int kBlock = 16;

/// Writes kBlock bytes, of which those count that belong to the word at hand: gives their number.
#ifdef __SSE2__
int fold_block(const char* from, char* to) noexcept {
  const auto in = [](__m128i bytes, char first, char last) {
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(static_cast<char>(first - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8(static_cast<char>(last + 1))));
  };
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m128i bit = _mm_set1_epi8('a' - 'A');
  const __m128i letters = in(_mm_or_si128(bytes, bit), 'a', 'z');
  __m128i words = _mm_or_si128(letters, in(bytes, '0', '9'));
  words = _mm_or_si128(words, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')));
  words = _mm_or_si128(words, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('$')));
  words = _mm_or_si128(words, bytes);  // the highest bit counts, and is that of bytes over 127
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_or_si128(bytes, _mm_and_si128(letters, bit)));
  return std::countr_one(static_cast<unsigned>(_mm_movemask_epi8(words)));
}
#else
int fold_block(const char* from, char* to) noexcept {
  int count = 0;
  for (char c; count < kBlock && (c = folded(from[count])) != 0; ++count) to[count] = c;
  return count;
}
#endif

}  // namespace

/// The pass over one text: writes the key, notes spans.
class Scanner {
 public:
  Scanner(Bytes text, StandardStrings standard, Shape& shape) noexcept
      : begin_(text.data()),
        at_(text.data()),
        end_(text.data() + text.size()),
        out_(shape.key_.get()),
        shape_(shape),
        standard_(standard) {}

  static void scan(Bytes text, StandardStrings standard, HashSeed seed, Shape& shape);

 private:
  /// What the last token was: two of one kind must not run together in the key. Dots and operators
  /// apart, since t.* is no operator.
  enum class Last : std::uint8_t { mark, word, op, dot };

  bool run() noexcept;
  bool token(Class kind) noexcept;
  bool op() noexcept;
  bool prefixed_word() noexcept;
  void plain_word() noexcept;
  bool quoted(const char* from, bool unicode) noexcept;
  bool dollar() noexcept;
  bool string() noexcept;
  void literal(const char* after, LiteralKind kind) noexcept;
  void bracket(Class kind) noexcept;
  void semicolon() noexcept;
  void end_part(const char* at) noexcept;
  void comment(const char* after) noexcept;
  void fold_in() noexcept;
  void fold_values() noexcept;
  const char* fold_row(std::uint32_t& columns, bool& parameters) noexcept;
  void note_parameter(std::uint32_t number) noexcept {
    shape_.parameter_max_ = std::max(shape_.parameter_max_, number);
  }

  void separate(Last kind) noexcept {
    if (last_ == kind && kind != Last::mark) *out_++ = ' ';
    last_ = kind;
  }
  void put(char c) noexcept { *out_++ = c; }
  void copy(const char* to) noexcept {
    const auto size = static_cast<std::size_t>(to - at_);
    std::memcpy(out_, at_, size);
    out_ += size;
    at_ = to;
  }
  std::uint32_t offset(const char* at) const noexcept {
    return static_cast<std::uint32_t>(at - begin_);
  }
  bool follows(std::ptrdiff_t ahead, char c) const noexcept {
    return end_ - at_ > ahead && at_[ahead] == c;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* part_ = nullptr;       // where the part at hand begins
  const char* token_end_ = nullptr;  // where its last token ended
  char* out_;
  const char* uescape_ = nullptr;  // where the key stood after the word UESCAPE
  Shape& shape_;
  std::uint32_t open_ = 0;
  StandardStrings standard_;
  Last last_ = Last::mark;
};

void Scanner::scan(Bytes text, StandardStrings standard, HashSeed seed, Shape& shape) {
  shape.key_size_ = 0;
  shape.hash_ = {};
  shape.literals_.clear();
  shape.parts_.clear();
  shape.leading_comment_ = shape.trace_comment_ = {};
  shape.parameter_max_ = shape.depth_ = 0;
  shape.fault_ = ShapeFault::none;
  if (text.size() > kTextMax) {
    shape.fault_ = ShapeFault::too_large;
    return;
  }
  // A token is as long in the key as in the text, or shorter, and may need a blank before it. Words
  // are written in whole blocks.
  const std::size_t needed = 2 * text.size() + 2 + kBlock;
  if (shape.key_capacity_ < needed) {
    shape.key_capacity_ = std::max<std::size_t>(2 * needed, 1024);
    shape.key_ = std::make_unique_for_overwrite<char[]>(shape.key_capacity_);
  }
  Scanner scanner(text, standard, shape);
  if (!scanner.run()) {
    shape.fault_ = ShapeFault::malformed;
    return;
  }
  shape.key_size_ = static_cast<std::size_t>(scanner.out_ - shape.key_.get());
  FB_ASSERT(shape.key_size_ <= needed);
  if (shape.depth_ > kDepthMax) shape.fault_ = ShapeFault::too_deep;
  shape.hash_ = hash_of(shape.key(), seed);
}

bool Scanner::run() noexcept {
  while (at_ < end_) {
    const Class kind = class_of(*at_);
    if (kind == Class::blank) {
      ++at_;
      continue;
    }
    if (kind == Class::op && (follows(1, '-') || follows(1, '*'))) {
      const bool line = *at_ == '-' && at_[1] == '-';
      if (line || (*at_ == '/' && at_[1] == '*')) {
        const char* after = line ? line_comment_end(at_, end_) : block_comment_end(at_, end_);
        if (after == nullptr) return false;
        comment(after);
        continue;
      }
    }
    if (kind == Class::semicolon && open_ == 0) {
      semicolon();
      continue;
    }
    if (part_ == nullptr) {
      part_ = at_;
      if (!shape_.parts_.empty()) put(';');
      last_ = Last::mark;
    }
    if (!token(kind)) return false;
    token_end_ = at_;
  }
  end_part(token_end_);
  return true;
}

bool Scanner::token(Class kind) noexcept {
  switch (kind) {
    case Class::word:
      plain_word();
      return true;
    case Class::prefix:
      return prefixed_word();
    case Class::comma:
    case Class::semicolon:
      put(*at_++);
      last_ = Last::mark;
      return true;
    case Class::open:
    case Class::close:
      bracket(kind);
      return true;
    case Class::quote:
      return string();
    case Class::digit:
      literal(number_end(at_, end_), LiteralKind::number);
      return true;
    case Class::dot:
      if (end_ - at_ >= 2 && is_digit(at_[1])) {
        literal(number_end(at_, end_), LiteralKind::number);
        return true;
      }
      separate(Last::dot);
      copy(follows(1, '.') ? at_ + 2 : at_ + 1);
      return true;
    case Class::op:
    case Class::colon:
      return op();
    case Class::dollar:
      return dollar();
    case Class::double_quote:
      return quoted(at_, false);
    case Class::blank:
    case Class::other:
      break;
  }
  return false;
}

bool Scanner::op() noexcept {
  separate(Last::op);
  if (*at_ == ':') {
    copy(follows(1, ':') || follows(1, '=') ? at_ + 2 : at_ + 1);
  } else {
    const char* const after = operator_end(at_, end_);
    if (after - at_ == kOperatorMax) return false;
    copy(after);
  }
  return true;
}

/// A word that begins with one of B E N U X: it may be the prefix of a string.
bool Scanner::prefixed_word() noexcept {
  if (end_ - at_ >= 2) {
    if (at_[1] == '\'' && (*at_ == 'n' || *at_ == 'N')) {
      // The word NCHAR and a string. A capital letter, which no other word of the key has.
      separate(Last::word);
      put('N');
      ++at_;
      return string();
    }
    if (string_begins(at_, end_)) return string();
    if (at_[1] == '&' && (*at_ == 'u' || *at_ == 'U') && follows(2, '"')) {
      return quoted(at_ + 2, true);
    }
  }
  plain_word();
  return true;
}

void Scanner::plain_word() noexcept {
  separate(Last::word);
  const char* const from = out_;
  const char* at = at_;
  char* out = out_;
  for (int count = kBlock; count == kBlock; at += count, out += count) {
    const auto left = static_cast<std::size_t>(end_ - at);
    if (left >= kBlock) {
      count = fold_block(at, out);
    } else {
      char last[kBlock] = {};  // a word ends at a zero
      std::memcpy(last, at, left);
      count = fold_block(last, out);
    }
  }
  at_ = at;
  out_ = out;
  switch (out - from) {
    case 2:
      if (std::memcmp(from, "in", 2) == 0) fold_in();
      break;
    case 6:
      if (std::memcmp(from, "values", 6) == 0) fold_values();
      break;
    case 7:
      if (std::memcmp(from, "uescape", 7) == 0) uescape_ = out_;
      break;
    default:
      break;
  }
}

bool Scanner::quoted(const char* from, bool unicode) noexcept {
  const char* after = quoted_end(from, end_);
  if (after == nullptr) return false;
  separate(Last::word);
  if (unicode) {
    put('u');
    ++at_;
  }
  copy(after);
  return true;
}

bool Scanner::string() noexcept {
  const StringEnd string = string_end(at_, end_, standard_);
  if (string.end == nullptr) return false;
  literal(string.end, string.kind);
  return true;
}

void Scanner::literal(const char* after, LiteralKind kind) noexcept {
  shape_.literals_.push_back({{offset(at_), offset(after)}, kind});
  // UESCAPE 'c' says what an identifier before it is, so it stays in the key, as it is written.
  const bool stays = uescape_ == out_;
  put(kLiteralMark);
  if (stays) {
    copy(after);
    put(kLiteralMark);
  }
  at_ = after;
  last_ = Last::mark;
}

bool Scanner::dollar() noexcept {
  if (end_ - at_ >= 2 && is_digit(at_[1])) {
    std::uint32_t number = 0;
    const char* after = parameter_end(at_, end_, number);
    note_parameter(number);
    separate(Last::word);
    copy(after);
    return true;
  }
  const char* after = dollar_string_end(at_, end_);
  if (after == nullptr) return false;
  literal(after, LiteralKind::dollar_string);
  return true;
}

void Scanner::bracket(Class kind) noexcept {
  put(*at_++);
  last_ = Last::mark;
  if (kind == Class::open) {
    shape_.depth_ = std::max(shape_.depth_, ++open_);
  } else if (open_ > 0) {
    --open_;
  }
}

void Scanner::semicolon() noexcept {
  end_part(token_end_);
  ++at_;
}

void Scanner::end_part(const char* at) noexcept {
  if (part_ != nullptr) shape_.parts_.push_back({offset(part_), offset(at)});
  part_ = nullptr;
}

void Scanner::comment(const char* after) noexcept {
  const Span span{offset(at_), offset(after)};
  if (part_ == nullptr && shape_.parts_.empty() && shape_.leading_comment_.empty()) {
    shape_.leading_comment_ = span;
  }
  const Bytes word = "traceparent";
  if (shape_.trace_comment_.empty() &&
      memmem(at_, static_cast<std::size_t>(after - at_), word.data(), word.size()) != nullptr) {
    shape_.trace_comment_ = span;
  }
  at_ = after;
}

/// From an opening parenthesis: the row's end if all of it can be folded, else nullptr.
const char* Scanner::fold_row(std::uint32_t& columns, bool& parameters) noexcept {
  std::uint32_t highest = shape_.parameter_max_;
  columns = 0;
  for (const char* at = at_; at != nullptr && at < end_;) {
    at = blank_end(at + 1, end_);
    if (at == nullptr) return nullptr;
    const ListElement element = list_element(at, end_, standard_);
    if (element.end == nullptr) return nullptr;
    if (element.parameter > 0 || *at == '$') {
      if (!element.literal) parameters = true;
      highest = std::max(highest, element.parameter);
    }
    ++columns;
    at = blank_end(element.end, end_);
    if (at == nullptr || at >= end_ || (*at != ',' && *at != ')')) return nullptr;
    if (*at == ')') {
      shape_.parameter_max_ = highest;
      return at + 1;
    }
  }
  return nullptr;
}

/// After the word IN: (1, 2, 3) becomes one literal, whatever its length.
void Scanner::fold_in() noexcept {
  const char* open = blank_end(at_, end_);
  if (open == nullptr || open >= end_ || *open != '(') return;
  const char* const back = at_;
  at_ = open;
  std::uint32_t columns = 0;
  bool parameters = false;
  const char* after = fold_row(columns, parameters);
  if (after == nullptr) {
    at_ = back;
    return;
  }
  shape_.literals_.push_back({{offset(open), offset(after)}, LiteralKind::list});
  put('(');
  put(parameters ? kParameterMark : kListMark);
  put(')');
  shape_.depth_ = std::max(shape_.depth_, open_ + 1);
  at_ = after;
  last_ = Last::mark;
}

/// After the word VALUES: rows (1, 'a'), (2, 'b') become one literal, whatever their number, but
/// not whatever their width. Stops before the first row that is no plain list or of other width.
void Scanner::fold_values() noexcept {
  const char* open = blank_end(at_, end_);
  if (open == nullptr || open >= end_ || *open != '(') return;
  const char* const back = at_;
  const char* const first = open;
  const char* after = nullptr;
  std::uint32_t width = 0;
  bool parameters = false;
  while (open != nullptr && open < end_ && *open == '(') {
    at_ = open;
    std::uint32_t columns = 0;
    bool here = false;
    const std::uint32_t highest = shape_.parameter_max_;
    const char* row_end = fold_row(columns, here);
    if (row_end == nullptr || (after != nullptr && columns != width)) {
      shape_.parameter_max_ = highest;
      break;
    }
    parameters = parameters || here;
    width = columns;
    after = row_end;
    open = blank_end(after, end_);
    if (open == nullptr || open >= end_ || *open != ',') break;
    open = blank_end(open + 1, end_);
  }
  if (after == nullptr) {
    at_ = back;
    return;
  }
  shape_.literals_.push_back({{offset(first), offset(after)}, LiteralKind::list});
  put('(');
  for (std::uint32_t column = 0; column < width; ++column) {
    if (column > 0) put(',');
    put(parameters ? kParameterMark : kListMark);
  }
  put(')');
  shape_.depth_ = std::max(shape_.depth_, open_ + 1);
  at_ = after;
  last_ = Last::mark;
}

void lex(Bytes text, StandardStrings standard, HashSeed seed, Shape& shape) {
  Scanner::scan(text, standard, seed, shape);
}

bool lexable_encoding(Bytes client_encoding) noexcept {
  // As PostgreSQL compares names of encodings: letters and digits only, in any case.
  char name[16];
  std::size_t size = 0;
  for (const char c : client_encoding) {
    // Whether PostgreSQL drops such a character or not goes by its locale.
    if (static_cast<unsigned char>(c) >= 0x80) return false;
    const char small = folded(c);
    if (small == 0 || small == '_' || small == '$') continue;
    if (size == sizeof name) return true;
    name[size++] = small;
  }
  for (const Bytes other : {"sjis", "shiftjis", "mskanji", "win932", "windows932", "big5", "win950",
                            "windows950", "gbk", "win936", "windows936", "uhc", "win949",
                            "windows949", "johab", "gb18030", "shiftjis2004"}) {
    if (Bytes(name, size) == other) return false;
  }
  return true;
}

}  // namespace forebay::sql
