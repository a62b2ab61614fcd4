#include "core/relay/setting_said.hpp"

#include <gtest/gtest.h>

namespace forebay::core {
namespace {

std::optional<SettingSaid> said(Bytes text, Bytes setting = "app.tenant_id") {
  sql::Shape shape;
  sql::lex(text, sql::StandardStrings::on, {}, shape);
  return setting_said(text, shape, setting);
}

std::string value(Bytes text) {
  const auto found = said(text);
  return !found ? "(nothing)" : found->bound ? "$1" : found->value;
}

TEST(SettingSaid, takes_what_set_local_takes) {
  EXPECT_EQ(value("SET LOCAL app.tenant_id = 'a''b'"), "a'b");
  EXPECT_EQ(value("set /* x */ local APP.tenant_id to U&'\\0061' ; ;"), "a");
  EXPECT_EQ(value("set local app.tenant_id=$$a$$--x"), "a");
  EXPECT_EQ(value("set local app.tenant_id to Acme"), "acme");
  EXPECT_EQ(value("set local app.tenant_id = -12"), "-12");
  EXPECT_EQ(value("set local app.tenant_id = 0"), "0");
}

TEST(SettingSaid, takes_no_other) {
  for (const Bytes text :
       {"set local app.tenant_id = 012", "set local app.tenant_id = 1e5", "set app.tenant_id = 1",
        "set local app.tenant_id to default", "set local app.tenant_id = 1, 2",
        "set local app.tenant_idx = 1", "set local app.tenant_id = B'1'",
        "set local app.tenant_id =", "set local app.tenant_id = \"a\"",
        "set local app.tenant_id = -'1'", "", "set local app.tenant_id = 1; select 1",
        "set localapp.tenant_id = 1", "set local"}) {
    EXPECT_EQ(value(text), "(nothing)") << text;
  }
  EXPECT_FALSE(said("set local app.tenant_id = 1", ""));
}

TEST(SettingSaid, takes_set_config_for_the_transaction) {
  EXPECT_EQ(value("select set_config('app.tenant_id', 'a', true)"), "a");
  EXPECT_EQ(value("SELECT pg_catalog . set_config ( 'APP.TENANT_ID' , $1 :: text , TRUE ) AS x;"),
            "$1");
  EXPECT_EQ(said("select set_config('app.tenant_id', 'a', true) as whose")->column, "whose");
  for (const Bytes text :
       {"select set_config('app.tenant_id', 'a', false)",
        "select set_config('app.tenant_id', $2, true)",
        "select set_config('app.tenant_id', 'a', true), 1", "select set_config($1, 'a', true)",
        "select set_config('app.tenant_id', $11, true)",
        "select set_config('app.tenant_id', a, true)",
        "select set_config('app.tenant_id', 'a', true) from x",
        "select distinct set_config('app.tenant_id', 'a', true)",
        "select set_config('app.tenant_id', 'a', true) + 1"}) {
    EXPECT_EQ(value(text), "(nothing)") << text;
  }
}

TEST(SettingSaid, takes_what_is_bound) {
  auto found = said("select set_config('app.tenant_id', $1, true)");
  ASSERT_TRUE(found);
  bool binary = false;
  EXPECT_TRUE(take_bound(*found, Bytes("\0\0\0\1\0\0\0\2ab\0\1\0\1", 14), binary));
  EXPECT_EQ(found->value, "ab");
  EXPECT_TRUE(binary);
  EXPECT_TRUE(take_bound(*found, Bytes("\0\0\0\1\xff\xff\xff\xff\0\0", 10), binary));
  EXPECT_EQ(found->value, "");
  const Bytes whole("\0\1\0\0\0\1\0\0\0\2ab\0\0", 14);
  EXPECT_TRUE(take_bound(*found, whole, binary));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(take_bound(*found, whole.substr(0, size), binary)) << size;
  }
  EXPECT_FALSE(take_bound(*found, Bytes("\0\0\0\2\0\0\0\0\0\0\0\0\0\0", 14), binary));
  EXPECT_TRUE(may_say(*found, Bytes("\0\0", 2)));
  EXPECT_TRUE(may_say(*found, Bytes("\0\1\0\0\0\x19", 6)));
  EXPECT_FALSE(may_say(*found, Bytes("\0\1\0\0\0\x17", 6)));
  auto literal = said("set local app.tenant_id = 1");
  EXPECT_FALSE(may_say(*literal, Bytes("\0\1\0\0\0\x19", 6)));
  EXPECT_TRUE(take_bound(*literal, Bytes("\0\0\0\0\0\0", 6), binary));
  EXPECT_EQ(literal->value, "1");
}

}  // namespace
}  // namespace forebay::core
