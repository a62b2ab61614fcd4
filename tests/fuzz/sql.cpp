#include <algorithm>
#include <cctype>
#include <string>

#include "forebay/base/assert.hpp"
#include "forebay/routing/sql/facts_cache.hpp"
#include "fuzz/target.hpp"
#include "routing/sql/readable.hpp"

/// A text from a client: its shape, its facts, the values of its literals.
using namespace forebay;

namespace {

constexpr sql::HashSeed kSeed{11, 12};

void check_value(const sql::Value& value, const sql::Shape& shape) {
  if (value.kind == sql::Value::Kind::literal) FB_ASSERT(value.literal < shape.literals().size());
}

void check_statement(const sql::Statement& statement, const sql::Shape& shape) {
  check_value(statement.argument, shape);
  for (const sql::Setting& setting : statement.settings) {
    check_value(setting.name_value, shape);
    for (const sql::Value& value : setting.values) check_value(value, shape);
  }
  FB_ASSERT(statement.complete || statement.may_write || statement.kind == sql::Kind::prepare);
  FB_ASSERT(!(statement.plain_read && statement.may_write));
  FB_ASSERT(statement.inner.size() <= 1);
}

void check_literals(Bytes text, sql::StandardStrings standard, const sql::Shape& shape) {
  std::uint32_t last = 0;
  std::string value;
  for (const sql::Literal& literal : shape.literals()) {
    FB_ASSERT(last <= literal.span.begin && literal.span.begin < literal.span.end);
    last = literal.span.end;
    FB_ASSERT(last <= text.size());
    static_cast<void>(sql::literal_value(text, literal, value));
    if (literal.kind != sql::LiteralKind::list) continue;
    sql::ListReader reader(text, literal, standard);
    for (sql::ListReader::Element element; reader.next(element);) {
      FB_ASSERT(literal.span.begin < element.span.begin && element.span.end < literal.span.end);
    }
  }
}

/// 0b12 and 0x1.5 are a number and another one here, which PostgreSQL calls junk.
bool has_junk(Bytes text, const sql::Shape& shape) {
  for (const sql::Literal& literal : shape.literals()) {
    if (literal.span.end == text.size() || literal.kind != sql::LiteralKind::number) continue;
    const char next = text[literal.span.end];
    if (next == '.' || next == '_' || next < 0) return true;
    if (std::isalnum(static_cast<unsigned char>(next)) != 0) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto standard = (data[0] & 1) == 0 ? sql::StandardStrings::on : sql::StandardStrings::off;
  // The wire format has no NUL in a text.
  std::string text(fuzz::bytes_of(data + 1, size - 1));
  std::replace(text.begin(), text.end(), '\0', ' ');

  sql::FactsCache cache(64 * 1024, kSeed);
  sql::Shape shape;
  const sql::FactsPtr facts(&cache.facts(text, standard, shape));
  FB_ASSERT(facts->known || (facts->statements.empty() && !facts->reason.empty()));
  if (shape.fault() == sql::ShapeFault::none) {
    check_literals(text, standard, shape);
    // What the parser was given has the same literals in the same places.
    sql::Shape given;
    sql::lex(sql::readable(text, standard), sql::StandardStrings::on, kSeed, given);
    if (has_junk(text, shape)) return 0;
    FB_ASSERT(given.literals().size() == shape.literals().size());
    for (std::size_t i = 0; i < shape.literals().size(); ++i) {
      FB_ASSERT(given.literals()[i].span == shape.literals()[i].span);
    }
  }
  for (const sql::Statement& statement : facts->statements) check_statement(statement, shape);
  // Again, now from the cache and into a used shape.
  const std::string key(shape.key());
  FB_ASSERT(cache.facts(text, standard, shape).statements == facts->statements);
  FB_ASSERT(shape.key() == key && cache.consistent());
  return 0;
}
