#include "core/engine/failover_hold.hpp"

#include <gtest/gtest.h>

namespace forebay::core {
namespace {

using Entered = FailoverHold::Entered;

TEST(FailoverHold, has_room_for_so_many) {
  FailoverHold hold;
  EXPECT_EQ(hold.enter(10, 2, 0), Entered::yes);
  EXPECT_EQ(hold.enter(0, 2, 0), Entered::yes);
  EXPECT_EQ(hold.enter(0, 2, 0), Entered::too_many);
  EXPECT_EQ(hold.count(), 2U);
  hold.leave(10);
  EXPECT_EQ(hold.enter(0, 2, 0), Entered::yes);
  EXPECT_EQ(hold.bytes(), 0U);
}

TEST(FailoverHold, has_room_for_so_many_bytes) {
  FailoverHold hold;
  EXPECT_EQ(hold.enter(60, 0, 100), Entered::yes);
  EXPECT_EQ(hold.enter(41, 0, 100), Entered::too_large);
  EXPECT_EQ(hold.enter(30, 0, 100), Entered::yes);
  EXPECT_FALSE(hold.grow(11, 100));
  EXPECT_TRUE(hold.grow(10, 100));
  EXPECT_EQ(hold.enter(1, 0, 100), Entered::too_large);
  EXPECT_EQ(hold.enter(0, 0, 100), Entered::yes);  // what logs in has said nothing yet
  EXPECT_EQ(hold.count(), 3U);
  EXPECT_EQ(hold.bytes(), 100U);
  hold.leave(60);
  hold.leave(40);
  hold.leave(0);
  EXPECT_EQ(hold.count(), 0U);
  EXPECT_EQ(hold.bytes(), 0U);
}

TEST(FailoverHold, zero_is_no_limit) {
  FailoverHold hold;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(hold.enter(1 << 20, 0, 0), Entered::yes);
  EXPECT_TRUE(hold.grow(1 << 20, 0));
}

}  // namespace
}  // namespace forebay::core
