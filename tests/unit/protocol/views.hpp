#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/framer.hpp"
#include "forebay/protocol/postgres/message_table.hpp"
#include "unit/protocol/exact.hpp"

/// What the tests of message views and writers share.
namespace forebay::test {

inline std::string u16(std::uint16_t value) {
  std::string bytes(2, '\0');
  store_u16(bytes.data(), value);
  return bytes;
}

inline std::string u32(std::uint32_t value) {
  std::string bytes(4, '\0');
  store_u32(bytes.data(), value);
  return bytes;
}

/// The one message that `wire` consists of, cut out by a framer. Lives as long as `wire`.
inline pg::Message only_message(pg::Sender sender, const std::string& wire) {
  pg::Framer framer(sender);
  const pg::Framer::Item item = framer.next(wire, wire.size());
  EXPECT_EQ(item.bytes.size(), wire.size());
  EXPECT_EQ(framer.rest(), 0U);
  if (item.kind == pg::Framer::Kind::message) return item.message;
  EXPECT_EQ(item.kind, pg::Framer::Kind::run);  // DataRow and CopyData are never looked at
  if (wire.size() < pg::kHeaderSize) return {};
  return {wire.front(), load_u32(wire.data() + 1) - 4, Bytes(wire).substr(pg::kHeaderSize)};
}

/// The view takes `body` and nothing that is shorter or longer.
template <class View>
void expect_only_exactly(Bytes body) {
  EXPECT_TRUE(View::parse(Exact(body)).has_value());
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(View::parse(Exact(body.substr(0, size))).has_value()) << "cut to " << size;
  }
  for (const char more : {'\0', 'x', '\xff'}) {
    EXPECT_FALSE(View::parse(Exact(std::string(body) + more)).has_value()) << "with one byte more";
  }
}

/// The view takes nothing shorter than `minimum` bytes of `body`, and everything from there on: it
/// ends in bytes that it does not decode.
template <class View>
void expect_from(std::size_t minimum, Bytes body) {
  for (std::size_t size = 0; size <= body.size(); ++size) {
    EXPECT_EQ(View::parse(Exact(body.substr(0, size))).has_value(), size >= minimum) << size;
  }
}

/// The view does not take `body` once the NUL at `at` is another byte.
template <class View>
void expect_nul_wanted(std::string body, std::size_t at) {
  ASSERT_LT(at, body.size());
  ASSERT_EQ(body[at], '\0');
  EXPECT_TRUE(View::parse(Exact(body)).has_value());
  body[at] = 'x';
  EXPECT_FALSE(View::parse(Exact(body)).has_value());
}

}  // namespace forebay::test
