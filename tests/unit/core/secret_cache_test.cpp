#include "core/lookup/secret_cache.hpp"

#include <gtest/gtest.h>

namespace forebay::core {
namespace {

using std::chrono::seconds;

class SecretCacheTest : public testing::Test {
 protected:
  static LookupKey key(const std::string& user) { return {{"app", "auth", "select $1"}, user}; }
  static SecretCache::Answer known(const std::string& user) {
    auto secrets = auth::UserSecrets::make(user, {config::Secret("x")}, {});
    return {std::make_shared<const auth::UserSecrets>(std::move(*secrets))};
  }
  void put(const std::string& user, SecretCache::Answer answer) {
    cache.put(key(user), std::move(answer), now, now + seconds(10));
  }
  [[nodiscard]] bool has(const std::string& user) const {
    return cache.find(key(user), now).has_value();
  }

  SecretCache cache;
  Instant now{std::chrono::hours(1)};
};

TEST_F(SecretCacheTest, an_answer_holds_for_its_time) {
  EXPECT_FALSE(has("alice"));
  put("alice", known("alice"));
  put("nobody", {});
  now += seconds(9);
  EXPECT_EQ(cache.find(key("alice"), now)->secrets->user(), "alice");
  EXPECT_EQ(cache.find(key("nobody"), now)->secrets, nullptr);
  now += seconds(1);
  EXPECT_FALSE(has("alice"));
  EXPECT_FALSE(has("nobody"));
}

TEST_F(SecretCacheTest, an_answer_of_another_query_is_another) {
  put("alice", known("alice"));
  LookupKey other = key("alice");
  other.place.query = "select 2";
  EXPECT_FALSE(cache.find(other, now));
}

TEST_F(SecretCacheTest, a_wrong_password_has_it_asked_again_but_not_at_any_rate) {
  put("alice", known("alice"));
  cache.doubt(key("alice"), now);
  EXPECT_TRUE(has("alice"));
  now += seconds(1);
  cache.doubt(key("alice"), now);
  EXPECT_FALSE(has("alice"));
  cache.doubt(key("alice"), now);
}

TEST_F(SecretCacheTest, made_up_names_displace_nobody_who_exists) {
  put("alice", known("alice"));
  for (std::size_t i = 0; i < 2 * SecretCache::kUnknownMax; ++i) put(std::to_string(i), {});
  EXPECT_TRUE(has("alice"));
  EXPECT_FALSE(has("0"));
  EXPECT_TRUE(has(std::to_string(2 * SecretCache::kUnknownMax - 1)));
  EXPECT_EQ(cache.size(), SecretCache::kUnknownMax + 1);
}

TEST_F(SecretCacheTest, a_user_that_comes_to_be_is_counted_as_one) {
  put("alice", {});
  put("alice", known("alice"));
  for (std::size_t i = 0; i < SecretCache::kUnknownMax; ++i) put(std::to_string(i), {});
  EXPECT_TRUE(has("alice"));
  cache.clear();
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace forebay::core
