#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/result.hpp"

namespace forebay::config {

/// An IPv4 or IPv6 address. An IPv4 address within IPv6 (::ffff:192.0.2.1) is the IPv4 address.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};  ///< IPv4: the last four, behind ::ffff
  [[nodiscard]] bool is_v4() const noexcept;
  bool operator==(const IpAddress&) const = default;
};

/// Nothing if `text` is none. A scope ("fe80::1%eth0") is not looked at.
[[nodiscard]] std::optional<IpAddress> parse_ip_address(std::string_view text);

/// Addresses that begin alike: 10.0.0.0/8, 2001:db8::/32, or one address.
class Network {
 public:
  [[nodiscard]] static Result<Network> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  bool operator==(const Network&) const = default;

 private:
  IpAddress address_;
  unsigned bits_ = 0;  ///< that count, of 128
  std::string text_;
};

/// Which addresses clients may come from.
struct AddressRules {
  std::vector<Network> allow_from;  ///< empty: all
  std::vector<Network> deny_from;   ///< goes before
  /// The key that keeps the address out; empty if none does.
  [[nodiscard]] std::string_view refusing(const std::string& address) const;
  bool operator==(const AddressRules&) const = default;
};

}  // namespace forebay::config
