/// The one file that knows libpg_query. Only its raw parse is used: its other entry points recurse
/// over the tree and can be made to overrun the stack.
#include <cstdlib>
#include <string>

#include "routing/sql/analysis.hpp"
#include "routing/sql/readable.hpp"
#include "routing/tenant/judge.hpp"

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

constexpr std::size_t kReasonMax = 200;

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

/// The reason may quote a token of the client's, as long as the text.
FactsPtr unknown(Bytes reason) {
  auto* facts = new Facts;
  facts->reason = reason.substr(0, kReasonMax);
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

FactsPtr understand(Bytes text, StandardStrings standard, const Shape& shape,
                    const tenant::Policy* policy) {
  if (shape.fault() != ShapeFault::none) return unknown(reason_of(shape.fault()));
  const std::string copy = readable(text, standard);
  const RawParse parse(copy.c_str());
  if (parse.error() != nullptr) return unknown(parse.error());
  List* const statements = parse.statements();
  if (list_length(statements) > static_cast<int>(kStatementsMax)) {
    return unknown("the text has more statements than are looked at");
  }
  auto* facts = new Facts;
  const FactsPtr result(facts);
  facts->known = true;
  if (policy != nullptr) facts->verdict = std::make_unique<tenant::Verdict>();
  for (int i = 0; i < list_length(statements); ++i) {
    const auto* raw = static_cast<RawStmt*>(list_nth(statements, i));
    Span where{static_cast<std::uint32_t>(raw->stmt_location),
               static_cast<std::uint32_t>(text.size())};
    if (raw->stmt_len > 0) where.end = where.begin + static_cast<std::uint32_t>(raw->stmt_len);
    Analysis analysis(copy, shape, where);
    facts->statements.push_back(analysis.run(raw->stmt));
    find_parts(shape, where, facts->statements.back());
    if (policy != nullptr) {
      tenant::Judge(*policy, analysis, shape, *facts->verdict)
          .run(raw->stmt, facts->statements.back());
    }
  }
  return result;
}

}  // namespace forebay::sql
