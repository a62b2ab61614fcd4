#include <gtest/gtest.h>

#include "fake_environment.hpp"

namespace forebay::config {
namespace {

/// Every setting different from PoolSettings' defaults and from other seeds'.
PoolOverrides all_said(int seed) {
  PoolOverrides said;
  said.pool_mode = seed % 2 == 0 ? PoolMode::session : PoolMode::statement;
  said.pool_size = 100 + seed;
  said.min_pool_size = 10 + seed;
  said.server_round_robin = seed % 2 == 0;
  said.query_wait_timeout = milliseconds(1000 + seed);
  said.server_idle_timeout = milliseconds(2000 + seed);
  said.server_lifetime = milliseconds(3000 + seed);
  said.statement_timeout = milliseconds(4000 + seed);
  said.transaction_timeout = milliseconds(5000 + seed);
  said.idle_transaction_timeout = milliseconds(6000 + seed);
  said.client_idle_timeout = milliseconds(7000 + seed);
  said.timeout_action = seed % 2 == 0 ? TimeoutAction::cancel : TimeoutAction::close;
  said.slow_query_threshold = milliseconds(8000 + seed);
  said.reserve_pool_size = 9 + seed;
  said.reserve_pool_timeout = milliseconds(9000 + seed);
  said.pool_weight = 30 + seed;
  said.query_wait_notify = milliseconds(10'000 + seed);
  return said;
}

PoolSettings as_settings(const PoolOverrides& said) {
  PoolSettings settings = {*said.pool_mode,           *said.pool_size,
                           *said.min_pool_size,       *said.server_round_robin,
                           *said.query_wait_timeout,  *said.server_idle_timeout,
                           *said.server_lifetime,     *said.statement_timeout,
                           *said.transaction_timeout, *said.idle_transaction_timeout,
                           *said.client_idle_timeout, *said.timeout_action,
                           *said.slow_query_threshold};
  settings.reserve_pool_size = *said.reserve_pool_size;
  settings.reserve_pool_timeout = *said.reserve_pool_timeout;
  settings.pool_weight = *said.pool_weight;
  settings.query_wait_notify = *said.query_wait_notify;
  return settings;
}

TEST(PoolSettings, are_the_defaults_where_nothing_is_said) {
  const Config config;
  EXPECT_EQ(config.pool_settings(Database{}, nullptr), PoolSettings{});
  const User user;
  EXPECT_EQ(config.pool_settings(Database{}, &user), PoolSettings{});
}

TEST(PoolSettings, take_the_word_of_user_before_database_before_general) {
  Config config;
  Database database;
  User user;
  config.pool = all_said(1);
  EXPECT_EQ(config.pool_settings(database, &user), as_settings(all_said(1)));
  database.pool = all_said(2);
  EXPECT_EQ(config.pool_settings(database, &user), as_settings(all_said(2)));
  user.pool = all_said(3);
  EXPECT_EQ(config.pool_settings(database, &user), as_settings(all_said(3)));
  EXPECT_EQ(config.pool_settings(database, nullptr), as_settings(all_said(2)));
}

TEST(PoolSettings, are_decided_one_by_one) {
  Config config;
  Database database;
  User user;
  config.pool.pool_mode = PoolMode::session;
  config.pool.pool_size = 1;
  config.pool.server_lifetime = seconds(1);
  database.pool.pool_size = 2;
  database.pool.query_wait_timeout = seconds(2);
  user.pool.query_wait_timeout = seconds(3);
  const PoolSettings settings = config.pool_settings(database, &user);
  EXPECT_EQ(settings.pool_mode, PoolMode::session);
  EXPECT_EQ(settings.pool_size, 2U);
  EXPECT_EQ(settings.query_wait_timeout, seconds(3));
  EXPECT_EQ(settings.server_lifetime, seconds(1));
  EXPECT_EQ(settings.server_idle_timeout, PoolSettings{}.server_idle_timeout);
}

TEST(PoolSettings, never_keep_more_connections_than_they_allow) {
  Config config;
  Database database;
  User user;
  database.pool.min_pool_size = 10;
  user.pool.pool_size = 5;
  EXPECT_EQ(config.pool_settings(database, &user).min_pool_size, 5U);
  EXPECT_EQ(config.pool_settings(database, nullptr).min_pool_size, 10U);
}

TEST(PoolSettings, follow_the_file) {
  const auto loaded = load_text(
      "[pool]\ndefault_pool_size = 30\nserver_lifetime = \"2h\"\n"
      "[databases.app]\nhosts = \"db1\"\nauth = \"server\"\npool_size = 40\npool_mode = "
      "\"session\"\n"
      "[users.alice]\npool_size = 50\n");
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  const Config& config = *loaded.config;
  const Database* app = config.find_database("app");
  ASSERT_NE(app, nullptr);
  EXPECT_EQ(config.pool_settings(*app, config.find_user("alice")).pool_size, 50U);
  EXPECT_EQ(config.pool_settings(*app, config.find_user("bob")).pool_size, 40U);
  EXPECT_EQ(config.pool_settings(*app, nullptr).pool_mode, PoolMode::session);
  EXPECT_EQ(config.pool_settings(*app, nullptr).server_lifetime, std::chrono::hours(2));
}

TEST(PoolSettings, say_where_they_come_from) {
  const auto loaded = load_text(
      "[pool]\nstatement_timeout = \"1s\"\ntransaction_timeout = \"1s\"\n"
      "client_idle_timeout = \"1s\"\n"
      "[databases.app]\nhosts = \"db1\"\nauth = \"server\"\ntransaction_timeout = \"2s\"\n"
      "client_idle_timeout = \"2s\"\n"
      "[databases.\"*\"]\nhosts = \"db1\"\nauth = \"server\"\nclient_idle_timeout = \"4s\"\n"
      "[users.alice]\nclient_idle_timeout = \"3s\"\n");
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  const Config& config = *loaded.config;
  using O = PoolOverrides;
  EXPECT_EQ(config.where_set("app", "alice", &O::statement_timeout), "[pool]");
  EXPECT_EQ(config.where_set("app", "alice", &O::transaction_timeout), "[databases.app]");
  EXPECT_EQ(config.where_set("app", "alice", &O::client_idle_timeout), "[users.alice]");
  EXPECT_EQ(config.where_set("app", "bob", &O::client_idle_timeout), "[databases.app]");
  EXPECT_EQ(config.where_set("any", "bob", &O::client_idle_timeout), "[databases.\"*\"]");
}

TEST(FindDatabase, prefers_the_entry_of_that_name_to_the_wildcard) {
  Config config;
  EXPECT_EQ(config.find_database("app"), nullptr);
  config.databases["app"].dbname = "one";
  EXPECT_EQ(config.find_database("other"), nullptr);
  config.databases["*"].dbname = "any";
  ASSERT_NE(config.find_database("app"), nullptr);
  EXPECT_EQ(config.find_database("app")->dbname, "one");
  ASSERT_NE(config.find_database("other"), nullptr);
  EXPECT_EQ(config.find_database("other")->dbname, "any");
  EXPECT_EQ(config.find_database("App")->dbname, "any");
}

TEST(FindUser, knows_listed_users_only) {
  Config config;
  config.users["alice"].max_user_connections = 7;
  ASSERT_NE(config.find_user("alice"), nullptr);
  EXPECT_EQ(config.find_user("alice")->max_user_connections, 7U);
  EXPECT_EQ(config.find_user("bob"), nullptr);
}

}  // namespace
}  // namespace forebay::config
