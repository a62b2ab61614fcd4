#include "forebay/protocol/postgres/framer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "unit/protocol/exact.hpp"
#include "unit/protocol/views.hpp"

namespace forebay::pg {
namespace {

using namespace std::string_literals;
using Kind = Framer::Kind;
using test::Exact;
using test::u32;

constexpr std::size_t kLimit = 4096;

/// A message with a body of `size` bytes.
std::string message(char type, std::size_t size) {
  return type + u32(static_cast<std::uint32_t>(size + 4)) + std::string(size, 'x');
}

TEST(Framer, needs_a_header_before_it_says_anything) {
  Framer framer(Sender::client);
  const std::string sync = message('S', 0);
  for (std::size_t size = 0; size < kHeaderSize; ++size) {
    const Framer::Item item = framer.next(Exact(Bytes(sync).substr(0, size)), kLimit);
    EXPECT_EQ(item.kind, Kind::need);
    EXPECT_EQ(item.need, kHeaderSize);
    EXPECT_EQ(item.bytes.size(), 0U);
  }
}

TEST(Framer, gives_messages_one_by_one) {
  const Exact input(message('Q', 10) + message('S', 0) + message('X', 0));
  Framer framer(Sender::client);
  Bytes left = input;
  for (const auto& [type, size] : {std::pair{'Q', 10U}, {'S', 0U}, {'X', 0U}}) {
    const Framer::Item item = framer.next(left, kLimit);
    ASSERT_EQ(item.kind, Kind::message);
    EXPECT_EQ(item.message.type, type);
    EXPECT_EQ(item.message.body_size, size);
    EXPECT_EQ(item.message.body, std::string(size, 'x'));
    EXPECT_TRUE(item.message.whole());
    EXPECT_EQ(item.bytes.data(), left.data());
    EXPECT_EQ(item.bytes.size(), size + kHeaderSize);
    EXPECT_EQ(framer.rest(), 0U);
    left.remove_prefix(item.bytes.size());
  }
  EXPECT_TRUE(left.empty());
}

TEST(Framer, joins_messages_that_pass_into_one_run) {
  const std::string rows = message('D', 100) + message('D', 2) + message('d', 0) + message('D', 7);
  const Exact input(rows + message('C', 9) + message('Z', 1));
  Framer framer(Sender::server);
  const Framer::Item run = framer.next(input, kLimit);
  EXPECT_EQ(run.kind, Kind::run);
  EXPECT_EQ(run.bytes, rows);
  EXPECT_EQ(run.need, 0U);
  const Framer::Item next = framer.next(Bytes(input).substr(rows.size()), kLimit);
  EXPECT_EQ(next.kind, Kind::message);
  EXPECT_EQ(next.message.type, 'C');
}

TEST(Framer, ends_a_run_before_half_a_header) {
  const std::string row = message('D', 20);
  for (std::size_t size = 0; size < kHeaderSize; ++size) {
    Framer framer(Sender::server);
    const Exact input(row + message('D', 2).substr(0, size));
    const Framer::Item item = framer.next(input, kLimit);
    EXPECT_EQ(item.kind, Kind::run) << size;
    EXPECT_EQ(item.bytes, row) << size;
    EXPECT_EQ(framer.rest(), 0U) << size;
  }
}

TEST(Framer, passes_a_large_row_as_it_arrives) {
  const std::string row = message('D', 100000);
  Framer framer(Sender::server);
  std::size_t taken = 0;
  while (taken < row.size()) {
    const Exact input(Bytes(row).substr(taken, 1000));
    const Framer::Item item = framer.next(input, kLimit);
    ASSERT_EQ(item.kind, Kind::run);
    EXPECT_EQ(item.bytes.size(), Bytes(input).size());
    taken += item.bytes.size();
    EXPECT_EQ(framer.rest(), row.size() - taken);
  }
  EXPECT_EQ(taken, row.size());
}

TEST(Framer, needs_one_byte_inside_a_message_that_passes) {
  // Its last byte may be all that comes.
  const std::string row = message('D', 10);
  Framer framer(Sender::server);
  EXPECT_EQ(framer.next(Exact(Bytes(row).substr(0, 14)), kLimit).kind, Kind::run);
  const Framer::Item nothing = framer.next({}, kLimit);
  EXPECT_EQ(nothing.kind, Kind::need);
  EXPECT_EQ(nothing.need, 1U);
  const Framer::Item last = framer.next(Exact("x"), kLimit);
  EXPECT_EQ(last.kind, Kind::run);
  EXPECT_EQ(last.bytes.size(), 1U);
  EXPECT_EQ(framer.next({}, kLimit).need, kHeaderSize);
}

TEST(Framer, needs_all_of_a_message_within_the_limit) {
  const std::string query = message('Q', 3000);
  Framer framer(Sender::client);
  for (const std::size_t size : {5U, 6U, 1023U, 1024U, 1025U, 3004U}) {
    const Framer::Item item = framer.next(Exact(Bytes(query).substr(0, size)), kLimit);
    EXPECT_EQ(item.kind, Kind::need) << size;
    EXPECT_EQ(item.need, query.size()) << size;
  }
  EXPECT_EQ(framer.next(Exact(query), kLimit).kind, Kind::message);
}

TEST(Framer, gives_a_message_of_exactly_the_limit_whole) {
  const std::string query = message('Q', kLimit - kHeaderSize);
  Framer framer(Sender::client);
  EXPECT_EQ(framer.next(Exact(Bytes(query).substr(0, kLimit - 1)), kLimit).need, kLimit);
  EXPECT_EQ(framer.next(Exact(query), kLimit).kind, Kind::message);
}

TEST(Framer, gives_a_head_for_a_message_over_the_limit) {
  const std::string query = message('Q', kLimit - kHeaderSize + 1);
  Framer framer(Sender::client);
  const Framer::Item need = framer.next(Exact(Bytes(query).substr(0, kHeadMin - 1)), kLimit);
  EXPECT_EQ(need.kind, Kind::need);
  EXPECT_EQ(need.need, kHeadMin);

  const Exact input(Bytes(query).substr(0, 2000));
  const Framer::Item head = framer.next(input, kLimit);
  ASSERT_EQ(head.kind, Kind::head);
  EXPECT_EQ(head.bytes.size(), 2000U);
  EXPECT_EQ(head.message.type, 'Q');
  EXPECT_EQ(head.message.body_size, query.size() - kHeaderSize);
  EXPECT_EQ(head.message.body.size(), 2000 - kHeaderSize);
  EXPECT_FALSE(head.message.whole());
  EXPECT_EQ(framer.rest(), query.size() - 2000);

  const Exact rest(query.substr(2000) + message('S', 0));
  const Framer::Item run = framer.next(rest, kLimit);
  EXPECT_EQ(run.kind, Kind::run);
  EXPECT_EQ(run.bytes.size(), query.size() - 2000);
  EXPECT_EQ(framer.next(Bytes(rest).substr(run.bytes.size()), kLimit).message.type, 'S');
}

TEST(Framer, joins_the_rest_of_a_head_with_rows_behind_it) {
  const std::string error = message('E', 5000);
  const std::string rows = message('D', 30) + message('D', 30);
  Framer framer(Sender::server);
  ASSERT_EQ(framer.next(Exact(Bytes(error).substr(0, kHeadMin)), kHeadMin).kind, Kind::head);
  const Exact input(error.substr(kHeadMin) + rows + message('Z', 1));
  const Framer::Item run = framer.next(input, kHeadMin);
  EXPECT_EQ(run.kind, Kind::run);
  EXPECT_EQ(run.bytes.size(), error.size() - kHeadMin + rows.size());
}

TEST(Framer, gives_a_small_message_whole_whatever_the_limit) {
  Framer framer(Sender::client);
  const Framer::Item item = framer.next(Exact(message('Q', 100)), 0);
  EXPECT_EQ(item.kind, Kind::message);
  EXPECT_EQ(item.bytes.size(), 105U);
}

TEST(Framer, refuses_types_that_the_side_does_not_send) {
  for (const Sender sender : {Sender::client, Sender::server}) {
    for (int byte = 0; byte < 256; ++byte) {
      const char type = static_cast<char>(byte);
      if (message_kind(sender, type).look != Look::unknown) continue;
      Framer framer(sender);
      const Framer::Item item = framer.next(Exact(message(type, 8)), kLimit);
      EXPECT_EQ(item.kind, Kind::malformed) << byte;
      EXPECT_EQ(item.bytes.size(), 0U);
      EXPECT_EQ(item.message.type, type);
    }
  }
}

TEST(Framer, refuses_lengths_outside_the_bounds_of_the_message) {
  for (const Sender sender : {Sender::client, Sender::server}) {
    for (int byte = 0; byte < 256; ++byte) {
      const char type = static_cast<char>(byte);
      const MessageKind& kind = message_kind(sender, type);
      if (kind.look == Look::unknown) continue;
      const auto kind_for = [&](std::uint32_t length) {
        return Framer(sender).next(Exact(type + u32(length)), 0).kind;
      };
      for (const std::uint32_t length : {0U, 1U, 2U, 3U, kind.body_min + 3, kind.body_max + 5,
                                         0x80000000U, 0xfffffffbU, 0xffffffffU}) {
        EXPECT_EQ(kind_for(length), Kind::malformed) << type << ' ' << length;
      }
      EXPECT_NE(kind_for(kind.body_min + 4), Kind::malformed) << type;
      EXPECT_NE(kind_for(kind.body_max + 4), Kind::malformed) << type;
    }
  }
}

TEST(Framer, counts_the_largest_row_without_wrapping) {
  Framer framer(Sender::server);
  const Framer::Item item = framer.next(Exact("D"s + u32(0x40000003) + "ab"), kLimit);
  EXPECT_EQ(item.kind, Kind::run);
  EXPECT_EQ(item.bytes.size(), 7U);
  EXPECT_EQ(framer.rest(), 0x40000004U - 7);
  EXPECT_EQ(Framer(Sender::server).next(Exact("D"s + u32(0x40000004) + "ab"), kLimit).kind,
            Kind::malformed);
}

TEST(Framer, counts_the_largest_head_without_wrapping) {
  Framer framer(Sender::client);
  const Exact input("Q"s + u32(kMessageMax) + std::string(kHeadMin, 'x'));
  const Framer::Item item = framer.next(input, kLimit);
  EXPECT_EQ(item.kind, Kind::head);
  EXPECT_EQ(item.message.body_size, kMessageMax - 4);
  EXPECT_EQ(framer.rest(), kMessageMax + 1 - item.bytes.size());
}

TEST(Framer, gives_the_run_before_a_malformed_message_first) {
  const std::string rows = message('D', 10) + message('D', 10);
  const Exact input(rows + "D\0\0\0\3"s + message('Z', 1));
  Framer framer(Sender::server);
  const Framer::Item run = framer.next(input, kLimit);
  EXPECT_EQ(run.kind, Kind::run);
  EXPECT_EQ(run.bytes, rows);
  EXPECT_EQ(run.message.type, 0);
  const Bytes left = Bytes(input).substr(rows.size());
  EXPECT_EQ(framer.next(left, kLimit).kind, Kind::malformed);
  EXPECT_EQ(framer.next(left, kLimit).kind, Kind::malformed);
}

TEST(Message, is_of_one_type) {
  const Message sync{'S', 0, {}};
  EXPECT_TRUE(sync.is(Frontend::Sync));
  EXPECT_TRUE(sync.is(Backend::ParameterStatus));
  EXPECT_FALSE(sync.is(Frontend::Query));
}

}  // namespace
}  // namespace forebay::pg
