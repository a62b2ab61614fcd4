#include <cstring>

#include "routing/sql/tokens.hpp"

namespace forebay::sql {
namespace {

int digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char small = static_cast<char>(c | 32);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/// Reads at most `most` digits, at least `least`; returns how many, or -1.
int read_digits(Bytes from, int base, int least, int most, std::uint32_t& value) noexcept {
  int count = 0;
  value = 0;
  for (; count < most && static_cast<std::size_t>(count) < from.size(); ++count) {
    const int digit = digit_of(from[static_cast<std::size_t>(count)]);
    if (digit < 0 || digit >= base) break;
    value = value * static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(digit);
  }
  return count >= least ? count : -1;
}

/// Puts code points, and joins the two halves of a surrogate pair.
class Unicode {
 public:
  explicit Unicode(std::string& out) noexcept : out_(out) {}

  bool put(std::uint32_t code) {
    if (half_ != 0) {
      if (code < 0xdc00 || code > 0xdfff) return false;
      code = 0x10000 + ((half_ - 0xd800) << 10) + (code - 0xdc00);
      half_ = 0;
    } else if (code >= 0xd800 && code <= 0xdbff) {
      half_ = code;
      return true;
    }
    if (code == 0 || code > 0x10ffff || (code >= 0xdc00 && code <= 0xdfff)) return false;
    encode(code);
    return true;
  }
  /// Anything but a further escape must not come inside a pair.
  [[nodiscard]] bool whole() const noexcept { return half_ == 0; }

 private:
  void byte(std::uint32_t value) { out_.push_back(static_cast<char>(value)); }
  void encode(std::uint32_t code) {
    if (code < 0x80) return byte(code);
    if (code < 0x800) {
      byte(0xc0 | (code >> 6));
    } else {
      if (code < 0x10000) {
        byte(0xe0 | (code >> 12));
      } else {
        byte(0xf0 | (code >> 18));
        byte(0x80 | ((code >> 12) & 0x3f));
      }
      byte(0x80 | ((code >> 6) & 0x3f));
    }
    byte(0x80 | (code & 0x3f));
  }

