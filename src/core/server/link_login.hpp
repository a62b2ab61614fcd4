#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/refused.hpp"
#include "core/relay/relay_state.hpp"
#include "forebay/auth/server_authentication.hpp"
#include "forebay/config/config.hpp"
#include "forebay/core/io.hpp"
#include "forebay/protocol/postgres/framer.hpp"

namespace forebay::core {

/// The dialogue that opens a server connection: TLS or not, the start-up message, authentication,
/// and what the server then says about itself (manual, "Start-up"). Bytes in, bytes out.
///
///     connected --SSLRequest--> AwaitTlsAnswer --S--> Securing --secured--+
///          +------------------- plain, or N ----------------------> Authenticating
///     Authenticating --AuthenticationOk--> Introducing --ReadyForQuery--> Over
class LinkLogin {
 public:
  struct Setup {
    std::string user;
    std::string database;
    config::TlsMode tls_mode = config::TlsMode::prefer;  ///< disable on Unix-domain sockets
    bool begin_with_tls = true;  ///< towards `allow`: false at first, true in the second attempt
    std::uint32_t version = pg::kProtocol3_2;
    bool cleartext_allowed = false;
    /// Nothing: the client answers the server's requests itself, through us.
    std::optional<auth::Credential> credential;
    /// Further start-up parameters.
    std::vector<std::pair<std::string, std::string>> parameters;
    auth::ScramNonce nonce{};
  };

  /// What to try next, on a new connection, before the failure is final.
  enum class Retry : std::uint8_t { none, with_tls, without_tls, version_3_0 };

  struct Continue {};  ///< send what was written; wait
  struct StartTls {};  ///< the server agreed: begin the handshake; everything received is consumed
  struct Challenge {   ///< to be passed on to the client: a whole Authentication message
    Bytes message;
  };
  struct NeedKeys {  ///< `supply` them
    auth::KeyRequest request;
  };
  struct Authenticated {};  ///< the server is content; it goes on to introduce itself
  struct Ready {};          ///< logged in: see `welcome` and `key`
  struct Failed {
    Refused reason;        ///< the server's own words where it said any
    bool lasting = false;  ///< trying again would not help
    Retry retry = Retry::none;
  };
  using Outcome =
      std::variant<Continue, StartTls, Challenge, NeedKeys, Authenticated, Ready, Failed>;

  explicit LinkLogin(Setup setup) : setup_(std::move(setup)) {}

  /// The connection is there. Appends what to send to `out`.
  void connected(std::string& out);
  /// The TLS handshake is complete.
  void secured(const TlsFacts& facts, std::string& out);
  /// Takes at most one message off the front of `in`; `consumed` says how many bytes. Continue with
  /// nothing consumed means that more bytes are needed.
  Outcome receive(Bytes in, std::size_t& consumed, std::string& out);
  Outcome supply(const auth::ScramKeys& keys, std::string& out);
  /// The client has shown us its password: from here on we answer, the last challenge first.
  Outcome answer_with(auth::Credential credential, const auth::ScramNonce& nonce, std::string& out);
  /// The connection ended before it was ready.
  [[nodiscard]] Failed lost(const std::string& why) const;

  [[nodiscard]] Welcome& welcome() noexcept { return welcome_; }
  [[nodiscard]] std::uint32_t process_id() const noexcept { return process_id_; }
  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  [[nodiscard]] bool standby() const noexcept;
  /// There is one, unless `relayed`.
  [[nodiscard]] const auth::Credential& credential() const noexcept { return *setup_.credential; }
  /// The client answers for itself.
  [[nodiscard]] bool relayed() const noexcept { return !setup_.credential.has_value(); }
  [[nodiscard]] bool secure() const noexcept { return secure_; }
  /// The server let us in without asking for anything.
  [[nodiscard]] bool asked_nothing() const noexcept { return !asked_; }
  /// What the server asked a relayed client for, first.
  [[nodiscard]] std::optional<pg::backend::AuthenticationCode> request() const noexcept {
    return request_;
  }
  /// A clear-text password may be shown to this server.
  [[nodiscard]] bool cleartext_allowed() const noexcept {
    return secure_ || setup_.cleartext_allowed;
  }

 private:
  enum class Phase : std::uint8_t { await_tls_answer, securing, authenticating, introducing, over };

  void start_up(std::string& out);
  Outcome on_tls_answer(char answer, std::string& out);
  Outcome on_message(const pg::Message& message, Bytes whole, std::string& out);
  Outcome on_authentication(Bytes body, Bytes whole, std::string& out);
  Outcome on_relayed_authentication(const pg::backend::Authentication& request, Bytes whole);
  void begin_authentication();
  Outcome on_negotiate(Bytes body);
  Outcome on_error(Bytes body);
  Outcome translate(auth::ServerAuthentication::Outcome outcome);
  Failed fail(std::string message, const char* sqlstate, bool lasting);

  Setup setup_;
  Phase phase_ = Phase::authenticating;
  bool started_ = false;  ///< the start-up message is written
  pg::Framer framer_{pg::Sender::server};
  std::optional<auth::ServerAuthentication> authentication_;
  std::string end_point_;
  std::string challenge_;     ///< a challenge that was rewritten
  std::string request_body_;  ///< the server's first request, for answer_with
  Welcome welcome_;
  std::uint32_t process_id_ = 0;
  std::string key_;
  std::optional<pg::backend::AuthenticationCode> request_;
  bool secure_ = false;
  bool asked_ = false;
  bool answered_ = false;  ///< the server said anything after our start-up message
};

}  // namespace forebay::core
