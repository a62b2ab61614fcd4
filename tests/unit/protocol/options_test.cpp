#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <random>
#include <string>

#include "forebay/protocol/postgres/startup.hpp"
#include "unit/protocol/exact.hpp"
#include "unit/protocol/options_reference.hpp"

namespace forebay::pg {
namespace {

using test::Exact;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using Settings = std::vector<std::pair<std::string, std::string>>;

/// The settings of `options`; a failed test when there are none.
Settings settings_of(Bytes options) {
  const auto parsed = parse_options(Exact(options));
  EXPECT_TRUE(parsed.has_value()) << options;
  return parsed.has_value() ? *parsed : Settings{};
}

/// The error text for `options`, whose SQLSTATE is 42601; a failed test when there is none.
std::string error_of(Bytes options) {
  const auto parsed = parse_options(Exact(options));
  EXPECT_FALSE(parsed.has_value()) << options;
  if (parsed.has_value()) return {};
  EXPECT_EQ(parsed.error().sqlstate, "42601");
  return parsed.error().message;
}

TEST(ParseOptions, takes_nothing_and_blanks) {
  EXPECT_THAT(settings_of(""), IsEmpty());
  EXPECT_THAT(settings_of(" \t\n\r\v\f"), IsEmpty());
}

TEST(ParseOptions, takes_every_spelling_of_a_setting) {
  EXPECT_THAT(settings_of("-c a=b"), ElementsAre(Pair("a", "b")));
  EXPECT_THAT(settings_of("-ca=b"), ElementsAre(Pair("a", "b")));
  EXPECT_THAT(settings_of("--a=b"), ElementsAre(Pair("a", "b")));
}

TEST(ParseOptions, takes_several_settings_in_order) {
  EXPECT_THAT(settings_of("  -c a=1\t-cb=2  --c=3\n-c a=4 "),
              ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("c", "3"), Pair("a", "4")));
}

TEST(ParseOptions, parts_words_at_every_blank) {
  for (const char blank : {' ', '\t', '\n', '\v', '\f', '\r'}) {
    const std::string options = std::string("--a=1") + blank + "--b=2";
    EXPECT_THAT(settings_of(options), ElementsAre(Pair("a", "1"), Pair("b", "2")));
  }
  // No blank for PostgreSQL: a no-break space of Latin-1, control characters.
  EXPECT_THAT(settings_of("--a=1\xa0--b=2"), ElementsAre(Pair("a", "1\xa0--b=2")));
  EXPECT_THAT(settings_of("--a=1\x1f--b=2"), ElementsAre(Pair("a", "1\x1f--b=2")));
}

TEST(ParseOptions, makes_underscores_of_hyphens_in_names_only) {
  EXPECT_THAT(settings_of("--work-mem=a-b=c-d"), ElementsAre(Pair("work_mem", "a-b=c-d")));
  EXPECT_THAT(settings_of("-c work-mem=1-2"), ElementsAre(Pair("work_mem", "1-2")));
}

TEST(ParseOptions, takes_an_empty_value_and_one_with_an_equals_sign) {
  EXPECT_THAT(settings_of("-c a="), ElementsAre(Pair("a", "")));
  EXPECT_THAT(settings_of("--a=b=c"), ElementsAre(Pair("a", "b=c")));
}

TEST(ParseOptions, lets_a_backslash_quote_the_next_byte) {
  EXPECT_THAT(settings_of(R"(-c a=one\ two)"), ElementsAre(Pair("a", "one two")));
  EXPECT_THAT(settings_of(R"(-c a=one\\two)"), ElementsAre(Pair("a", R"(one\two)")));
  EXPECT_THAT(settings_of(R"(-c a=one\\ --b=2)"),
              ElementsAre(Pair("a", R"(one\)"), Pair("b", "2")));
  EXPECT_THAT(settings_of(R"(\-\c a=\x)"), ElementsAre(Pair("a", "x")));
  EXPECT_THAT(settings_of("-c a=\\\t\\\n"), ElementsAre(Pair("a", "\t\n")));
  EXPECT_THAT(settings_of(R"(-c\ a=b)"), ElementsAre(Pair(" a", "b")));
}

TEST(ParseOptions, drops_a_backslash_with_nothing_behind_it) {
  EXPECT_THAT(settings_of(R"(-c a=b\)"), ElementsAre(Pair("a", "b")));
  EXPECT_THAT(settings_of(R"(-c a=b\\\)"), ElementsAre(Pair("a", R"(b\)")));
  EXPECT_EQ(error_of(R"(\)"), "invalid command-line argument for server process: ");
  EXPECT_EQ(error_of(R"(-c a=b \)"), "invalid command-line argument for server process: ");
}

TEST(ParseOptions, refuses_what_is_no_setting) {
  EXPECT_EQ(error_of("a=b"), "invalid command-line argument for server process: a=b");
  EXPECT_EQ(error_of("-c a=b c=d"), "invalid command-line argument for server process: c=d");
  EXPECT_EQ(error_of("-"), "invalid command-line argument for server process: -");
  EXPECT_EQ(error_of("-a"), "invalid command-line argument for server process: -a");
  EXPECT_EQ(error_of("-o x"), "invalid command-line argument for server process: -o");
  EXPECT_EQ(error_of("-e foo -S 7"), "invalid command-line argument for server process: foo");
  EXPECT_EQ(error_of("-- -e"), "invalid command-line argument for server process: -e");
}

TEST(ParseOptions, complains_as_getopt_does) {
  EXPECT_EQ(error_of("-ework_mem"), "invalid command-line argument for server process: postgres");
  EXPECT_EQ(error_of("-E -ex=1"), "invalid command-line argument for server process: -E");
  EXPECT_EQ(error_of("-S"), "invalid command-line argument for server process: -S");
  EXPECT_EQ(error_of("-f xx"), "invalid command-line argument for server process: xx");
  EXPECT_EQ(error_of("-fxx"), "invalid command-line argument for server process: -fxx");
  EXPECT_EQ(error_of("-t p"), "invalid command-line argument for server process: p");
}

TEST(ParseOptions, takes_the_switches_of_a_server_process) {
  EXPECT_THAT(settings_of("-e -S 77"),
              ElementsAre(Pair("datestyle", "euro"), Pair("work_mem", "77")));
  EXPECT_THAT(settings_of("-eS77"), ElementsAre(Pair("datestyle", "euro"), Pair("work_mem", "77")));
  EXPECT_THAT(settings_of("-eS 6"), ElementsAre(Pair("datestyle", "euro"), Pair("work_mem", "6")));
  EXPECT_THAT(settings_of("-f si -fh"),
              ElementsAre(Pair("enable_seqscan", "false"), Pair("enable_hashjoin", "false")));
  EXPECT_THAT(settings_of("-tpa -t plan -te -s"),
              ElementsAre(Pair("log_parser_stats", "true"), Pair("log_planner_stats", "true"),
                          Pair("log_executor_stats", "true"), Pair("log_statement_stats", "true")));
  EXPECT_THAT(settings_of("-d 3"),
              ElementsAre(Pair("log_min_messages", "debug3"), Pair("log_statement", "all"),
                          Pair("debug_print_parse", "true")));
  EXPECT_THAT(settings_of("-d x"), ElementsAre(Pair("log_min_messages", "notice")));
  EXPECT_THAT(
      settings_of("-F -B 5 -OP"),
      ElementsAre(Pair("fsync", "false"), Pair("shared_buffers", "5"),
                  Pair("allow_system_table_mods", "true"), Pair("ignore_system_indexes", "true")));
  EXPECT_THAT(settings_of("-E -T -n -j -b -v 3 -r x -D /x -C a=b"), IsEmpty());
  EXPECT_THAT(settings_of("--"), IsEmpty());
}

TEST(ParseOptions, refuses_a_setting_without_value) {
  EXPECT_EQ(error_of("-c"), "invalid command-line argument for server process: -c");
  EXPECT_EQ(error_of("--a=b -c"), "invalid command-line argument for server process: -c");
  EXPECT_EQ(error_of("-c a"), "-c a requires a value");
  EXPECT_EQ(error_of("-ca"), "-c a requires a value");
  EXPECT_EQ(error_of("--a"), "--a requires a value");
  EXPECT_EQ(error_of("-c -c a=b"), "-c -c requires a value");
}

TEST(ParseOptions, refuses_a_setting_without_name) {
  // An empty name would end the parameters of the start-up message that we send to a server.
  error_of("-c =b");
  error_of("-c=b");
  error_of("--=b");
}

TEST(ParseOptions, splits_as_a_plain_reference_does) {
  constexpr std::uint64_t kSeed = 20251;
  std::cout << "seed " << kSeed << '\n';
  std::mt19937_64 random(kSeed);
  const Bytes alphabet = "a- =\\c\t";
  for (int round = 0; round < 20000; ++round) {
    std::string options;
    for (std::size_t size = random() % 24; size > 0; --size) {
      options.push_back(alphabet[random() % alphabet.size()]);
    }
    // With this in front every word is a setting, so that all words can be seen.
    std::string settings;
    std::vector<std::string> words = test::plain_option_words(options);
    bool quoted = false;
    bool in_word = false;
    for (const char byte : options) {
      const bool blank = (byte == ' ' || byte == '\t') && !quoted;
      if (!blank && !in_word) settings += "--n=";
      in_word = !blank;
      quoted = byte == '\\' && !quoted;
      settings.push_back(byte);
    }
    const Settings found = settings_of(settings);
    ASSERT_EQ(found.size(), words.size()) << settings;
    for (std::size_t i = 0; i < words.size(); ++i) ASSERT_EQ(found[i].second, words[i]) << settings;
  }
}

}  // namespace
}  // namespace forebay::pg