  std::string& out_;
  std::uint32_t half_ = 0;
};

/// The escape after a backslash of E'...'. Returns how many bytes it has, 0 where it is wrong.
std::size_t escape(Bytes rest, Unicode& unicode, std::string& value) {
  std::uint32_t code = 0;
  const char kind = rest[0];
  if (kind == 'u' || kind == 'U') {
    const int size = kind == 'u' ? 4 : 8;
    if (read_digits(rest.substr(1), 16, size, size, code) < 0 || !unicode.put(code)) return 0;
    return static_cast<std::size_t>(size) + 1;
  }
  if (!unicode.whole()) return 0;
  if (kind == 'x') {
    const int count = read_digits(rest.substr(1), 16, 1, 2, code);
    if (count < 0) code = 'x';
    value.push_back(static_cast<char>(code));
    return code == 0 ? 0 : static_cast<std::size_t>(count < 0 ? 1 : count + 1);
  }
  const int octal = read_digits(rest, 8, 1, 3, code);
  if (octal > 0) {
    value.push_back(static_cast<char>(code));
    return (code & 0xff) == 0 ? 0 : static_cast<std::size_t>(octal);
  }
  const Bytes from = "bfnrtv";
  const Bytes to = "\b\f\n\r\t\v";
  const std::size_t known = from.find(kind);
  value.push_back(known == Bytes::npos ? kind : to[known]);
  return 1;
}

bool put_escape_part(Bytes part, Unicode& unicode, std::string& value) {
  for (std::size_t i = 0; i < part.size();) {
    if (part[i] == '\\') {
      const std::size_t size = escape(part.substr(i + 1), unicode, value);
      if (size == 0) return false;
      i += 1 + size;
    } else {
      if (!unicode.whole()) return false;
      value.push_back(part[i]);
      i += part[i] == '\'' ? 2 : 1;
    }
  }
  return true;
}

bool put_unicode_part(Bytes part, char mark, Unicode& unicode, std::string& value) {
  for (std::size_t i = 0; i < part.size();) {
    if (part[i] == mark && i + 1 < part.size() && part[i + 1] != mark) {
      std::uint32_t code = 0;
      const bool six = part[i + 1] == '+';
      const int size = six ? 6 : 4;
      if (read_digits(part.substr(i + (six ? 2 : 1)), 16, size, size, code) < 0) return false;
      if (!unicode.put(code)) return false;
      i += static_cast<std::size_t>(size) + (six ? 2 : 1);
    } else {
      if (!unicode.whole() || (part[i] == mark && i + 1 >= part.size())) return false;
      value.push_back(part[i]);
      i += part[i] == '\'' || part[i] == mark ? 2 : 1;
    }
  }
  return true;
}

void put_plain_part(Bytes part, std::string& value) {
  for (std::size_t i = 0; i < part.size(); i += part[i] == '\'' ? 2 : 1) value.push_back(part[i]);
}

/// The character after UESCAPE, if the word follows; else the backslash. 0 where it is none.
char unicode_mark(const char* at, const char* end) noexcept {
  const Bytes word = "uescape";
  at = blank_end(at, end);
  if (at == nullptr || static_cast<std::size_t>(end - at) < word.size()) return '\\';
  for (const char c : word) {
    if (folded(*at++) != c) return '\\';
  }
  at = blank_end(at, end);
  if (at == nullptr || end - at < 3 || *at != '\'' || at[2] != '\'') return 0;
  const Bytes refused = "'\"+ \t\n\r\f\v";
  return digit_of(at[1]) >= 0 || refused.find(at[1]) != Bytes::npos ? '\0' : at[1];
}

}  // namespace

bool literal_value(Bytes text, const Literal& literal, std::string& value) {
  value.clear();
  const Bytes written = literal.span.of(text);
  switch (literal.kind) {
    case LiteralKind::number:
    case LiteralKind::bit_string:
    case LiteralKind::hex_string:
    case LiteralKind::list:
      value = written;
      return true;
    case LiteralKind::dollar_string: {
      const std::size_t tag = written.find('$', 1) + 1;
      value = written.substr(tag, written.size() - 2 * tag);
      return true;
    }
    default:
      break;
  }
  const char* at = written.data();
  const char* const end = at + written.size();
  const bool unicode_string = literal.kind == LiteralKind::unicode_string;
  const char mark = unicode_string ? unicode_mark(end, text.data() + text.size()) : '\0';
  if (unicode_string && mark == 0) return false;
  Unicode unicode(value);
  const bool escapes = literal.kind == LiteralKind::escape_string;
  while (*at != '\'') ++at;
  while (at != nullptr && at < end) {
    const char* const from = at + 1;
    // One part: the kind decides whether a backslash hides a quote.
    for (++at; *at != '\'' || (at + 1 < end && at[1] == '\''); ++at) {
      if (*at == '\'' || (escapes && *at == '\\')) ++at;
    }
    const Bytes part(from, static_cast<std::size_t>(at - from));
    if (escapes ? !put_escape_part(part, unicode, value)
                : unicode_string && !put_unicode_part(part, mark, unicode, value)) {
      return false;
    }
    if (!escapes && !unicode_string) put_plain_part(part, value);
    at = continuation(at + 1, end);
  }
  return unicode.whole();
}

std::string printable(Bytes key) {
  std::string text;
  text.reserve(key.size() + key.size() / 4);
  bool inside = false;
  for (const char c : key) {
    if (c == '"') inside = !inside;
    if (inside || (c != kLiteralMark && c != kListMark && c != kParameterMark)) {
      text.push_back(c);
      if (c == ',' && !inside) text.push_back(' ');
      continue;
    }
    if (!text.empty() && folded(text.back()) != 0) text.push_back(' ');
    text += c == kLiteralMark ? "?" : "...";
  }
  return text;
}

ListReader::ListReader(Bytes text, const Literal& list, StandardStrings standard) noexcept
    : text_(text), at_(list.span.begin), end_(list.span.end), standard_(standard) {}

bool ListReader::next(Element& element) noexcept {
  if (at_ >= end_) return false;
  const char* const begin = text_.data();
  const char* const end = begin + end_;
  const char* at = begin + at_;
  // At the parenthesis of a row, the comma between elements, or the one between rows.
  if (*at == ',' && column_ == 0) at = blank_end(at + 1, end);
  if (at == nullptr || at >= end) return false;
  at = blank_end(at + 1, end);
  const ListElement found = at == nullptr ? ListElement{} : list_element(at, end, standard_);
  if (found.end == nullptr) return false;
  element.span = {static_cast<std::uint32_t>(at - begin),
                  static_cast<std::uint32_t>(found.end - begin)};
  element.row = row_;
  element.column = column_++;
  element.parameter = found.parameter;
  element.literal = found.literal;
  element.kind = found.kind;
  at = blank_end(found.end, end);
  if (at != nullptr && at < end && *at == ')') {
    ++row_;
    column_ = 0;
    at = blank_end(at + 1, end);
  }
  at_ = at == nullptr ? end_ : static_cast<std::uint32_t>(at - begin);
  return true;
}

}  // namespace forebay::sql
