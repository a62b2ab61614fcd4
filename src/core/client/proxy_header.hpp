#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/network.hpp"

namespace forebay::core {

/// The most bytes of a header that are read: version 2 with what may follow the addresses.
inline constexpr std::size_t kProxyHeaderMax = 4096;

/// What a balancer says of the client that it speaks for, before the client's first byte (the PROXY
/// protocol of HAProxy, versions 1 and 2).
struct ProxyHeader {
  struct Source {
    config::IpAddress address;
    std::uint16_t port = 0;
  };
  std::size_t size = 0;          ///< in bytes; 0: more are needed
  std::optional<Source> source;  ///< nothing: the balancer speaks for itself, or does not know
};

/// The header at the front of `input`. Errors: what is wrong with it, for the log.
Result<ProxyHeader> parse_proxy_header(Bytes input);

}  // namespace forebay::core
