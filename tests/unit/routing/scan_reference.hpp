#pragma once

#include <pg_query.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "forebay/routing/sql/shape.hpp"

/// A shape made slowly and plainly from the tokens of PostgreSQL's own scanner, to compare ours
/// with.
namespace forebay::test {

struct Token {
  enum class Kind { word, literal, parameter, op, dot, mark };
  Kind kind = Kind::mark;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::string key;  // what a shape's key has for it; literals have none
  bool number = false;
};

/// libpg_query's ScanResult: version = 1, tokens = 2 {start = 1, end = 2, token = 4}.
class ScanReader {
 public:
  explicit ScanReader(Bytes packed) : rest_(packed) {}
  struct Raw {
    std::uint32_t start = 0;
    std::uint32_t end = 0;
    std::uint32_t token = 0;
  };
  bool next(Raw& raw) {
    while (!rest_.empty()) {
      const std::uint64_t tag = varint(rest_);
      if (tag != (2 << 3 | 2)) {
        varint(rest_);
        continue;
      }
      const std::uint64_t size = varint(rest_);
      Bytes body = rest_.substr(0, size);
      rest_.remove_prefix(size);
      raw = {};
      while (!body.empty()) {
        const std::uint64_t field = varint(body) >> 3;
        const auto value = static_cast<std::uint32_t>(varint(body));
        (field == 1 ? raw.start : field == 2 ? raw.end : field == 4 ? raw.token : unused_) = value;
      }
      return true;
    }
    return false;
  }

 private:
  static std::uint64_t varint(Bytes& from) {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(from.front());
      from.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 128) return value;
    }
  }
  Bytes rest_;
  std::uint32_t unused_ = 0;
};

inline std::string lower_ascii(Bytes text) {
  std::string small(text);
  for (char& c : small) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return small;
}

/// Where U&"..." or U&'...' ends, of which the scanner's result has less.
inline std::uint32_t unicode_end(Bytes text, std::uint32_t begin) {
  const char quote = text[begin + 2];
  for (std::size_t at = begin + 3; at < text.size(); ++at) {
    if (text[at] != quote) continue;
    if (at + 1 < text.size() && text[at + 1] == quote) {
      ++at;
      continue;
    }
    const std::size_t next = text.find_first_not_of(" \t\n\r\f", at + 1);
    const bool goes_on = quote == '\'' && next != Bytes::npos && text[next] == quote &&
                         text.substr(at, next - at).find_first_of("\n\r") != Bytes::npos;
    if (!goes_on) return static_cast<std::uint32_t>(at + 1);
    at = next;
  }
  return static_cast<std::uint32_t>(text.size());
}

/// Numbers of libpg_query.proto's enum Token.
inline Token token_of(const ScanReader::Raw& raw, Bytes text) {
  Token token;
  token.begin = raw.start;
  token.end = raw.end;
  if (raw.token == 259 || raw.token == 262) token.end = unicode_end(text, raw.start);
  const Bytes written = text.substr(raw.start, token.end - raw.start);
  if (raw.token == 260 || raw.token == 266) {  // FCONST, ICONST
    token.kind = Token::Kind::literal;
    token.number = true;
  } else if (raw.token >= 261 && raw.token <= 264) {  // SCONST, USCONST, BCONST, XCONST
    token.kind = Token::Kind::literal;
  } else if (raw.token == 267) {  // PARAM
    token.kind = Token::Kind::parameter;
    token.key = written;
  } else if (raw.token == 258 || raw.token == 259 || raw.token > 276) {
    token.kind = Token::Kind::word;
    token.key = written;
    if (raw.token != 259 && written[0] != '"') token.key = lower_ascii(written);
    if (raw.token == 259) token.key[0] = 'u';
    if (token.key == "n" && text[raw.end] == '\'') token.key = "N";
  } else {
    token.key = written;
    const bool dot = raw.token == '.' || raw.token == 269;
    const bool bare = Bytes("()[],;").find(written[0]) != Bytes::npos;
    token.kind = dot ? Token::Kind::dot : bare ? Token::Kind::mark : Token::Kind::op;
  }
  return token;
}

/// Nothing where PostgreSQL's scanner refuses the text.
inline std::optional<std::vector<Token>> tokens_of(const std::string& text) {
  const PgQueryScanResult result = pg_query_scan(text.c_str());
  std::optional<std::vector<Token>> tokens;
  if (result.error == nullptr) {
    tokens.emplace();
    ScanReader reader({result.pbuf.data, result.pbuf.len});
    for (ScanReader::Raw raw; reader.next(raw);) {
      if (raw.token == 275 || raw.token == 276 || raw.token == 0) continue;  // comments, end
      tokens->push_back(token_of(raw, text));
    }
  }
  pg_query_free_scan_result(result);
  return tokens;
}

