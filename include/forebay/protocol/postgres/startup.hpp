#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/protocol/postgres/message_table.hpp"

/// What a client says before anything else (manual, "Start-up" and "Message Formats"). Everything
/// here is read before anybody has logged in: hostile until shown otherwise.
namespace forebay::pg {

/// More bytes are needed: `total` counted from the front, never more than kStartupPacketMax.
struct NeedMore {
  std::size_t total;
};
struct SslRequest {};
struct GssEncRequest {};
/// A TLS ClientHello without an SSLRequest before it (direct TLS, PostgreSQL 17).
struct DirectTls {};

struct CancelRequest {
  std::uint32_t process_id;
  Bytes key;  ///< 4 to 256 bytes
};

struct StartupMessage {
  std::uint32_t version;
  /// In the order sent, `user`, `database`, `options` and the rest alike, each name once.
  std::vector<std::pair<Bytes, Bytes>> parameters;

  [[nodiscard]] std::uint16_t major() const noexcept {
    return static_cast<std::uint16_t>(version >> 16);
  }
  [[nodiscard]] std::uint16_t minor() const noexcept { return static_cast<std::uint16_t>(version); }
  /// The value of a parameter; empty when it was not sent.
  [[nodiscard]] Bytes value(Bytes name) const noexcept;
};

using StartupPacket =
    std::variant<NeedMore, DirectTls, SslRequest, GssEncRequest, CancelRequest, StartupMessage>;

/// The first packet in `input`, which begins at a packet boundary, and how long it is
/// (`size`; 0 for NeedMore and DirectTls, whose bytes belong to somebody else).
/// Errors: 08P01 malformed or over the limit; 0A000 a major version that is not 3. The error text
/// may be told to the client.
struct ParsedStartup {
  StartupPacket packet;
  std::size_t size = 0;
};
Result<ParsedStartup> parse_startup(Bytes input);

/// Splits the start-up parameter `options` as PostgreSQL does (pg_split_opts: blanks separate,
/// a backslash quotes the next byte) and reads `-c name=value`, `--name=value` and the switches of
/// a server process, as the settings that they stand for.
/// Errors: 42601 for anything else, as PostgreSQL says it.
Result<std::vector<std::pair<std::string, std::string>>> parse_options(Bytes options);

}  // namespace forebay::pg
