#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.hpp"
#include "forebay/config/difference.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

LoadedConfig load_rules(const std::string& rules) {
  return load_text(kAnyDatabase + rules);
}

std::vector<std::string> errors_with(const std::string& keys) {
  return errors_of(kAnyDatabase + "[[rules]]\n" + keys);
}

TEST(Rules, are_read_in_their_order) {
  const auto loaded = load_rules(
      "[[rules]]\nname = \"b\"\nkinds = [\"delete\", \"ddl\"]\ntables = [\"orders\"]\n"
      "users = [\"u\"]\naddresses = [\"10.0.0.0/8\"]\nerror = \"no\"\nsqlstate = \"ZZ001\"\n"
      "[[rules]]\nname = \"a\"\npattern = \"(?i)select\\\\s\"\ntarget = \"replica\"\n"
      "statement_timeout = \"2s\"\nmax_statements = 5\nmax_replica_lag = \"3s\"\n"
      "log = true\ndry_run = true\n");
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  const auto& rules = loaded.config->rules;
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].name, "b");
  EXPECT_TRUE(rules[0].takes_unknown());
  EXPECT_EQ(actions_of(rules[0]), "error = \"no\", sqlstate = \"ZZ001\"");
  EXPECT_EQ(matches_of(rules[0]),
            "users = [\"u\"], addresses = [\"10.0.0.0/8\"], kinds = [\"delete\", \"ddl\"], "
            "tables = [\"orders\"]");
  EXPECT_EQ(rules[1].target, RuleTarget::replica);
  EXPECT_EQ(rules[1].max_statements, 5U);
  EXPECT_EQ(rules[1].max_replica_lag, std::chrono::seconds(3));
  EXPECT_FALSE(rules[1].takes_unknown());
  EXPECT_TRUE(rules[1].pattern.matches("SELECT 1"));
  EXPECT_FALSE(rules[1].pattern.matches("TABLE x"));
}

TEST(Rules, are_wrong_at_their_line_and_column) {
  EXPECT_THAT(errors_with("name = \"a\"\nlog = true\npattern = \"(\"\n"),
              ElementsAre(StartsWith("f.toml:7:11: [rules.a] pattern: this is no regular "
                                     "expression as RE2 takes them: missing")));
  EXPECT_THAT(errors_with("name = \"a\"\nlog = true\nkinds = [\"select\", \"delet\"]\n"),
              ElementsAre(AllOf(StartsWith("f.toml:7:20: [rules.a] kinds: "),
                                HasSubstr("did you mean \"delete\"?"))));
  EXPECT_THAT(errors_with("name = \"a\"\nlog = true\naddresses = [\"10.0.0.0/33\"]\n"),
              ElementsAre(HasSubstr("[rules.a] addresses: behind the \"/\" belongs")));
  EXPECT_THAT(errors_with("name = \"a\"\nlog = true\ntable = [\"t\"]\n"),
              ElementsAre(HasSubstr("unknown key \"table\"; did you mean \"tables\"?")));
  EXPECT_THAT(errors_of(kAnyDatabase + "[rules]\nname = \"a\"\n"),
              ElementsAre(HasSubstr("expected rules that begin with a line [[rules]] each")));
}

TEST(Rules, say_what_they_are_for) {
  EXPECT_THAT(errors_with("name = \"a\"\ntables = [\"t\"]\n"),
              ElementsAre(HasSubstr("[[rules]] \"a\" target: the rule does nothing")));
  EXPECT_THAT(errors_with("log = true\n"), ElementsAre(HasSubstr("name: expected a name")));
  EXPECT_THAT(errors_with("name = \"a\"\nerror = \"x\"\ntarget = \"primary\"\n"),
              ElementsAre(HasSubstr("what is refused has no target")));
  EXPECT_THAT(errors_with("name = \"a\"\nlog = true\nsqlstate = \"42501\"\n"),
              ElementsAre(HasSubstr("there is no error to have it")));
  for (const char* wrong : {"4250", "00000", "0100x", "4250a"}) {
    EXPECT_THAT(
        errors_with("name = \"a\"\nerror = \"x\"\nsqlstate = \"" + std::string(wrong) + "\"\n"),
        ElementsAre(HasSubstr("expected five digits and capitals")));
  }
  EXPECT_THAT(errors_with("name = \"a\"\nlog = true\n[[rules]]\nname = \"a\"\nlog = true\n"),
              ElementsAre(HasSubstr("there is a rule \"a\" already")));
}

TEST(Rules, are_no_more_than_64) {
  std::string rules;
  for (int i = 0; i < 64; ++i) {
    rules += "[[rules]]\nname = \"" + std::to_string(i) + "\"\nlog = true\n";
  }
  EXPECT_THAT(errors_of(kAnyDatabase + rules), IsEmpty());
  EXPECT_THAT(errors_of(kAnyDatabase + rules + "[[rules]]\nname = \"a\"\nlog = true\n"),
              ElementsAre(HasSubstr("there are more than 64")));
}

TEST(Rules, differ_by_name_and_order) {
  const std::string a = "[[rules]]\nname = \"a\"\nlog = true\n";
  const std::string b = "[[rules]]\nname = \"b\"\nlog = true\n";
  const Config before = *load_rules(a + b).config;
  const auto changes = [&](const std::string& rules) {
    std::vector<std::string> said;
    for (const Change& change : difference(before, *load_rules(rules).config)) {
      said.push_back(to_string(change));
    }
    return said;
  };
  EXPECT_THAT(changes(a + b), IsEmpty());
  EXPECT_THAT(changes(b + a), ElementsAre("[rules] order: a, b -> b, a (at once)"));
  EXPECT_THAT(changes(a), ElementsAre(StartsWith("[rules.b] removed")));
  EXPECT_THAT(changes(a + b + "dry_run = true\n"),
              ElementsAre("[rules.b] dry_run: false -> true (at once)"));
}

TEST(Pattern, takes_time_that_grows_with_the_text_only) {
  // Exponential where a matcher tries one way after the other.
  const auto pattern = Pattern::compile("^(a+)+$");
  ASSERT_TRUE(pattern.has_value());
  EXPECT_FALSE(pattern->matches(std::string(50'000, 'a') + "b"));
  EXPECT_FALSE(Pattern::compile("(a)\\1").has_value()) << "needs to try";
  EXPECT_TRUE(Pattern::compile("x.y")->matches("x\xffy")) << "bytes";
}

}  // namespace
}  // namespace forebay::config
