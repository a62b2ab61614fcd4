#include "forebay/protocol/postgres/writer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "unit/protocol/views.hpp"

namespace forebay::pg {
namespace {

using namespace std::string_literals;
using test::u32;

TEST(MessageWriter, fills_in_the_length_at_the_end) {
  std::string out;
  {
    MessageWriter message(out, Frontend::Query);
    message.text("select 1");
    EXPECT_EQ(out, "Q\0\0\0\0select 1\0"s);
  }
  EXPECT_EQ(out, "Q\0\0\0\x0dselect 1\0"s);
}

TEST(MessageWriter, writes_integers_in_network_byte_order) {
  std::string out;
  MessageWriter(out, 'x').u8(0x01).u16(0x0203).u32(0x04050607).bytes("ab");
  EXPECT_EQ(out, "x\0\0\0\x0d\1\2\3\4\5\6\7"s + "ab");
}

TEST(MessageWriter, writes_no_type_byte_for_type_0) {
  std::string out;
  MessageWriter(out, '\0').u32(7);
  EXPECT_EQ(out, "\0\0\0\x08\0\0\0\7"s);
}

TEST(MessageWriter, appends_and_leaves_alone_what_is_there) {
  std::string out = "before";
  write_empty(out, Frontend::Sync);
  write_query(out, "");
  write_ssl_request(out);
  EXPECT_EQ(out, "beforeS\0\0\0\4Q\0\0\0\5\0\0\0\0\x08\x04\xd2\x16\x2f"s);
}

TEST(MessageWriter, counts_bytes_that_follow) {
  std::string out;
  MessageWriter(out, Frontend::Bind).text("").text("s").followed_by(1000);
  EXPECT_EQ(out, "B"s + u32(4 + 3 + 1000) + "\0s\0"s);
}

TEST(MessageWriter, writes_messages_up_to_the_largest) {
  std::string out;
  MessageWriter(out, Frontend::Query).followed_by(kMessageMax - 4);
  EXPECT_EQ(out, "Q"s + u32(kMessageMax));
}

TEST(MessageWriterDeathTest, ends_the_program_for_a_message_over_the_largest) {
  // GHSA-x9vc-6hfv-hg8c, GHSA-7jwh-3vrq-q3m8: a length that wraps lets SQL in.
  std::string out;
  const auto write = [&](std::uint32_t following) {
    MessageWriter(out, Frontend::Query).text("x").followed_by(following);
  };
  EXPECT_DEATH(write(kMessageMax - 4 - 1), "invariant broken.*kMessageMax");
  EXPECT_DEATH(write(kMessageMax), "invariant broken.*kMessageMax");
  EXPECT_DEATH(write(std::numeric_limits<std::uint32_t>::max() - 5), "invariant broken");
  EXPECT_DEATH(write(std::numeric_limits<std::uint32_t>::max()), "invariant broken");
}

TEST(MessageWriterDeathTest, ends_the_program_for_a_text_with_a_nul_inside) {
  std::string out;
  EXPECT_DEATH(write_query(out, Bytes("select\0 1", 9)), "invariant broken");
  EXPECT_DEATH(write_error(out, {.message = Bytes("a\0b", 3)}), "invariant broken");
}

TEST(MessageWriterDeathTest, ends_the_program_for_more_values_than_an_int16_counts) {
  std::string out;
  const std::vector<Bytes> columns(65536, "x");
  const std::vector<std::pair<Bytes, bool>> values(65536, {"x", false});
  EXPECT_DEATH(write_data_row(out, columns), "invariant broken");
  EXPECT_DEATH(write_row_description(out, columns), "invariant broken");
  EXPECT_DEATH(write_bind(out, "", "", values), "invariant broken");
}

}  // namespace
}  // namespace forebay::pg
