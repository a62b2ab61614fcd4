#include "forebay/protocol/postgres/startup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "unit/protocol/views.hpp"

namespace forebay::pg {
namespace {

using namespace std::string_literals;
using test::Exact;
using test::u32;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

/// A packet with the right length word.
std::string packet(std::uint32_t code, const std::string& body) {
  return u32(static_cast<std::uint32_t>(8 + body.size())) + u32(code) + body;
}

/// A start-up message of exactly `size` bytes.
std::string startup_of_size(std::size_t size) {
  const std::size_t others = 8 + "user\0"s.size() + 1 + 1;
  return packet(kProtocol3_0, "user\0"s + std::string(size - others, 'u') + "\0\0"s);
}

/// The error that `input` ends in; an empty one, and a failed test, when it does not.
Error error_of(Bytes input) {
  const auto parsed = parse_startup(input);
  EXPECT_FALSE(parsed.has_value());
  return parsed.has_value() ? Error{} : parsed.error();
}

/// `wire` is one packet of kind `Packet`, whatever follows it, and NeedMore at every earlier byte.
template <class Packet>
void expect_packet(const std::string& wire) {
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const Exact input(Bytes(wire).substr(0, size));
    const auto parsed = parse_startup(input);
    ASSERT_TRUE(parsed.has_value()) << size;
    const auto* more = std::get_if<NeedMore>(&parsed->packet);
    ASSERT_NE(more, nullptr) << size;
    EXPECT_EQ(more->total, size < 4 ? 4 : wire.size()) << size;
    EXPECT_EQ(parsed->size, 0U);
  }
  for (const std::string& after : {""s, "x"s, "\0\0\0\x08"s, wire}) {
    const Exact input(wire + after);
    const auto parsed = parse_startup(input);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_TRUE(std::holds_alternative<Packet>(parsed->packet));
    EXPECT_EQ(parsed->size, wire.size());
  }
}

TEST(Startup, takes_every_kind_of_packet_cut_at_every_byte) {
  expect_packet<SslRequest>(packet(kSslRequestCode, ""));
  expect_packet<GssEncRequest>(packet(kGssEncRequestCode, ""));
  expect_packet<CancelRequest>(packet(kCancelRequestCode, u32(1) + "abcd"));
  expect_packet<CancelRequest>(packet(kCancelRequestCode, u32(1) + std::string(256, 'k')));
  expect_packet<StartupMessage>(packet(kProtocol3_0, "user\0me\0database\0db\0\0"s));
  expect_packet<StartupMessage>(packet(kProtocol3_0, "\0"s));
}

TEST(Startup, leaves_what_follows_a_packet_to_the_next_call) {
  // CVE-2021-3935, CVE-2021-43766: what stands behind an SSLRequest must be seen to be there.
  const std::string request = packet(kSslRequestCode, "");
  const Exact input(request + packet(kProtocol3_0, "user\0me\0\0"s));
  const auto first = parse_startup(input);
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(std::holds_alternative<SslRequest>(first->packet));
  EXPECT_EQ(first->size, 8U);
  const auto second = parse_startup(Bytes(input).substr(8));
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(std::holds_alternative<StartupMessage>(second->packet));
}

TEST(Startup, gives_the_parameters_in_order) {
  const Exact wire(packet(kProtocol3_2, "user\0me\0options\0-c a=b\0_pq_.x\0\0database\0db\0\0"s));
  const auto parsed = parse_startup(wire);
  ASSERT_TRUE(parsed.has_value());
  const auto& message = std::get<StartupMessage>(parsed->packet);
  EXPECT_EQ(message.version, kProtocol3_2);
  EXPECT_EQ(message.major(), 3);
  EXPECT_EQ(message.minor(), 2);
  EXPECT_THAT(message.parameters, ElementsAre(Pair("user", "me"), Pair("options", "-c a=b"),
                                              Pair("_pq_.x", ""), Pair("database", "db")));
  EXPECT_EQ(message.value("database"), "db");
  EXPECT_EQ(message.value("_pq_.x"), "");
  EXPECT_EQ(message.value("absent"), "");
}

TEST(Startup, takes_a_message_without_parameters) {
  const Exact wire(packet(kProtocol3_0, "\0"s));
  const auto parsed = parse_startup(wire);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_THAT(std::get<StartupMessage>(parsed->packet).parameters, IsEmpty());
}

TEST(Startup, refuses_impossible_lengths_as_soon_as_it_sees_them) {
  // CVE-2026-48773 (ProxySQL): the first packet's length, before login.
  for (const std::uint32_t length :
       {0U, 1U, 4U, 7U, 10001U, 65536U, 0x7fffffffU, 0x80000000U, 0xffffffffU, 0xfffffff8U}) {
    const Error bare = error_of(Exact(u32(length)));
    EXPECT_EQ(bare.sqlstate, "08P01") << length;
    EXPECT_THAT(bare.message, HasSubstr("invalid length of startup packet")) << length;
    const Error more = error_of(Exact(u32(length) + u32(kProtocol3_0) + "user\0me\0\0"s));
    EXPECT_EQ(more.sqlstate, "08P01") << length;
  }
}

TEST(Startup, refuses_a_length_of_8_that_has_no_terminator) {
  const Error error = error_of(Exact(packet(kProtocol3_0, "")));
  EXPECT_EQ(error.sqlstate, "08P01");
  EXPECT_THAT(error.message, HasSubstr("expected terminator as last byte"));
}

TEST(Startup, takes_packets_up_to_the_largest) {
  const Exact largest(startup_of_size(kStartupPacketMax));
  const auto parsed = parse_startup(largest);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->size, kStartupPacketMax);
  EXPECT_TRUE(std::holds_alternative<StartupMessage>(parsed->packet));
  const auto more = parse_startup(Bytes(largest).substr(0, kStartupPacketMax - 1));
  ASSERT_TRUE(more.has_value());
  EXPECT_EQ(std::get<NeedMore>(more->packet).total, kStartupPacketMax);

