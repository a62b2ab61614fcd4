#include "forebay/routing/rules/rule_set.hpp"

#include <gtest/gtest.h>

#include <string>

#include "forebay/routing/sql/facts_cache.hpp"

namespace forebay {
namespace {

using rules::Mask;
using rules::RuleSet;
using Rule = config::Rule;

std::shared_ptr<const RuleSet> set_of(const std::vector<Rule>& all,
                                      const RuleSet* before = nullptr) {
  return RuleSet::make(all, before).value();
}

Rule refusing() {
  return {.name = "r", .error = "no"};
}

/// Whether a single rule matches a text.
bool matches(const Rule& rule, Bytes text) {
  const auto set = set_of({rule});
  sql::Shape shape;
  lex(text, sql::StandardStrings::on, {1, 2}, shape);
  const auto facts = sql::understand(text, sql::StandardStrings::on, shape);
  const Mask mask = set->of_shape(text, sql::StandardStrings::on, shape, *facts);
  return set->found_in(mask, text) == 1;
}

TEST(RuleSet, looks_at_kinds_and_tables_together) {
  Rule rule = refusing();
  rule.kinds = {"delete"};
  rule.tables = {"orders"};
  EXPECT_TRUE(matches(rule, "DELETE FROM orders"));
  EXPECT_TRUE(matches(rule, "delete from app.orders where id = 1"));
  EXPECT_FALSE(matches(rule, "DELETE FROM items"));
  EXPECT_FALSE(matches(rule, "SELECT * FROM orders"));
  EXPECT_FALSE(matches(rule, "SELECT 'DELETE FROM orders'"));
  EXPECT_FALSE(matches(rule, "DELETE FROM items; SELECT * FROM orders")) << "one does both";
  EXPECT_FALSE(matches(rule, "DELETE FROM \"ORDERS\"")) << "another table";
  EXPECT_FALSE(matches(rule, ""));
}

TEST(RuleSet, is_not_dodged) {
  Rule rule = refusing();
  rule.kinds = {"delete"};
  rule.tables = {"public.orders"};
  for (const char* text : {
           "DELETE/**/FROM--\n orders",
           "/* select 1 */ dElEtE from ONLY \"orders\"",
           "DELETE FROM U&\"\\006frders\"",
           "DELETE FROM db.public.orders",
           "SELECT 1; DELETE FROM orders",
           ";;DELETE FROM orders;SELECT 1",
           "PREPARE p AS DELETE FROM orders",
           "EXPLAIN ANALYZE DELETE FROM orders",
           "EXPLAIN (ANALYZE) DELETE FROM orders AS x",
           "WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d",
           "COPY (DELETE FROM orders RETURNING 1) TO STDOUT",
           "INSERT INTO x WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d",
           "MERGE INTO orders o USING x ON true WHEN MATCHED THEN DELETE",
       }) {
    EXPECT_TRUE(matches(rule, text)) << text;
  }
}

TEST(RuleSet, counts_what_is_done_to_rows) {
  Rule update = refusing();
  update.kinds = {"update"};
  EXPECT_TRUE(matches(update, "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2"));
  EXPECT_FALSE(matches(update, "INSERT INTO t VALUES (1)"));
  EXPECT_FALSE(matches(update, "WITH d AS (DELETE FROM t RETURNING 1) SELECT * FROM d"));
  EXPECT_TRUE(matches(update, "WITH u AS (UPDATE t SET a = 1) SELECT 1"));
  Rule makes = refusing();
  makes.kinds = {"create_table_as"};
  EXPECT_TRUE(matches(makes, "SELECT * INTO x FROM t"));
}

TEST(RuleSet, takes_what_nobody_knows_for_what_is_refused) {
  Rule rule = refusing();
  rule.tables = {"orders"};
  const std::string large = "SELECT 1 /*" + std::string(sql::kTextMax, ' ') + "*/";
  for (const std::string& text : {large, std::string("SELECT 'x"), std::string("NEW GRAMMAR")}) {
    EXPECT_TRUE(matches(rule, text));
    Rule open = rule;
    open.unknown = false;
    EXPECT_FALSE(matches(open, text));
    Rule timed{.name = "t", .tables = {"orders"}, .statement_timeout = std::chrono::seconds(1)};
    EXPECT_FALSE(matches(timed, text));
    EXPECT_TRUE(matches(Rule{.name = "all", .log = true}, text)) << "it asks for nothing";
  }
}

TEST(RuleSet, finds_no_pattern_in_what_nobody_read) {
  const auto pattern = config::Pattern::compile("pg_sleep").value();
  const std::vector<Rule> all = {
      {.name = "slow", .pattern = pattern, .statement_timeout = std::chrono::seconds(1)},
      {.name = "all", .log = true},
      {.name = "no", .pattern = pattern, .error = "no"}};
  const auto set = RuleSet::make(all, nullptr).value();
  EXPECT_EQ(set->of_unknown(), 6U);
}

TEST(RuleSet, finds_functions_by_their_names) {
  Rule rule = refusing();
  rule.functions = {"pg_catalog.pg_sleep"};
  EXPECT_TRUE(matches(rule, "SELECT pg_sleep(1)"));
  EXPECT_TRUE(matches(rule, "SELECT PG_CATALOG.\"pg_sleep\"(1)"));
  EXPECT_TRUE(matches(rule, "SELECT 1 WHERE EXISTS (SELECT pg_sleep(1))"));
  EXPECT_FALSE(matches(rule, "SELECT app.pg_sleep(1)"));
  EXPECT_FALSE(matches(rule, "SELECT 'pg_sleep(1)'"));
}

TEST(RuleSet, finds_what_is_not_listed) {
  Rule tables = refusing();
  tables.other_tables = {"orders", "app.items"};
  EXPECT_FALSE(matches(tables, "SELECT 1"));
  EXPECT_FALSE(matches(tables, "SELECT * FROM orders, app.items"));
  EXPECT_TRUE(matches(tables, "SELECT * FROM items")) << "whose, search_path says";
  EXPECT_TRUE(matches(tables, "SELECT * FROM bolt.orders"));
  EXPECT_TRUE(matches(tables, "DROP SCHEMA bolt CASCADE"));
  EXPECT_TRUE(matches(tables, "DROP POLICY p ON secrets"));
  EXPECT_TRUE(matches(tables, "VACUUM"));
  EXPECT_FALSE(matches(tables, "ANALYZE orders"));
  EXPECT_FALSE(matches(tables, "WITH d AS (SELECT * FROM orders) SELECT * FROM d"));
  EXPECT_TRUE(matches(tables, "SELECT * FROM orders, secrets"));
  EXPECT_TRUE(matches(tables, "SELECT 1 WHERE EXISTS (TABLE other.items)"));
  EXPECT_TRUE(matches(tables, "SELECT 1; EXPLAIN DELETE FROM secrets"));
  EXPECT_TRUE(matches(tables, "WITH orders AS (TABLE secrets) SELECT * FROM orders"));
  EXPECT_TRUE(matches(tables, "COPY secrets TO STDOUT"));
  EXPECT_TRUE(matches(tables, "SELECT 'x")) << "nobody knows";
  Rule functions = refusing();
  functions.other_functions = {"lower", "count"};
  EXPECT_FALSE(matches(functions, "SELECT lower('X'), count(*) FROM orders"));
  EXPECT_TRUE(matches(functions, "SELECT lower(upper('x'))"));
  EXPECT_TRUE(matches(functions, "SELECT evil.lower('x')"));
  // Both are asked of one statement.
  tables.kinds = {"delete"};
  EXPECT_FALSE(matches(tables, "SELECT * FROM secrets; DELETE FROM orders"));
  EXPECT_TRUE(matches(tables, "DELETE FROM secrets"));
}

TEST(RuleSet, finds_shapes_and_patterns) {
  Rule shape{.name = "s", .statements = {"SELECT * FROM t WHERE id = 1"}, .log = true};
  EXPECT_TRUE(matches(shape, "select * from T /* x */ where id=2"));
  EXPECT_TRUE(matches(shape, "select 1; select * from t where id = 5"));
  EXPECT_FALSE(matches(shape, "select * from t where id = $1"));
  Rule pattern{.name = "p", .kinds = {"select"}, .pattern = {}, .log = true};
  pattern.pattern = config::Pattern::compile("secret").value();
  EXPECT_TRUE(matches(pattern, "select 'a secret'"));
  EXPECT_FALSE(matches(pattern, "select 'nothing'"));
  EXPECT_FALSE(matches(pattern, "insert into t values ('a secret')"));
  EXPECT_FALSE(RuleSet::make({{.name = "w", .statements = {"select 'x"}, .log = true}}, nullptr));
}

TEST(RuleSet, concerns_sessions) {
  Rule everybody{.name = "1", .log = true};
  Rule one{.name = "2", .databases = {"app"}, .users = {"u", "v"}, .log = true};
  Rule near{.name = "3", .log = true};
  near.addresses = {config::Network::parse("10.0.0.0/8").value()};
  Rule tenant{.name = "4", .tenants = {"acme"}, .log = true};
  const auto set = set_of({everybody, one, near, tenant});
  EXPECT_EQ(set->of_session("app", "v", "", "10.1.2.3"), 0b111U);
  EXPECT_EQ(set->of_session("app", "w", "", "11.1.2.3"), 0b001U);
  EXPECT_EQ(set->of_session("other", "u", "", "::ffff:10.0.0.1"), 0b101U);
  EXPECT_EQ(set->of_session("app", "u", "", ""), 0b011U) << "through a Unix socket";
  EXPECT_EQ(set->of_session("other", "x", "acme", "11.1.2.3"), 0b1001U);
  EXPECT_EQ(set->of_session("other", "x", "acme2", "11.1.2.3"), 0b0001U);
}

TEST(RuleSet, judges_each_shape_once) {
  Rule rule = refusing();
  rule.tables = {"t"};
  const auto set = set_of({rule});
  sql::FactsCache cache(1 << 20, {1, 2});
  sql::Shape shape;
  const sql::Facts& facts =
      cache.facts("select * from t where a = 1", sql::StandardStrings::on, shape);
  EXPECT_EQ(set->of_shape("select * from t where a = 1", {}, shape, facts), 1U);
  EXPECT_EQ(facts.rules_judge, set->serial());
  facts.rules = 0;  // is believed
  EXPECT_EQ(set->of_shape("select * from t where a = 2", {}, shape, facts), 0U);
  EXPECT_EQ(set_of({rule})->of_shape("select * from t where a = 2", {}, shape, facts), 1U);
}

TEST(RuleSet, hands_on_its_hits) {
  const auto before = set_of({{.name = "a", .log = true}, {.name = "b", .log = true}});
  before->hits(1).add(3);
  before->hits(1).add(11);
  const auto after =
      set_of({{.name = "b", .error = "x"}, {.name = "c", .log = true}}, before.get());
  EXPECT_EQ(after->hits(0).value(), 2U);
  EXPECT_EQ(after->hits(1).value(), 0U);
}

TEST(RuleSet, knows_each_kind_by_its_name) {
  const std::pair<const char*, const char*> examples[] = {
      {"select", "TABLE t"},    {"copy_in", "COPY t FROM STDIN"},
      {"ddl", "TRUNCATE t"},    {"create_table_as", "CREATE TABLE t AS SELECT 1"},
      {"begin", "BEGIN"},       {"commit", "END"},
      {"set", "SET a.b = 1"},   {"do", "DO 'BEGIN END'"},
      {"call", "CALL p()"},     {"set_constraints", "SET CONSTRAINTS ALL DEFERRED"},
      {"execute", "EXECUTE p"}, {"declare_cursor", "DECLARE c CURSOR FOR SELECT 1"},
      {"lock", "LOCK t"},       {"utility", "VACUUM"},
      {"listen", "LISTEN c"},   {"deallocate", "DEALLOCATE p"},
  };
  for (const auto& [kind, text] : examples) {
    for (const std::string_view other : config::kStatementKinds) {
      Rule rule{.name = "k", .kinds = {std::string(other)}, .log = true};
      EXPECT_EQ(matches(rule, text), other == kind) << kind << " " << other;
    }
  }
}

}  // namespace
}  // namespace forebay
