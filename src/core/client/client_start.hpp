#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/refused.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/startup.hpp"

namespace forebay::core {

/// Whether a client asked for a replication connection (manual, "Streaming Replication Protocol").
enum class Replication : std::uint8_t { none, physical, logical };

/// What a client said in its start-up message.
struct StartupFacts {
  std::uint32_t version = pg::kProtocol3_0;  ///< the one that is spoken with it: 3.0 or 3.2
  std::string user;
  std::string database;
  Replication replication = Replication::none;
  std::string replication_value;  ///< as the client wrote it
  /// Run-time parameters, those of `options` first, in the order sent.
  std::vector<std::pair<std::string, std::string>> settings;
};

/// The packets that a client sends before it has logged in: TLS and GSSAPI encryption requests, a
/// cancel request, the start-up message (manual, "Start-up"). Bytes in, bytes out. Everything here
/// is hostile.
class ClientStart {
 public:
  struct Policy {
    bool tls_offered = false;
    bool tls_required = false;  ///< of clients that come over the network
  };

  struct NeedMore {};
  /// Answered with S (or, `direct`, not at all): begin the handshake.
  struct StartTls {
    bool direct = false;
  };
  struct Cancel {
    std::uint32_t process_id;
    std::string key;
  };
  /// Close without a word, as PostgreSQL does.
  struct Hang {};
  using Outcome = std::variant<NeedMore, StartTls, Cancel, Hang, StartupFacts, Refused>;

  /// Takes packets off the front of `in` (`consumed` bytes) until one of them decides. Appends
  /// answers to `out`. For direct TLS nothing is consumed: the bytes belong to the handshake.
  Outcome receive(Bytes in, const Policy& policy, std::size_t& consumed, std::string& out);
  /// The TLS handshake is complete.
  void secured() noexcept { secure_ = true; }
  [[nodiscard]] bool secure() const noexcept { return secure_; }

 private:
  Outcome on_startup(const pg::StartupMessage& message, const Policy& policy, std::string& out);

  bool secure_ = false;
  bool tls_asked_ = false;
  bool gss_asked_ = false;
};

}  // namespace forebay::core