  EXPECT_EQ(error_of(Exact(startup_of_size(kStartupPacketMax + 1))).sqlstate, "08P01");
}

TEST(Startup, refuses_other_protocols_at_their_first_four_bytes) {
  EXPECT_EQ(error_of(Exact("GET / HTTP/1.1\r\n\r\n"s)).sqlstate, "08P01");
  EXPECT_EQ(error_of(Exact("SSH-"s)).sqlstate, "08P01");
  EXPECT_EQ(error_of(Exact("Q\0\0\0\x0dselect 1\0"s)).sqlstate, "08P01");
}

TEST(Startup, sees_a_tls_handshake_at_its_first_byte) {
  for (const std::string& bytes : {"\x16"s, "\x16\x03\x01\x02\0\1"s}) {
    const auto parsed = parse_startup(Exact(bytes));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_TRUE(std::holds_alternative<DirectTls>(parsed->packet));
    EXPECT_EQ(parsed->size, 0U);
  }
}

TEST(Startup, refuses_requests_with_something_behind_the_code) {
  for (const std::uint32_t code : {kSslRequestCode, kGssEncRequestCode}) {
    EXPECT_EQ(error_of(Exact(packet(code, "\0"s))).sqlstate, "08P01");
    EXPECT_EQ(error_of(Exact(packet(code, "user\0me\0\0"s))).sqlstate, "08P01");
  }
}

TEST(Startup, takes_cancel_keys_of_4_to_256_bytes) {
  for (const std::size_t size : {3U, 4U, 5U, 32U, 256U, 257U, 9000U}) {
    const std::string key(size, 'k');
    const Exact wire(packet(kCancelRequestCode, u32(0xfffffff0) + key));
    const auto parsed = parse_startup(wire);
    if (size < 4 || size > 256) {
      ASSERT_FALSE(parsed.has_value()) << size;
      EXPECT_EQ(parsed.error().sqlstate, "08P01");
      continue;
    }
    ASSERT_TRUE(parsed.has_value()) << size;
    EXPECT_EQ(std::get<CancelRequest>(parsed->packet).process_id, 0xfffffff0U);
    EXPECT_EQ(std::get<CancelRequest>(parsed->packet).key, key);
  }
  for (std::size_t size = 0; size < 8; ++size) {
    EXPECT_EQ(error_of(Exact(packet(kCancelRequestCode, std::string(size, 'k')))).sqlstate,
              "08P01");
  }
}

