#include "core/client/proxy_header.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "forebay/protocol/postgres/reader.hpp"

namespace forebay::core {
namespace {

constexpr Bytes kTextSignature = "PROXY ";
/// With its end of line, as the specification has it.
constexpr std::size_t kLineMax = 107;

constexpr char kBinarySignatureBytes[] = "\r\n\r\n\0\r\nQUIT\n";
constexpr Bytes kBinarySignature(kBinarySignatureBytes, 12);
constexpr std::size_t kBinaryHead = 16;

/// `input` is shorter than `whole` and may become it, or is longer and begins with it.
bool may_begin_with(Bytes input, Bytes whole) {
  const std::size_t size = std::min(input.size(), whole.size());
  return input.substr(0, size) == whole.substr(0, size);
}

std::optional<std::uint16_t> port_of(Bytes text) {
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool all = code == std::errc() && end == text.data() + text.size();
  return all && (text.size() == 1 || text.front() != '0') ? std::optional(port) : std::nullopt;
}

std::vector<Bytes> words_of(Bytes line) {
  std::vector<Bytes> words;
  for (;;) {
    const std::size_t end = line.find(' ');
    words.push_back(line.substr(0, end));
    if (end == Bytes::npos) return words;
    line.remove_prefix(end + 1);
  }
}

// PROXY TCP4 192.0.2.1 198.51.100.1 56324 5432\r\n
Result<ProxyHeader> parse_text(Bytes input) {
  const std::size_t end = input.substr(0, kLineMax).find("\r\n");
  if (end == Bytes::npos) {
    if (input.size() < kLineMax) return ProxyHeader{};
    return failure("its line has no end within " + std::to_string(kLineMax) + " bytes");
  }
  ProxyHeader header{end + 2, {}};
  const std::vector<Bytes> words = words_of(input.substr(0, end));
  if (words[1] == "UNKNOWN") return header;
  const bool v4 = words[1] == "TCP4";
  if (!v4 && words[1] != "TCP6") return failure("it is neither of TCP4, TCP6 nor UNKNOWN");
  if (words.size() != 6) return failure("it must have two addresses and two ports");
  const auto source = config::parse_ip_address(words[2]);
  const auto target = config::parse_ip_address(words[3]);
  const auto fits = [v4](const std::optional<config::IpAddress>& address, Bytes text) {
    if (text.find('\0') != Bytes::npos) return false;
    return address && (text.find(':') == Bytes::npos) == v4 && text.find('%') == Bytes::npos;
  };
  if (!fits(source, words[2]) || !fits(target, words[3])) {
    return failure("what stands for an address is none");
  }
  const auto port = port_of(words[4]);
  if (!port || !port_of(words[5])) return failure("what stands for a port is none");
  header.source = {*source, *port};
  return header;
}

config::IpAddress address_of(Bytes bytes) {
  config::IpAddress address;
  if (bytes.size() == 4) address.bytes[10] = address.bytes[11] = 0xff;
  std::copy(bytes.begin(), bytes.end(),
            address.bytes.end() - static_cast<std::ptrdiff_t>(bytes.size()));
  return address;
}

Result<ProxyHeader> parse_binary(Bytes input) {
  if (input.size() < kBinaryHead) return ProxyHeader{};
  pg::Reader reader(input.substr(kBinarySignature.size()));
  const std::uint8_t version_and_command = reader.u8();
  const std::uint8_t family = reader.u8();
  const std::size_t length = reader.u16();
  if (version_and_command >> 4 != 2) return failure("its version is not 2");
  const unsigned command = version_and_command & 0xfU;
  if (command > 1) return failure("its command is neither LOCAL nor PROXY");
  const std::size_t size = kBinaryHead + length;
  if (size > kProxyHeaderMax) {
    return failure("it is longer than " + std::to_string(kProxyHeaderMax) + " bytes");
  }
  // Addresses, where there are some: TCP over IPv4, and over IPv6.
  constexpr std::uint8_t kTcp4 = 0x11;
  constexpr std::uint8_t kTcp6 = 0x21;
  const std::size_t each = family == kTcp4 ? 4 : family == kTcp6 ? 16 : 0;
  const bool proxied = command == 1 && each > 0;
  if (proxied && length < 2 * each + 4) return failure("it is too short for its addresses");
  if (input.size() < size) return ProxyHeader{};
  ProxyHeader header{size, {}};
  if (!proxied) return header;
  const Bytes body = input.substr(kBinaryHead, length);
  pg::Reader ports(body.substr(2 * each));
  header.source = {address_of(body.substr(0, each)), ports.u16()};
  return header;
}

}  // namespace

Result<ProxyHeader> parse_proxy_header(Bytes input) {
  if (may_begin_with(input, kTextSignature)) {
    return input.size() < kTextSignature.size() ? ProxyHeader{} : parse_text(input);
  }
  if (may_begin_with(input, kBinarySignature)) {
    return input.size() < kBinarySignature.size() ? ProxyHeader{} : parse_binary(input);
  }
  return failure("there is none");
}

}  // namespace forebay::core
