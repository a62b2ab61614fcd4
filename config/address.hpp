#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/environment.hpp"
#include "forebay/config/patroni.hpp"

/// Addresses as people write them. Errors never repeat the text: somebody may have put a URI with
/// a password where an address belongs.
namespace forebay::config {

inline constexpr std::uint16_t kServerPort = 5432;
inline constexpr std::uint16_t kListenPort = 6432;

/// A server: `host`, `host:port`, `[v6]:port`, `/socket/directory`, `/socket/directory:port`, or
/// the socket file itself (its name begins with `.s.PGSQL.`).
[[nodiscard]] Result<Endpoint> parse_server_address(std::string_view text);

/// Another Forebay: the same, whose port is kListenPort unless another is said.
[[nodiscard]] Result<Endpoint> parse_peer_address(std::string_view text);

/// Where we listen: the same, `*` for every address of the machine, and any absolute path as the
/// socket file unless it names a directory.
[[nodiscard]] Result<Endpoint> parse_listen_address(std::string_view text,
                                                    const Environment& environment);

/// A TCP address with a port, for HTTP.
[[nodiscard]] Result<Endpoint> parse_http_address(std::string_view text);

/// `http://host:port` or `https://host:port`, without a path.
[[nodiscard]] Result<HttpUrl> parse_http_url(std::string_view text, std::uint16_t default_port);

/// A host of a server without its port, as in libpq's `host`: a name, an address with or without
/// brackets, a socket directory.
[[nodiscard]] Result<Endpoint> server_endpoint(std::string_view host, std::uint16_t port);

/// A port from 1 to 65535.
[[nodiscard]] Result<std::uint16_t> parse_port(std::string_view text);

/// Whether two listening addresses cannot be open at the same time.
[[nodiscard]] bool addresses_collide(const Endpoint& a, const Endpoint& b);

}  // namespace forebay::config