struct ShapeReference {
  std::string key;
  std::vector<sql::Span> literals;
  std::vector<sql::Span> parts;
};

class ReferenceMaker {
 public:
  ReferenceMaker(Bytes text, std::vector<Token> tokens) : text_(text), tokens_(std::move(tokens)) {}

  ShapeReference make() {
    while (at_ < tokens_.size()) {
      const Token& token = tokens_[at_];
      if (token.key == ";" && open_ == 0) {
        end_part();
        ++at_;
        continue;
      }
      if (!in_part_) {
        in_part_ = true;
        if (!result_.parts.empty()) result_.key += ';';
        result_.parts.push_back({token.begin, token.end});
        last_ = Token::Kind::mark;
      }
      put(token);
      result_.parts.back().end = tokens_[at_].end;
      ++at_;
      if (token.kind == Token::Kind::word && at_ < tokens_.size()) fold(token.key);
    }
    return std::move(result_);
  }

 private:
  void end_part() { in_part_ = false; }

  void put(const Token& token) {
    using Kind = Token::Kind;
    const Kind kind = token.kind == Kind::parameter ? Kind::word : token.kind;
    if (kind == Kind::literal) {
      result_.literals.push_back({token.begin, token.end});
      const bool stays = at_ > 0 && tokens_[at_ - 1].key == "uescape";
      result_.key += sql::kLiteralMark;
      if (stays) {
        result_.key += text_.substr(token.begin, token.end - token.begin);
        result_.key += sql::kLiteralMark;
      }
      last_ = Kind::mark;
      return;
    }
    if (kind != Kind::mark && kind == last_) result_.key += ' ';
    result_.key += token.key;
    last_ = kind;
    if (token.key == "(" || token.key == "[") ++open_;
    if ((token.key == ")" || token.key == "]") && open_ > 0) --open_;
  }

  [[nodiscard]] bool is(std::size_t at, Bytes key) const {
    return at < tokens_.size() && tokens_[at].kind != Token::Kind::literal &&
           tokens_[at].key == key;
  }

  /// The token after an element that can be folded, or `at`.
  std::size_t element(std::size_t at, bool& parameters) const {
    if (at >= tokens_.size()) return at;
    const Token& token = tokens_[at];
    const bool sign = is(at, "-") || is(at, "+");
    if (sign && at + 1 < tokens_.size() && tokens_[at + 1].number &&
        text_[tokens_[at + 1].begin] != '.') {
      return at + 2;
    }
    if (token.kind == Token::Kind::literal) {
      return token.number && text_[token.begin] == '.' ? at : at + 1;
    }
    if (token.kind == Token::Kind::parameter) {
      parameters = true;
      return at + 1;
    }
    const bool known = token.key == "null" || token.key == "true" || token.key == "false" ||
                       token.key == "default";
    return known && token.kind == Token::Kind::word ? at + 1 : at;
  }

  /// The token after a row that can be folded, or `at`.
  std::size_t row(std::size_t at, std::size_t& columns, bool& parameters) const {
    columns = 0;
    if (!is(at, "(")) return at;
    for (std::size_t next = at;;) {
      const std::size_t after = element(next + 1, parameters);
      if (after == next + 1) return at;
      ++columns;
      if (is(after, ")")) return after + 1;
      if (!is(after, ",")) return at;
      next = after;
    }
  }

  void fold(const std::string& word) {
    if (word != "in" && word != "values") return;
    std::size_t columns = 0;
    bool parameters = false;
    const std::size_t first = at_;
    std::size_t after = row(at_, columns, parameters);
    if (after == first) return;
    while (word == "values" && is(after, ",")) {
      std::size_t more = 0;
      bool here = false;
      const std::size_t end = row(after + 1, more, here);
      if (end == after + 1 || more != columns) break;
      parameters = parameters || here;
      after = end;
    }
    result_.key += '(';
    for (std::size_t i = 0; i < (word == "in" ? 1 : columns); ++i) {
      if (i > 0) result_.key += ',';
      result_.key += parameters ? sql::kParameterMark : sql::kListMark;
    }
    result_.key += ')';
    result_.literals.push_back({tokens_[first].begin, tokens_[after - 1].end});
    result_.parts.back().end = tokens_[after - 1].end;
    at_ = after;
    last_ = Token::Kind::mark;
  }

  Bytes text_;
  std::vector<Token> tokens_;
  ShapeReference result_;
  std::size_t at_ = 0;
  std::size_t open_ = 0;
  bool in_part_ = false;
  Token::Kind last_ = Token::Kind::mark;
};

}  // namespace forebay::test
