#include "app/learn_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "forebay/config/load.hpp"
#include "unit/config/fake_environment.hpp"

namespace forebay::app {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

constexpr std::uint64_t bit(sql::Kind kind) {
  return std::uint64_t{1} << static_cast<unsigned>(kind);
}

TEST(LearnedRules, close_what_was_not_seen) {
  core::Learned learned;
  learned.tables = {"app.items", "orders"};
  learned.kinds = bit(sql::Kind::select) | bit(sql::Kind::update);
  const auto rules = learned_rules("acme", learned, {.databases = {"app"}});
  ASSERT_EQ(rules.size(), 3U);
  EXPECT_EQ(rules[0].name, "learned tables of tenant acme");
  EXPECT_EQ(rules[0].error, "tenant acme may not use this table");
  EXPECT_THAT(rules[0].other_tables, ElementsAre("app.items", "orders"));
  EXPECT_EQ(rules[1].other_functions.size(), 1U) << "an empty list would not be looked at";
  EXPECT_THAT(rules[2].kinds, Not(Contains("select")));
  EXPECT_THAT(rules[2].kinds, Not(Contains("update")));
  EXPECT_THAT(rules[2].kinds, Contains("delete"));
  EXPECT_THAT(rules[2].kinds, Not(Contains("rollback"))) << "every session may need it";
  for (const config::Rule& rule : rules) {
    EXPECT_TRUE(rule.dry_run);
    EXPECT_THAT(rule.tenants, ElementsAre("acme"));
    EXPECT_THAT(rule.databases, ElementsAre("app"));
  }
}

TEST(LearnedRules, of_all_name_no_tenant) {
  for (const config::Rule& rule : learned_rules("*", {}, {.databases = {"*"}})) {
    EXPECT_TRUE(rule.tenants.empty());
    EXPECT_TRUE(rule.databases.empty());
  }
}

TEST(LearnedRules, are_read_as_they_are_written) {
  core::Learned learned;
  learned.tables = {"a \"b\" \\ \n", "orders"};
  const auto rules = learned_rules("acme", learned, {.databases = {"app"}});
  std::string text = "[databases.any]\nhosts = [\"db\"]\n";
  for (const config::Rule& rule : rules) text += config::toml_of(rule);
  const auto loaded = config::load_text(text, config::FakeEnvironment());
  ASSERT_TRUE(loaded.config.has_value()) << text;
  EXPECT_EQ(loaded.config->rules, rules);
}

}  // namespace
}  // namespace forebay::app
