#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"

namespace forebay::config {

/// libpq's target_session_attrs.
enum class TargetSession : std::uint8_t {
  any,
  read_write,
  read_only,
  primary,
  standby,
  prefer_standby,
};

/// What a connection URI says. Parameters that are not named keep libpq's defaults.
struct UriEndpoints {
  std::vector<Endpoint> hosts;  ///< in the order of the URI; never empty
  std::optional<std::string> dbname;
  std::optional<std::string> user;
  std::optional<Secret> password;
  TlsSettings tls;  ///< sslmode, sslrootcert, sslcert, sslkey
  TargetSession target_session = TargetSession::any;
  bool operator==(const UriEndpoints&) const = default;
};

/// Reads `postgresql://[user[:password]@][host[:port][,...]][/dbname][?name=value[&...]]`
/// (PostgreSQL's manual, "Connection URIs"; `postgres://` as well), or one or more bare
/// `host:port` or `/socket/directory` separated by commas. A host that is a directory becomes the
/// socket file in it. As in libpq a parameter goes before what the URI says further left, no host
/// is the local socket directory, and sslrootcert makes `require` mean `verify-ca`.
/// Errors never repeat the URI: a password with an unescaped delimiter could be anywhere in it.
[[nodiscard]] Result<UriEndpoints> endpoints_from_uri(std::string_view uri);

}  // namespace forebay::config