TEST(Startup, takes_every_minor_version_of_3) {
  for (const std::uint16_t minor : std::initializer_list<std::uint16_t>{0, 1, 2, 3, 9999, 65535}) {
    const Exact wire(packet((3U << 16) | minor, "user\0me\0\0"s));
    const auto parsed = parse_startup(wire);
    ASSERT_TRUE(parsed.has_value()) << minor;
    EXPECT_EQ(std::get<StartupMessage>(parsed->packet).major(), 3);
    EXPECT_EQ(std::get<StartupMessage>(parsed->packet).minor(), minor);
  }
}

TEST(Startup, refuses_every_other_major_version) {
  for (const std::uint16_t major :
       std::initializer_list<std::uint16_t>{0, 1, 2, 4, 1233, 1235, 65535}) {
    const Error error = error_of(Exact(packet(std::uint32_t{major} << 16, "user\0me\0\0"s)));
    EXPECT_EQ(error.sqlstate, "0A000") << major;
    EXPECT_THAT(error.message,
                HasSubstr("unsupported frontend protocol " + std::to_string(major) + ".0"));
  }
  const Error unknown_request = error_of(Exact(packet((1234U << 16) + 5681, "")));
  EXPECT_EQ(unknown_request.sqlstate, "0A000");
}

TEST(Startup, the_last_of_several_values_counts) {
  for (const std::size_t others : {0, 20}) {  // of many, each is not compared with each
    std::string body = "user\0me\0b\0001\0user\0you\0b\0002\0USER\0it\0"s;
    for (std::size_t i = 0; i < others; ++i) body += "o" + std::to_string(i) + "\0x\0"s;
    const Exact wire(packet(kProtocol3_0, body + '\0'));
    const auto parsed = parse_startup(wire);
    ASSERT_TRUE(parsed.has_value());
    auto parameters = std::get<StartupMessage>(parsed->packet).parameters;
    ASSERT_EQ(parameters.size(), 3 + others);
    parameters.resize(3);
    EXPECT_THAT(parameters, ElementsAre(Pair("user", "you"), Pair("b", "2"), Pair("USER", "it")));
  }
}

TEST(Startup, refuses_a_layout_without_its_terminator) {
  const std::string whole = "user\0me\0database\0db\0\0"s;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Error error = error_of(Exact(packet(kProtocol3_0, whole.substr(0, size))));
    EXPECT_EQ(error.sqlstate, "08P01") << size;
    EXPECT_THAT(error.message, HasSubstr("expected terminator as last byte")) << size;
  }
  EXPECT_EQ(error_of(Exact(packet(kProtocol3_0, whole + "x"))).sqlstate, "08P01");
  EXPECT_EQ(error_of(Exact(packet(kProtocol3_0, whole + "\0"s))).sqlstate, "08P01");
  EXPECT_EQ(error_of(Exact(packet(kProtocol3_0, "\0user\0me\0\0"s))).sqlstate, "08P01");
}

TEST(Startup, takes_as_many_parameters_as_fit) {
  std::string body;
  std::size_t count = 0;
  for (char a = 1; a < 100 && body.size() < 9900; ++a) {
    for (char b = 1; b < 100 && body.size() < 9900; ++b, ++count) body += {a, b, '\0', '\0'};
  }
  const Exact wire(packet(kProtocol3_0, body + '\0'));
  const auto parsed = parse_startup(wire);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(std::get<StartupMessage>(parsed->packet).parameters.size(), count);
}

}  // namespace
}  // namespace forebay::pg
