#include <gtest/gtest.h>
#include "forebay/routing/sql/facts_cache.hpp"
using namespace forebay;
TEST(Smoke, SelfTest) { auto r = sql::self_test(); EXPECT_TRUE(r.has_value()) << (r.has_error() ? r.error().message : ""); }
