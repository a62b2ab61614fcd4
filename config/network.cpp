#include "forebay/config/network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace forebay::config {
namespace {

constexpr std::size_t kV4At = 12;

bool any_contains(const std::vector<Network>& networks, const IpAddress& address) {
  return std::ranges::any_of(networks, [&](const Network& one) { return one.contains(address); });
}

}  // namespace

bool IpAddress::is_v4() const noexcept {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](auto byte) { return byte == 0; }) &&
         bytes[10] == 0xff && bytes[11] == 0xff;
}

std::optional<IpAddress> parse_ip_address(std::string_view text) {
  const std::string address(text.substr(0, text.find('%')));
  IpAddress result;
  if (::inet_pton(AF_INET6, address.c_str(), result.bytes.data()) == 1) return result;
  result.bytes = {};
  result.bytes[10] = result.bytes[11] = 0xff;
  if (::inet_pton(AF_INET, address.c_str(), result.bytes.data() + kV4At) == 1) return result;
  return std::nullopt;
}

Result<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_ip_address(text.substr(0, slash));
  if (!address || text.find('%') != std::string_view::npos) {
    return failure("this is no address; expected one such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
  }
  const unsigned most = address->is_v4() ? 32 : 128;
  unsigned prefix = most;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const char* end = digits.data() + digits.size();
    const auto [stop, code] = std::from_chars(digits.data(), end, prefix);
    if (code != std::errc() || stop != end || prefix > most) {
      return failure("behind the \"/\" belongs a number from 0 to " + std::to_string(most));
    }
  }
  Network network;
  network.address_ = *address;
  network.bits_ = prefix + 128 - most;
  network.text_ = text;
  // Bits behind the mask are a mistake in either of the two.
  for (unsigned bit = network.bits_; bit < 128; ++bit) {
    if ((address->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) {
      return failure("this address has bits set to the right of its mask /" +
                     std::to_string(prefix));
    }
  }
  return network;
}

bool Network::contains(const IpAddress& address) const noexcept {
  const unsigned whole = bits_ / 8;
  if (!std::equal(address.bytes.begin(), address.bytes.begin() + whole, address_.bytes.begin())) {
    return false;
  }
  const unsigned rest = bits_ % 8;
  return rest == 0 || (address.bytes[whole] ^ address_.bytes[whole]) >> (8 - rest) == 0;
}

std::string_view AddressRules::refusing(const std::string& address) const {
  if (allow_from.empty() && deny_from.empty()) return {};
  const auto parsed = parse_ip_address(address);
  // What cannot be read is denied where anything is.
  if (!parsed || any_contains(deny_from, *parsed)) return "deny_from";
  if (!allow_from.empty() && !any_contains(allow_from, *parsed)) return "allow_from";
  return {};
}

}  // namespace forebay::config
