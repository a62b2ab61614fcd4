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

}  // namespace
}  // namespace forebay::core
