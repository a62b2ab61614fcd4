#include "admin/table.hpp"

#include <gtest/gtest.h>

namespace forebay::admin {
namespace {

constexpr Column kColumns[] = {{"t"}, {"i", Type::int4}, {"l", Type::int8}, {"n", Type::numeric}};

TEST(Table, text_values) {
  std::string out;
  write_row(out, kColumns, {"a", 7, Value::none(), 123456789}, {});
  const std::string_view expected(
      "D\0\0\0\x21\0\4\0\0\0\1a\0\0\0\1"
      "7\xff\xff\xff\xff\0\0\0\x9"
      "123456789",
      34);
  EXPECT_EQ(out.substr(5), std::string(expected).substr(5));
}

TEST(Table, binary_values) {
  std::string out;
  const std::uint16_t binary[] = {1};
  write_row(out, kColumns, {"a", 7, 258, 20001}, binary);
  const std::string_view expected(
      "\0\4\0\0\0\1a\0\0\0\4\0\0\0\7\0\0\0\x8\0\0\0\0\0\0\1\2"
      "\0\0\0\xc\0\2\0\1\0\0\0\0\0\2\0\1",
      43);
  EXPECT_EQ(out.substr(5), expected);
}

}  // namespace
}  // namespace forebay::admin
