#include "forebay/protocol/postgres/reader.hpp"

#include <gtest/gtest.h>

#include <string>

#include "unit/protocol/exact.hpp"

namespace forebay::pg {
namespace {

using namespace std::string_literals;
using test::Exact;

TEST(Reader, reads_the_fields_in_order) {
  const Exact body("\x01\x02\x03\x04\x05\x06\x07\xff\xff\xff\xfeone\0\0four"s + "rest");
  Reader in(body);
  EXPECT_EQ(in.u8(), 0x01);
  EXPECT_EQ(in.u16(), 0x0203);
  EXPECT_EQ(in.u32(), 0x04050607U);
  EXPECT_EQ(in.i32(), -2);
  EXPECT_EQ(in.text(), "one");
  EXPECT_EQ(in.text(), "");
  EXPECT_EQ(in.bytes(4), "four");
  EXPECT_TRUE(in.ok());
  EXPECT_FALSE(in.done());
  EXPECT_EQ(in.left(), 4U);
  EXPECT_EQ(in.rest(), "rest");
  EXPECT_TRUE(in.done());
}

TEST(Reader, is_done_at_once_with_an_empty_body) {
  Reader in(Bytes{});
  EXPECT_TRUE(in.done());
  EXPECT_EQ(in.rest(), "");
  EXPECT_EQ(in.bytes(0), "");
  EXPECT_TRUE(in.done());
}

TEST(Reader, fails_for_integers_past_the_end) {
  const Exact three("\1\1\1"s);
  Reader byte{Bytes{}};
  EXPECT_EQ(byte.u8(), 0);
  EXPECT_FALSE(byte.ok());
  Reader half(Bytes(three).substr(0, 1));
  EXPECT_EQ(half.u16(), 0);
  EXPECT_FALSE(half.ok());
  Reader word(three);
  EXPECT_EQ(word.u32(), 0U);
  EXPECT_FALSE(word.ok());
}

TEST(Reader, fails_for_a_text_without_its_nul) {
  const Exact body("abc"s);
  Reader in(body);
  EXPECT_EQ(in.text(), "");
  EXPECT_FALSE(in.ok());
}

TEST(Reader, fails_for_more_bytes_than_there_are) {
  const Exact body("abc"s);
  Reader four(body);
  EXPECT_EQ(four.bytes(4), "");
  EXPECT_FALSE(four.ok());
  Reader all(body);
  EXPECT_EQ(all.bytes(static_cast<std::size_t>(-1)), "");
  EXPECT_FALSE(all.ok());
}

TEST(Reader, stays_failed_and_gives_nothing_more) {
  const Exact body("ab\0cd\0efgh"s);
  Reader in(body);
  EXPECT_EQ(in.bytes(100), "");
  EXPECT_EQ(in.left(), 0U);
  EXPECT_EQ(in.u8(), 0);
  EXPECT_EQ(in.text(), "");
  EXPECT_EQ(in.bytes(0), "");
  EXPECT_EQ(in.rest(), "");
  EXPECT_FALSE(in.ok());
  EXPECT_FALSE(in.done());
}

}  // namespace
}  // namespace forebay::pg
