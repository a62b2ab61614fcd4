#include <gtest/gtest.h>

#include <set>

#include "unit/routing/corpus.hpp"
#include "unit/routing/print_facts.hpp"

namespace forebay {
namespace {

using sql::StandardStrings;

constexpr sql::HashSeed kSeed{3, 4};

sql::FactsPtr facts_of(Bytes text, sql::Shape& shape,
                       StandardStrings standard = StandardStrings::on) {
  sql::lex(text, standard, kSeed, shape);
  return sql::understand(text, standard, shape);
}

std::string printed(Bytes text, StandardStrings standard = StandardStrings::on) {
  sql::Shape shape;
  return test::print(*facts_of(text, shape, standard));
}

TEST(Facts, SelfTestPasses) {
  const auto result = sql::self_test();
  EXPECT_TRUE(result.has_value()) << result.error().message;
}

TEST(Facts, OfTheCorpus) {
  std::set<sql::Kind> kinds;
  std::size_t count = 0;
  for (const test::Expected& expected : test::corpus()) {
    sql::Shape shape;
    const sql::FactsPtr facts = facts_of(expected.statement, shape);
    EXPECT_EQ(test::print(*facts), expected.facts)
        << "line " << expected.line << ": " << expected.statement;
    for (const sql::Statement& statement : facts->statements) kinds.insert(statement.kind);
    ++count;
  }
  EXPECT_GT(count, 430U);
  // Every kind but `unknown` comes up.
  EXPECT_EQ(kinds.size(), static_cast<std::size_t>(sql::Kind::set_constraints));
}

TEST(Facts, LiteralsAreReferences) {
  sql::Shape shape;
  std::string value;
  const Bytes first = "SELECT a FROM t WHERE b IN (1, 2) AND set_config('x', 'one', false) = ''";
  const Bytes second = "select A from T where B in (7) and SET_CONFIG(E'\\x78', $$two$$, FALSE)=''";
  const sql::FactsPtr facts = facts_of(first, shape);
  const sql::Setting setting = facts->statements.at(0).settings.at(0);
  ASSERT_EQ(setting.name_value.kind, sql::Value::Kind::literal);
  ASSERT_TRUE(sql::literal_value(first, shape.literals()[setting.name_value.literal], value));
  EXPECT_EQ(value, "x");
  ASSERT_TRUE(sql::literal_value(first, shape.literals()[setting.values[0].literal], value));
  EXPECT_EQ(value, "one");

  const std::string key(shape.key());
  EXPECT_EQ(facts_of(second, shape)->statements, facts->statements) << "of the same shape";
  EXPECT_EQ(shape.key(), key);
  ASSERT_TRUE(sql::literal_value(second, shape.literals()[setting.name_value.literal], value));
  EXPECT_EQ(value, "x");
  ASSERT_TRUE(sql::literal_value(second, shape.literals()[setting.values[0].literal], value));
  EXPECT_EQ(value, "two");
}

TEST(Facts, StringsThatAreNotStandard) {
  // With the setting off the string goes on past the backslash, and there is one call less.
  const Bytes text = "SELECT 'a\\', f(1), 'b' FROM t";
  EXPECT_EQ(printed(text), "select PLAIN no-write tables=r:t calls=f");
  EXPECT_EQ(printed("SELECT 'a\\', f(1), ' FROM t", StandardStrings::off),
            "select PLAIN no-write tables=r:t");
  EXPECT_EQ(printed("SELECT 'a\\\\', f(1), 'b' FROM t", StandardStrings::off),
            "select PLAIN no-write tables=r:t calls=f");
  EXPECT_EQ(printed("SELECT 'a\\''\n '\\'', f(1)", StandardStrings::off),
            "select PLAIN no-write calls=f");
  EXPECT_EQ(printed("SELECT a IN ('\\'', 'b'), f('x')", StandardStrings::off),
            "select PLAIN no-write calls=f");
}

TEST(Facts, ContinuedStrings) {
  EXPECT_EQ(printed("SET x = 'a'\n  'b'"), "set no-write sets={x #0}");
  EXPECT_EQ(printed("SELECT set_config('a' -- why\n 'b', 'c', true)"),
            "select PLAIN no-write calls=set_config(#0 #1 true) sets={local call #0 #1}");
}

TEST(Facts, PartsOfStatements) {
  sql::Shape shape;
  const Bytes text =
      "; SELECT 1;; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; BEGIN";
  const sql::FactsPtr facts = facts_of(text, shape);
  ASSERT_EQ(facts->statements.size(), 3U);
  ASSERT_EQ(shape.parts().size(), 5U);
  EXPECT_EQ(facts->statements[0].part, 0U);
  EXPECT_EQ(facts->statements[1].part, 1U);
  EXPECT_EQ(facts->statements[1].part_count, 3U);
  EXPECT_EQ(facts->statements[2].part, 4U);
  EXPECT_EQ(shape.parts()[4].of(text), "BEGIN");
}

TEST(Facts, LimitsAreReached) {
  const std::string spaces(sql::kTextMax - 8, ' ');
  EXPECT_EQ(printed("SELECT 1" + spaces), "select PLAIN no-write");
  EXPECT_EQ(printed("SELECT 1" + spaces + " "),
            "UNKNOWN the text is larger than what is looked at");
  const std::string open(sql::kDepthMax, '(');
  const std::string close(sql::kDepthMax, ')');
  EXPECT_EQ(printed("SELECT " + open + "f(" + "1" + ")" + close),
            "UNKNOWN the text has too many parentheses open at once");
  EXPECT_EQ(printed("SELECT " + open + "1" + close), "select PLAIN no-write");
  EXPECT_EQ(printed("SELECT a IN " + open + "1" + close), "select PLAIN no-write");
  EXPECT_EQ(printed("SELECT " + open + "a IN (1)" + close),
            "UNKNOWN the text has too many parentheses open at once");
}

TEST(Facts, BytesCountWhatIsHeld) {
  sql::Shape shape;
  const std::size_t small = facts_of("SELECT 1", shape)->bytes();
  EXPECT_GE(small, sizeof(sql::Facts) + sizeof(sql::Statement));
  const std::string name(50, 'x');
  EXPECT_GE(facts_of("SELECT 1 FROM " + name, shape)->bytes(), small + sizeof(sql::Table) + 50);
}

}  // namespace
}  // namespace forebay
