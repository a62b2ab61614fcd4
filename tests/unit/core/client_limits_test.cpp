#include "core/engine/client_limits.hpp"

#include <gtest/gtest.h>

namespace forebay::core {
namespace {

TEST(ClientLimits, count_each_name_of_each_group_by_itself) {
  ClientLimits limits;
  const ClientLimits::Place alice{ClientGroup::user, "alice"};
  EXPECT_TRUE(limits.enter(alice, 2));
  EXPECT_TRUE(limits.enter(alice, 2));
  EXPECT_FALSE(limits.enter(alice, 2));
  EXPECT_TRUE(limits.enter({ClientGroup::user, "bob"}, 2));
  EXPECT_TRUE(limits.enter({ClientGroup::database, "alice"}, 2));
  limits.leave(alice);
  EXPECT_TRUE(limits.enter(alice, 2));
  EXPECT_FALSE(limits.enter(alice, 2));
}

TEST(ClientLimits, remember_nobody_who_has_no_clients) {
  ClientLimits limits;
  const ClientLimits::Place place{ClientGroup::address, "192.0.2.1"};
  EXPECT_TRUE(limits.enter(place, 1));
  EXPECT_FALSE(limits.enter(place, 1));
  EXPECT_EQ(limits.size(), 1u);
  limits.leave(place);
  EXPECT_EQ(limits.size(), 0u);
}

TEST(LoginRates, so_many_at_once_and_then_one_after_another) {
  LoginRates rates;
  const Instant now{std::chrono::hours(1)};
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(rates.enter("192.0.2.1", 5, now));
  EXPECT_FALSE(rates.enter("192.0.2.1", 5, now));
  EXPECT_TRUE(rates.enter("192.0.2.2", 5, now));
  EXPECT_FALSE(rates.enter("192.0.2.1", 5, now + std::chrono::milliseconds(199)));
  EXPECT_TRUE(rates.enter("192.0.2.1", 5, now + std::chrono::milliseconds(200)));
  EXPECT_FALSE(rates.enter("192.0.2.1", 5, now + std::chrono::milliseconds(200)));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(rates.enter("192.0.2.1", 5, now + std::chrono::seconds(3)));
  }
}

TEST(LoginRates, forget_who_has_not_come_for_a_second) {
  LoginRates rates;
  const Instant now{std::chrono::hours(1)};
  for (std::size_t i = 0; i < 10 * LoginRates::kForgetAt; ++i) {
    EXPECT_TRUE(rates.enter(std::to_string(i), 1, now + i * std::chrono::milliseconds(10)));
  }
  EXPECT_LE(rates.size(), LoginRates::kForgetAt);
}

TEST(Turnstile, lets_in_so_many_and_counts_each_once) {
  std::atomic<std::uint32_t> inside{0};
  Turnstile one;
  EXPECT_TRUE(one.enter(inside, 1));
  EXPECT_TRUE(one.enter(inside, 1));  // again: the same one
  {
    Turnstile two;
    EXPECT_FALSE(two.enter(inside, 1));
    EXPECT_TRUE(two.enter(inside, 0));
  }
  EXPECT_EQ(inside, 1u);
  one.leave();
  one.leave();
  EXPECT_EQ(inside, 0u);
}

}  // namespace
}  // namespace forebay::core
