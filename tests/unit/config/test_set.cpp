#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.hpp"
#include "forebay/config/set.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;

const std::string kFile =
    "[pool]\ndefault_pool_size = 9\n[databases.app]\nhosts = \"db1\"\nauth = \"server\"\n"
    "[databases.\"my db\"]\nhosts = \"db2\"\nauth = \"server\"\n[users.alice]\npool_size = 300\n";

Set set_in_file(std::string_view name, std::string_view value) {
  const auto loaded = load_text(kFile);
  EXPECT_TRUE(loaded.ok());
  return set(*loaded.document, name, value, FakeEnvironment());
}

Config with(std::string_view name, std::string_view value) {
  const Set done = set_in_file(name, value);
  EXPECT_TRUE(done.loaded.ok()) << name << joined(texts(done.loaded.errors));
  return done.loaded.config.value_or(Config{});
}

std::string refused(std::string_view name, std::string_view value,
                    Refusal refusal = Refusal::wrong) {
  const Set done = set_in_file(name, value);
  EXPECT_EQ(done.refusal, refusal) << name;
  EXPECT_FALSE(done.loaded.ok()) << name;
  return joined(texts(done.loaded.errors));
}

TEST(SetKey, takes_values_as_the_file_does) {
  EXPECT_EQ(with("max_client_conn", "200").max_client_conn, 200u);
  EXPECT_EQ(with("max_client_conn", "auto").max_client_conn, std::nullopt);
  EXPECT_EQ(with("forebay.max_client_conn", "200").max_client_conn, 200u);
  EXPECT_EQ(with("default_pool_size", "5").pool.pool_size, 5u);
  for (const char* text : {"2s", "'2s'", "\"2s\""}) {
    EXPECT_EQ(with("query_wait_timeout", text).pool.query_wait_timeout, seconds(2)) << text;
  }
  EXPECT_EQ(with("log.level", "debug").log_level, LogLevel::debug);
  EXPECT_EQ(with("admin_users", "alice, bob").admin_users, "alice, bob");
  EXPECT_EQ(with("admin_users", "'o''hara'").admin_users, "o'hara");
  EXPECT_TRUE(with("split_reads", "true").pool.split_reads.value_or(false));
  EXPECT_EQ(with("allow_from", "[\"10.0.0.0/8\"]").addresses.allow_from.size(), 1u);
  EXPECT_EQ(with("tls.server.mode", "require").server_tls.mode, TlsMode::require);
}

TEST(SetKey, reaches_entries) {
  EXPECT_EQ(with("databases.app.pool_size", "4").databases.at("app").pool.pool_size, 4u);
  EXPECT_EQ(with("databases.\"my db\".pool_size", "4").databases.at("my db").pool.pool_size, 4u);
  EXPECT_EQ(with("users.alice.pool_size", "4").users.at("alice").pool.pool_size, 4u);
  EXPECT_EQ(with("databases.app.tls.mode", "require").databases.at("app").server_tls->mode,
            TlsMode::require);
}

TEST(SetKey, one_after_the_other) {
  const Set one = set_in_file("default_pool_size", "5");
  const Set two = set(*one.loaded.document, "max_client_conn", "200", FakeEnvironment());
  ASSERT_TRUE(two.loaded.ok());
  EXPECT_EQ(two.loaded.config->pool.pool_size, 5u);
  EXPECT_EQ(two.loaded.config->max_client_conn, 200u);
  EXPECT_EQ(two.loaded.sources.at("pool.default_pool_size"), "SET");
  EXPECT_EQ(two.loaded.sources.at("databases.app.hosts"), "f.toml:4");
}

TEST(SetKey, says_what_is_wrong) {
  EXPECT_EQ(refused("default_pool_size", "0"),
            "SET: [pool] default_pool_size: 0 is out of range; expected a whole number from 1 to "
            "10000\n");
  EXPECT_EQ(refused("query_wait_timeout", "5"),
            "SET: [pool] query_wait_timeout: expected a duration such as \"30s\" (the number needs "
            "a unit, and quotes: ms, s, min, h, d)\n");
  EXPECT_EQ(
      refused("auth", "scam"),
      "SET: [forebay] auth: expected one of \"trust\", \"password\", \"md5\", \"scram-sha-256\", "
      "\"cert\", \"server\"\n");
  EXPECT_EQ(refused("min_pool_size", "99"),
            "SET: [pool] min_pool_size: min_pool_size is 99, more than the pool's size of 9; set "
            "both so that they fit\n");
}

TEST(SetKey, says_what_a_key_is_called) {
  const auto unknown = [](std::string_view name) { return refused(name, "1", Refusal::unknown); };
  EXPECT_EQ(unknown("defualt_pool_size"),
            "SET: unknown key \"defualt_pool_size\"; did you mean default_pool_size?\n");
  EXPECT_EQ(unknown("databases.app.pol_size"),
            "SET: unknown key \"databases.app.pol_size\"; did you mean "
            "databases.app.pool_size?\n");
  EXPECT_EQ(unknown("query_timeout"),
            "SET: unknown key \"query_timeout\"; it is called [pool] statement_timeout\n");
  EXPECT_EQ(unknown("x"), "SET: unknown key \"x\"; SHOW CONFIG lists the keys\n");
  EXPECT_EQ(unknown("databases.nobody.pool_size"),
            "SET: unknown key \"databases.nobody.pool_size\"; SHOW CONFIG lists the keys\n");
}

TEST(SetKey, leaves_alone_what_needs_a_restart) {
  EXPECT_EQ(refused("workers", "3", Refusal::fixed),
            "SET: workers can only be changed in the configuration file, and needs a restart; "
            "until then the old value holds\n");
}

}  // namespace
}  // namespace forebay::config
