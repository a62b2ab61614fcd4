#include "core/client/proxy_header.hpp"

#include <gtest/gtest.h>

#include <array>

namespace forebay::core {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string binary(char version_and_command, char family, const std::string& body) {
  std::string out = kSignature + version_and_command + family;
  out += static_cast<char>(body.size() >> 8);
  out += static_cast<char>(body.size() & 0xff);
  return out + body;
}

const std::string kV4 = std::string("\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x15\x38", 12);
const std::string kV6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\1" +
                        std::string(16, '\2') + std::string("\xdc\x04\x15\x38", 4);

std::string shown(const Result<ProxyHeader>& header) {
  if (!header) return "error: " + header.error().message;
  std::string text = std::to_string(header->size);
  if (!header->source) return text;
  for (const auto& name : {"192.0.2.1", "2001:db8::1"}) {
    if (config::parse_ip_address(name) == header->source->address) text += std::string(" ") + name;
  }
  return text + " " + std::to_string(header->source->port);
}

TEST(ProxyHeader, what_a_balancer_says) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"PROXY TCP4 192.0.2.1 198.51.100.1 56324 5432\r\n", "46 192.0.2.1 56324"},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 1 0\r\n", "40 2001:db8::1 1"},
      {"PROXY UNKNOWN\r\n", "15"},
      {"PROXY UNKNOWN ffff:: whatever stands here\r\n", "43"},
      {binary(0x21, 0x11, kV4), "28 192.0.2.1 56324"},
      {binary(0x21, 0x21, kV6), "52 2001:db8::1 56324"},
      {binary(0x21, 0x11, kV4 + std::string(300, 'x')), "328 192.0.2.1 56324"},  // TLVs
      {binary(0x20, 0x11, kV4), "28"},  // LOCAL: a health check
      {binary(0x20, 0, ""), "16"},
      {binary(0x21, 0x31, std::string(216, 'u')), "232"},  // of a Unix-domain socket
      {binary(0x21, 0, ""), "16"},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(shown(parse_proxy_header(bytes)), expected) << bytes;
    // What follows is the client's.
    EXPECT_EQ(shown(parse_proxy_header(bytes + "\0\0\0\x08")), expected) << bytes;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_EQ(shown(parse_proxy_header(Bytes(bytes).substr(0, size))), "0") << bytes << size;
    }
  }
}

TEST(ProxyHeader, what_is_none) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"X", "there is none"},
      {"PROXX", "there is none"},
      {std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8), "there is none"},
      {"\r\n\r\n\1", "there is none"},
      {"PROXY " + std::string(101, 'x'), "its line has no end within 107 bytes"},
      {"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", "it is neither of TCP4, TCP6 nor UNKNOWN"},
      {"PROXY \r\n", "it is neither of TCP4, TCP6 nor UNKNOWN"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", "it must have two addresses and two ports"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", "it must have two addresses and two ports"},
      {"PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n", "it must have two addresses and two ports"},
      {"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n", "what stands for an address is none"},
      {"PROXY TCP4 192.0.2.1 host 1 2\r\n", "what stands for an address is none"},
      {"PROXY TCP4 ::1 ::1 1 2\r\n", "what stands for an address is none"},
      {"PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n", "what stands for an address is none"},
      {"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "what stands for an address is none"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n", "what stands for a port is none"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n", "what stands for a port is none"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", "what stands for a port is none"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 x\r\n", "what stands for a port is none"},
      {binary(0x11, 0x11, kV4), "its version is not 2"},
      {binary(0x22, 0x11, kV4), "its command is neither LOCAL nor PROXY"},
      {binary(0x21, 0x11, kV4.substr(1)), "it is too short for its addresses"},
      {binary(0x21, 0x21, kV6.substr(1)), "it is too short for its addresses"},
      {kSignature + std::string("\x21\x11\xff\xff", 4), "it is longer than 4096 bytes"},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(shown(parse_proxy_header(bytes)), "error: " + expected) << bytes;
  }
}

}  // namespace
}  // namespace forebay::core
