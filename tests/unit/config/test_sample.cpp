#include "forebay/config/sample.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "config/keys.hpp"
#include "fake_environment.hpp"

namespace forebay::config {
namespace {

/// Whether a line is a key or a section behind "#", and not an explanation.
bool is_commented_out(const std::string& line) {
  if (line.starts_with("#[")) return true;
  const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", 1);
  return line.starts_with('#') && end > 1 && end != std::string::npos &&
         line.substr(end).starts_with(" = ");
}

/// The sample with "#" taken away from every key and section.
std::string uncommented() {
  std::string text;
  std::istringstream lines(sample_config());
  for (std::string line; std::getline(lines, line);) {
    text += (is_commented_out(line) ? line.substr(1) : line) + "\n";
  }
  return text;
}

std::size_t count_lines_with(const std::string& text, const std::string& beginning) {
  std::size_t count = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(beginning)) ++count;
  }
  return count;
}

TEST(SampleConfig, loads_without_a_complaint) {
  const auto loaded = load_text(sample_config());
  EXPECT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  EXPECT_TRUE(loaded.warnings.empty()) << joined(texts(loaded.warnings));
}

TEST(SampleConfig, says_nothing_but_its_one_database) {
  const auto loaded = load_text(sample_config());
  ASSERT_TRUE(loaded.ok());
  Config rest = *loaded.config;
  EXPECT_EQ(rest.databases.size(), 1U);
  rest.databases.clear();
  EXPECT_EQ(rest, Config{});
}

TEST(SampleConfig, shows_defaults_that_hold) {
  const auto loaded = load_text(uncommented());
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  const Config& config = *loaded.config;
  // Pool settings were nothing and are now said: what counts is what holds for a pool.
  EXPECT_EQ(config.pool_settings(Database{}, nullptr), PoolSettings{});
  Config rest = config;
  rest.pool = {};
  rest.databases.clear();
  rest.users.clear();
  rest.rules.clear();
  EXPECT_EQ(rest, Config{});

  ASSERT_TRUE(config.databases.contains("*"));
  ASSERT_TRUE(config.users.contains("alice"));
  Database database = config.databases.at("*");
  User user = config.users.at("alice");
  EXPECT_EQ(config.pool_settings(database, &user), PoolSettings{});
  EXPECT_EQ(database.server_tls, TlsSettings{});
  EXPECT_EQ(database.hosts, (std::vector<Endpoint>{{"127.0.0.1", 5432}}));
  database = {.hosts = {},
              .auth = {},
              .server_tls = {},
              .pool = database.pool,
              .max_db_connections = database.max_db_connections};
  user.pool = {};
  EXPECT_EQ(user, User{});
}

TEST(SampleConfig, has_every_key_with_an_explanation) {
  const std::string sample = sample_config();
  std::map<std::string_view, std::size_t> expected;
  const auto count = [&](const auto& keys) {
    for (const auto& key : keys) {
      ++expected[key.name];
      EXPECT_GT(key.documentation.size(), 20U) << key.name;
    }
  };
  count(general_keys());
  count(database_keys());
  count(database_tls_keys());
  count(user_keys());
  count(rule_keys());
  for (const auto& [name, times] : expected) {
    const std::string assignment = std::string(name) + " = ";
    EXPECT_EQ(count_lines_with(sample, "#" + assignment) + count_lines_with(sample, assignment),
              times)
        << name;
  }
}

TEST(SampleConfig, fits_a_terminal) {
  std::istringstream lines(sample_config());
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 90U) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

}  // namespace
}  // namespace forebay::config
