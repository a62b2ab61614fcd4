#include "forebay/config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

#include "fake_environment.hpp"
#include "forebay/config/sample.hpp"

namespace forebay::config {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(LoadConfig, reports_an_unknown_key_with_its_nearest_name) {
  EXPECT_THAT(
      errors_of("[forebay]\n  listn = [\"*:1\"]\n" + kAnyDatabase),
      ElementsAre("f.toml:2:3: [forebay]: unknown key \"listn\"; did you mean \"listen\"?"));
  EXPECT_THAT(errors_of("[pool]\npolo_mode = \"session\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: [pool]: unknown key \"polo_mode\"; did you mean "
                          "\"pool_mode\"?"));
  EXPECT_THAT(errors_of(kAnyDatabase + "tsl.mode = \"prefer\"\n"),
              ElementsAre("f.toml:4:1: [databases.any]: unknown key \"tsl\"; did you mean "
                          "\"tls\"?"));
  EXPECT_THAT(errors_of(kAnyDatabase + "[databases.any.tls]\ncafile = \"x\"\n"),
              ElementsAre("f.toml:5:1: [databases.any.tls]: unknown key \"cafile\"; did you mean "
                          "\"ca_file\"?"));
  EXPECT_THAT(errors_of(kAnyDatabase + "[users.\"a b\"]\npasswrod = \"x\"\n"),
              ElementsAre("f.toml:5:1: [users.\"a b\"]: unknown key \"passwrod\"; did you mean "
                          "\"password\"?"));
  EXPECT_THAT(errors_of(kAnyDatabase + "default_pool_size = 3\n"),
              ElementsAre("f.toml:4:1: [databases.any]: unknown key \"default_pool_size\"; did you "
                          "mean \"pool_size\"?"));
}

TEST(LoadConfig, sends_a_key_in_the_wrong_section_to_its_own) {
  EXPECT_THAT(errors_of("workers = 3\n" + kAnyDatabase),
              ElementsAre("f.toml:1:1: unknown key \"workers\"; it belongs to [forebay]"));
  EXPECT_THAT(errors_of("[forebay]\nserver_lifetime = \"1h\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: [forebay]: unknown key \"server_lifetime\"; it belongs to "
                          "[pool]"));
  EXPECT_THAT(errors_of("[forebay]\nmax_db_connections = 1\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: [forebay]: unknown key \"max_db_connections\"; it belongs "
                          "to [databases.NAME]"));
}

TEST(LoadConfig, knows_what_became_of_keys_of_pgbouncer) {
  EXPECT_THAT(errors_of("[forebay]\nauth_type = \"md5\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: [forebay]: unknown key \"auth_type\"; use auth in "
                          "[forebay]"));
  EXPECT_THAT(errors_of("[pool]\npool_size = 3\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: [pool]: unknown key \"pool_size\"; use default_pool_size in "
                          "[pool]"));
}

TEST(LoadConfig, lists_the_keys_where_none_is_near) {
  EXPECT_THAT(errors_of("[log]\nxyzzy = 1\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: [log]: unknown key \"xyzzy\"; the keys here are \"level\", "
                          "\"format\", \"file\", \"connections\", \"event_rate\", "
                          "\"slow_query_log\", \"slow_query_text\", "
                          "\"slow_query_explains_per_minute\""));
  EXPECT_THAT(errors_of("[xyzzy]\n" + kAnyDatabase),
              ElementsAre("f.toml:1:2: unknown section \"xyzzy\"; the sections are \"forebay\", "
                          "\"log\", \"tls\", \"pool\", \"tenants\", \"audit\", \"databases\", "
                          "\"users\", \"rules\""));
}

TEST(LoadConfig, reports_an_unknown_section_with_its_nearest_name) {
  EXPECT_THAT(errors_of("[forbay]\n" + kAnyDatabase),
              ElementsAre("f.toml:1:2: unknown section \"forbay\"; did you mean \"forebay\"?"));
  EXPECT_THAT(errors_of("[tls.clients]\n" + kAnyDatabase),
              ElementsAre("f.toml:1:6: [tls]: unknown key \"clients\"; did you mean "
                          "[tls.client]?"));
  EXPECT_THAT(errors_of("[tls]\nmode = \"prefer\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: [tls]: unknown key \"mode\"; the sections are [tls.client] "
                          "and [tls.server]"));
}

TEST(LoadConfig, reports_everything_at_once_by_position) {
  const auto found = errors_of(
      "[users.bob]\n"
      "pool_size = 0\n"
      "[databases.app]\n"
      "pool_mode = \"x\"\n"
      "[forebay]\n"
      "workers = \"a\"\n"
      "listen = [1, \"a:b\"]\n"
      "[nonsense]\n");
  ASSERT_EQ(found.size(), 7U) << joined(found);
  EXPECT_THAT(found[0], StartsWith("f.toml:2:13: [users.bob] pool_size: "));
  EXPECT_THAT(found[1],
              StartsWith("f.toml:3:12: [databases.app]: hosts is missing; add a line such "
                         "as hosts = [\"127.0.0.1:5432\"]"));
  EXPECT_THAT(found[2], StartsWith("f.toml:4:13: [databases.app] pool_mode: "));
  EXPECT_THAT(found[3], StartsWith("f.toml:6:11: [forebay] workers: "));
  EXPECT_THAT(found[4], StartsWith("f.toml:7:11: [forebay] listen: "));
  EXPECT_THAT(found[5], StartsWith("f.toml:7:14: [forebay] listen: "));
  EXPECT_THAT(found[6], StartsWith("f.toml:8:2: unknown section \"nonsense\""));
}

TEST(LoadConfig, gives_a_configuration_or_errors) {
  const auto good = load_text(kAnyDatabase);
  EXPECT_TRUE(good.ok());
  EXPECT_TRUE(good.errors.empty());
  const auto bad = load_text(kAnyDatabase + "x = 1\n");
  EXPECT_FALSE(bad.ok());
  EXPECT_FALSE(bad.config.has_value());
  EXPECT_FALSE(bad.errors.empty());
}

TEST(LoadConfig, counts_columns_in_characters) {
  EXPECT_THAT(
      errors_of(
          "[databases]\n\"b\xC3\xA4r\" = 1\n\"\xE6\x97\xA5\" = { x = \"\xC3\xA4\", y = 2 }\n"),
      Contains(StartsWith("f.toml:3:18: [databases.\"\xE6\x97\xA5\"]: unknown key \"y\"")));
}

TEST(LoadConfig, reports_text_that_is_not_toml) {
  EXPECT_THAT(errors_of("[forebay]\nauth = server\n"),
              ElementsAre("f.toml:2:8: this is not TOML: this is no value; strings stand in double "
                          "quotes (nothing else in the file was judged)"));
  EXPECT_THAT(errors_of("[forebay]\nworkers = 1\nworkers = 2\n"),
              ElementsAre(HasSubstr("cannot redefine existing integer 'workers'; a key or section "
                                    "may appear only once")));
  EXPECT_THAT(errors_of("[forebay\n"), ElementsAre(StartsWith("f.toml:1:9: this is not TOML: ")));
  EXPECT_THAT(errors_of("a = \"\xFF\"\n"), ElementsAre(HasSubstr("this is not TOML: ")));
}

TEST(LoadConfig, survives_texts_that_its_library_does_not) {
  const std::string why =
      "this is not TOML: this cannot stand here (nothing else in the file was judged)";
  EXPECT_THAT(errors_of("[log]\n[[=x]]\n"), ElementsAre("f.toml:2:3: " + why));
  EXPECT_THAT(errors_of("[log]\n  [\n"), ElementsAre("f.toml:2:4: " + why));
  EXPECT_THAT(errors_of("# \xC3\xA4\n'\xC3\xA4'=2020-01-02T+3:04:05\n"),
              ElementsAre("f.toml:2:18: " + why));
  // Letters that version 3.3 takes for impossible.
  EXPECT_THAT(errors_of("\xC3\xA4 = 1\n"),
              ElementsAre(StartsWith("f.toml:1:1: this is not TOML: ")));
  EXPECT_THAT(errors_of("a = x\"\xC3\xA4\"\n"),
              ElementsAre(StartsWith("f.toml:1:5: this is not ")));
  const auto loaded = load_text("[log]\nfile = \"\"\"/a\\\n\xC3\xA4\"\"\"\n" + kAnyDatabase);
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  EXPECT_EQ(loaded.config->log_file, "/a\xC3\xA4");
}

/// Whatever a file contains, it is a configuration or it has errors with places.
TEST(LoadConfig, judges_damaged_texts) {
  const std::string whole =
      sample_config() + "[tls.extra]\nd = 2020-01-02T03:04:05.67+01:00\n" +
      "t = { a = 1, b.c = [0x1F, 1.5e3, -inf] }\n[[q.w]]\nm = \"\"\"\na\\\n b\"\"\"\n";
  const std::string_view characters = "\"'[]{}=.,\n\r\t#\\ _-+eTZ:0\xC3\xA4\xFF";
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) {
    // A short piece, so that damage meets every kind of token.
    std::string text = whole.substr(random() % whole.size(), 1 + random() % 300);
    for (int change = 0; change < 3; ++change) {
      text[random() % text.size()] = characters[random() % characters.size()];
    }
    const auto loaded = load_text(text);
    ASSERT_NE(loaded.ok(), !loaded.errors.empty());
    for (const Problem& problem : loaded.errors) {
      ASSERT_GE(problem.line, 1U) << to_string(problem) << "\n" << text;
      ASSERT_GE(problem.column, 1U) << to_string(problem) << "\n" << text;
    }
  }
}

