#include <gtest/gtest.h>
#include <pthread.h>

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

// "Using Composite Types in Queries".
TEST(Facts, FunctionsAsAttributes) {
  const auto called = [](Bytes text) {
    sql::Shape shape;
    const sql::FactsPtr facts = facts_of(text, shape);
    std::string names;
    for (const sql::Function& function : facts->statements.at(0).functions) {
      names += function.name + " ";
    }
    return names;
  };
  EXPECT_EQ(called("SELECT ('select 1'::text).ts_stat"), "ts_stat ");
  EXPECT_EQ(called("SELECT x.price FROM t x WHERE (x.pg_advisory_lock) IS NULL"),
            "pg_advisory_lock ");
  EXPECT_EQ(called("SELECT (a.b).c, pg_class.relname, pg_id FROM a, pg_class"), "");
}

// Whether a call that ends another session is made shows in the text, or not.
TEST(Facts, SignalsThatAreSureToBeSent) {
  const auto sure = [](Bytes text) {
    sql::Shape shape;
    const sql::FactsPtr facts = facts_of(text, shape);
    const sql::Function& function = facts->statements.at(0).functions.at(0);
    EXPECT_EQ(function.arguments.size(), 1u) << text;
    return function.sure;
  };
  EXPECT_TRUE(sure("SELECT pg_terminate_backend(5000000)"));
  EXPECT_TRUE(sure("SELECT pg_catalog.pg_cancel_backend($1::int4) AS done, 1"));
  EXPECT_TRUE(sure("SELECT pg_terminate_backend($1) FROM t WHERE false"));
  EXPECT_FALSE(sure("SELECT NOT pg_terminate_backend($1)"));
  EXPECT_FALSE(sure("SELECT CASE WHEN false THEN pg_terminate_backend(5000000) END"));
  EXPECT_FALSE(sure("SELECT 1 WHERE pg_terminate_backend(5000000)"));
  EXPECT_FALSE(sure("SELECT pg_terminate_backend(5000000) LIMIT 0"));
  EXPECT_FALSE(sure("SELECT * FROM pg_terminate_backend(5000000)"));
  EXPECT_FALSE(sure("EXPLAIN ANALYZE SELECT pg_terminate_backend(5000000)"));
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

/// `count` pieces, numbered.
std::string many(std::string text, std::size_t count, const char* before, const char* after) {
  for (std::size_t i = 0; i < count; ++i) text += before + std::to_string(i) + after;
  return text;
}

TEST(Facts, LimitsOfWhatAStatementNames) {
  const auto complete = [](const std::string& text) {
    sql::Shape shape;
    const sql::FactsPtr facts = facts_of(text, shape);
    const sql::Statement& statement = facts->statements.at(0);
    // What was not looked at may do anything.
    EXPECT_NE(statement.complete, statement.may_write && statement.hidden_code);
    EXPECT_EQ(statement.complete, statement.plain_read);
    return statement.complete;
  };
  EXPECT_TRUE(complete(many("SELECT 1 FROM a", sql::kTablesMax - 1, ",t", "")));
  EXPECT_FALSE(complete(many("SELECT 1 FROM a", sql::kTablesMax, ",t", "")));
  EXPECT_TRUE(complete(many("SELECT a()", sql::kFunctionsMax - 1, ",f", "()")));
  EXPECT_FALSE(complete(many("SELECT a()", sql::kFunctionsMax, ",f", "()")));
  EXPECT_TRUE(complete(many("SELECT 1", sql::kSettingsMax, ",set_config(", ",a,b)")));
  EXPECT_FALSE(complete(many("SELECT 1", sql::kSettingsMax + 1, ",x.set_config($1,", ")")));
  EXPECT_TRUE(complete(many("WITH a AS (TABLE t)", sql::kQueriesMax - 1, ",q", " AS (TABLE t)") +
                       "SELECT 1"));
  EXPECT_FALSE(
      complete(many("WITH a AS (TABLE t)", sql::kQueriesMax, ",q", " AS (TABLE t)") + "SELECT 1"));
  std::string calls = "SELECT f()";
  for (std::size_t i = 1; i < sql::kReferencesMax; ++i) calls += ",f()";
  EXPECT_TRUE(complete(calls));
  EXPECT_FALSE(complete(calls + ",f()"));

  const auto statements = [](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += "SELECT 1;";
    return printed(text);
  };
  EXPECT_TRUE(statements(sql::kStatementsMax).starts_with("select"));
  EXPECT_EQ(statements(sql::kStatementsMax + 1),
            "UNKNOWN the text has more statements than are looked at");
}

/// Nothing recurses over what a client sent, so the smallest stack will do.
TEST(Facts, DeepTreesNeedNoStack) {
  const auto repeated = [](std::string text, const char* unit, const char* after) {
    const std::size_t room = sql::kTextMax - text.size() - std::string(after).size();
    for (std::size_t i = 0; i < room / std::string(unit).size(); ++i) text += unit;
    return text + after;
  };
  const std::string texts[] = {
      repeated("SELECT ", "1+", "1"),
      repeated("SELECT ", "NOT ", "true"),
      repeated("SELECT ", "- ", "1"),
      repeated("SELECT 1", "::a", ""),
      repeated("SELECT 1", " UNION SELECT 1", ""),
      repeated("SELECT 1 FROM a", " JOIN a ON b", ""),
      repeated("(SELECT 1 ORDER BY ", "1+", "1) ORDER BY 2"),
      repeated("SELECT 1 WHERE a", " AND a OR a", ""),
      repeated("", "EXPLAIN ", "SELECT 1"),
      repeated("", "PREPARE p AS ", "SELECT 1"),
      repeated("SELECT ", "CASE WHEN ", "1"),
  };
  for (const std::string& text : texts) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    pthread_t thread;
    const auto run = [](void* given) -> void* {
      sql::Shape shape;
      facts_of(*static_cast<const std::string*>(given), shape);
      return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, &attributes, run, const_cast<std::string*>(&text)), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
  }
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
