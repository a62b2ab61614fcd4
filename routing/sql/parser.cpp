/// The one file that knows libpg_query. Only its raw parse is used: its other entry points recurse
/// over the tree and can be made to overrun the stack.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "routing/sql/analysis.hpp"
#include "routing/sql/tokens.hpp"

extern "C" {
#include <pg_query.h>
#include <pg_query/pg_query_internal.h>
}

namespace forebay::sql {
namespace {

/// A raw parse and the memory that its tree lives in. PostgreSQL's errors (longjmp) begin and end
/// inside pg_query_raw_parse, so no object here is ever jumped over.
class RawParse {
 public:
  explicit RawParse(const char* text)
      : memory_(pg_query_enter_memory_context()), result_(pg_query_raw_parse(text)) {}
  ~RawParse() {
    std::free(result_.stderr_buffer);
    if (result_.error != nullptr) pg_query_free_error(result_.error);
    pg_query_exit_memory_context(memory_);
  }
  RawParse(const RawParse&) = delete;
  RawParse& operator=(const RawParse&) = delete;

  [[nodiscard]] const char* error() const noexcept {
    return result_.error == nullptr ? nullptr : result_.error->message;
  }
  [[nodiscard]] List* statements() const noexcept { return result_.tree; }

 private:
  MemoryContext memory_;
  PgQueryInternalParsetreeAndError result_;
};

bool is_quoted(LiteralKind kind) noexcept {
  return kind != LiteralKind::number && kind != LiteralKind::list &&
         kind != LiteralKind::dollar_string;
}

/// Makes one literal readable for libpg_query, byte for byte in the same places. Its value is not
/// looked at, so any other does.
void make_readable(const Literal& literal, StandardStrings standard, char* from, char* to) {
  const Bytes written(from, static_cast<std::size_t>(to - from));
  if (literal.kind == LiteralKind::number) {
    // 0x1F and 1_000 are PostgreSQL 16's.
    const bool based = written.size() > 2 && written[0] == '0' && !is_digit(written[1]);
    if (based || written.find('_') != Bytes::npos) std::fill(from, to, '1');
  } else if (is_quoted(literal.kind)) {
    // Its scanner has standard strings only, and knows no comment between the parts of a string.
    const bool other = standard == StandardStrings::off && written[0] == '\'';
    if (!other && written.find("--") == Bytes::npos) return;
    char* const quote = std::find(from, to, '\'');
    std::fill(quote + 1, to - 1, '0');
  }
}

/// The text as libpg_query can read it.
std::string readable(Bytes text, StandardStrings standard, const Shape& shape) {
  std::string copy(text);
  for (const Literal& literal : shape.literals()) {
    if (literal.kind != LiteralKind::list) {
      make_readable(literal, standard, copy.data() + literal.span.begin,
                    copy.data() + literal.span.end);
      continue;
    }
    ListReader reader(text, literal, standard);
    for (ListReader::Element element; reader.next(element);) {
      // With signs and strings of all kinds; a number does for all of them.
      if (!element.literal) continue;
      std::fill(copy.begin() + element.span.begin, copy.begin() + element.span.end, '1');
    }
  }
  return copy;
}

/// Which parts of the text a statement is: those that begin inside it.
void find_parts(const Shape& shape, Span where, Statement& statement) noexcept {
  const auto parts = shape.parts();
  std::uint32_t first = 0;
  while (first < parts.size() && parts[first].begin < where.begin) ++first;
  std::uint32_t last = first;
  while (last < parts.size() && parts[last].begin < where.end) ++last;
  statement.part = first;
  statement.part_count = last - first;
}

FactsPtr unknown(std::string reason) {
  auto* facts = new Facts;
  facts->reason = std::move(reason);
  return FactsPtr(facts);
}

const char* reason_of(ShapeFault fault) noexcept {
  switch (fault) {
    case ShapeFault::too_large:
      return "the text is larger than what is looked at";
    case ShapeFault::too_deep:
      return "the text has too many parentheses open at once";
    default:
      return "a string, a comment or an identifier has no end, or a character begins no token";
  }
}

}  // namespace

FactsPtr understand(Bytes text, StandardStrings standard, const Shape& shape) {
  if (shape.fault() != ShapeFault::none) return unknown(reason_of(shape.fault()));
  const std::string copy = readable(text, standard, shape);
  const RawParse parse(copy.c_str());
  if (parse.error() != nullptr) return unknown(parse.error());
  auto* facts = new Facts;
  const FactsPtr result(facts);
  facts->known = true;
  List* const statements = parse.statements();
  for (int i = 0; i < list_length(statements); ++i) {
    const auto* raw = static_cast<RawStmt*>(list_nth(statements, i));
    Span where{static_cast<std::uint32_t>(raw->stmt_location),
               static_cast<std::uint32_t>(text.size())};
    if (raw->stmt_len > 0) where.end = where.begin + static_cast<std::uint32_t>(raw->stmt_len);
    facts->statements.push_back(Analysis(copy, shape, where).run(raw->stmt));
    find_parts(shape, where, facts->statements.back());
  }
  return result;
}

}  // namespace forebay::sql
