#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace forebay {

/// Where a server listens or we do: a host name or address with a port, or (host begins with '/')
/// a Unix-domain socket, whose file is `host` itself.
struct Endpoint {
  std::string host;
  std::uint16_t port = 5432;

  [[nodiscard]] bool is_unix() const noexcept { return !host.empty() && host.front() == '/'; }
  /// Bytes do not leave this machine.
  [[nodiscard]] bool is_local() const noexcept {
    return is_unix() || host == "::1" || host == "localhost" || host.starts_with("127.");
  }
  auto operator<=>(const Endpoint&) const = default;
};

/// As people write it: `db1:5432`, `[::1]:5432`, `/run/postgresql/.s.PGSQL.5432`.
inline std::string to_string(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return endpoint.host;
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

}  // namespace forebay