TEST(LoadConfig, refuses_nul_in_every_text) {
  const std::string why = "this text contains a NUL character, which PostgreSQL cannot carry";
  EXPECT_THAT(errors_of("[databases.\"a\\u0000b\"]\nhosts = \"db1\"\nauth = \"server\"\n"),
              Contains("f.toml:1:12: " + why));
  EXPECT_THAT(errors_of(kAnyDatabase + "dbname = \"a\\u0000b\"\n"),
              ElementsAre("f.toml:4:10: " + why));
  EXPECT_THAT(errors_of("[log]\nfile = \"/x\\u0000\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:8: " + why));
  EXPECT_THAT(errors_of("[users.a]\npassword = [\"hunter2\\u0000\"]\n" + kAnyDatabase),
              Contains("f.toml:2:13: " + why));
}

std::string repeated(std::string_view part, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += part;
  return text;
}

TEST(LoadConfig, limits_how_deep_a_text_may_be) {
  EXPECT_THAT(errors_of(repeated("a.", 31) + "a = 1\n" + kAnyDatabase),
              ElementsAre(StartsWith("f.toml:1:1: unknown section \"a\"")));
  const std::string keys = "a key may have at most 32 parts (nothing else in the file was judged)";
  EXPECT_THAT(errors_of(repeated("a.", 32) + "a = 1\n"), ElementsAre("f.toml:1:64: " + keys));
  EXPECT_THAT(errors_of("\n[" + repeated("'b#' . ", 100'000) + "c]\n"),
              ElementsAre("f.toml:2:224: " + keys));
  EXPECT_THAT(errors_of("a = " + repeated("[", 31) + repeated("]", 31) + "\n" + kAnyDatabase),
              ElementsAre(StartsWith("f.toml:1:1: unknown key \"a\"")));
  EXPECT_THAT(errors_of("a = " + repeated("[", 100'000)),
              ElementsAre(HasSubstr("values may stand inside one another at most 32 deep")));
  EXPECT_THAT(errors_of("a = " + repeated("{ b = ", 100'000)),
              ElementsAre(HasSubstr("values may stand inside one another at most 32 deep")));
}

TEST(LoadConfig, takes_dots_for_keys_only_where_they_are) {
  const std::string dots(100, '.');
  EXPECT_THAT(errors_of("# " + dots + "\n[log] # \" " + dots + "\nfile = \"/\\\"" + dots + "\"\n" +
                        kAnyDatabase),
              IsEmpty());
  EXPECT_THAT(errors_of("[log]\nfile = '''\n/\"" + dots + "'''\nlevel = \"\"\"info\"\"\"\n" +
                        kAnyDatabase + "dbname = \"\"\nuser = '" + dots.substr(0, 60) + "'\n"),
              IsEmpty());
}

TEST(LoadConfig, refuses_a_text_beyond_its_limit) {
  std::string text = kAnyDatabase;
  text.resize(kMaxConfigBytes, '\n');
  EXPECT_TRUE(load_text(text).ok());
  EXPECT_THAT(errors_of(text + "\n"),
              ElementsAre("f.toml: the text is larger than 16777216 bytes"));
}

TEST(LoadConfig, loads_a_file_by_its_name) {
  FakeEnvironment environment;
  environment.files["/etc/x.toml"] = kAnyDatabase + "x = 1\n";
  const auto loaded = load_file("/etc/x.toml", environment);
  EXPECT_THAT(texts(loaded.errors), ElementsAre(StartsWith("/etc/x.toml:4:1: ")));
  EXPECT_THAT(texts(load_file("/etc/y.toml", environment).errors),
              ElementsAre("/etc/y.toml: cannot read \"/etc/y.toml\": not there"));
}

/// Stands for whatever may be thrown while loading, such as the end of memory.
class ThrowingEnvironment final : public Environment {
 public:
  [[nodiscard]] std::optional<Secret> variable(const std::string&) const override {
    throw std::runtime_error("thrown");
  }
  [[nodiscard]] Result<Secret> read_secret(const std::string&) const override {
    throw std::runtime_error("thrown");
  }
  [[nodiscard]] Result<std::string> read_file(const std::string&) const override {
    throw std::runtime_error("thrown");
  }
  [[nodiscard]] Result<void> check_readable(const std::string&) const override {
    throw std::runtime_error("thrown");
  }
  [[nodiscard]] bool is_directory(const std::string&) const override {
    throw std::runtime_error("thrown");
  }
  [[nodiscard]] Result<std::vector<std::string>> list_directory(const std::string&) const override {
    throw std::runtime_error("thrown");
  }
};

TEST(LoadConfig, lets_no_exception_out) {
  const ThrowingEnvironment environment;
  for (const char* text :
       {"[users.a]\npassword_env = \"A\"\n", "[users.a]\npassword_file = \"/a\"\n",
        "[forebay]\nlisten = \"/a\"\n", "[log]\n[tls.server]\nca_file = \"/a\"\n"}) {
    EXPECT_THAT(texts(load_text(text, environment).errors),
                ElementsAre("f.toml: cannot be loaded: thrown"));
  }
  EXPECT_THAT(texts(load_file("/a", environment).errors),
              ElementsAre("/a: cannot be loaded: thrown"));
}

}  // namespace
}  // namespace forebay::config
