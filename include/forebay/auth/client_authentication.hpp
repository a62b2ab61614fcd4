#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "forebay/auth/md5.hpp"
#include "forebay/auth/scram_server.hpp"
#include "forebay/auth/user_secrets.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::auth {

/// Why a client is not let in.
struct Refusal {
  std::string sqlstate;
  std::string message;  ///< for the client: PostgreSQL's words, which tell nothing
  std::string detail;   ///< for the client, where it broke the protocol; else empty
  std::string reason;   ///< for our log only: tells which users exist

  /// For pg::write_error; lives as long as this.
  [[nodiscard]] pg::Report report() const noexcept {
    return {.severity = "FATAL", .sqlstate = sqlstate, .message = message, .detail = detail};
  }
};

/// The dialogue with one client after its start-up message, until it is let in or refused (manual,
/// "Start-up"). It writes AuthenticationSASL, -SASLContinue, -SASLFinal, -MD5Password and
/// -CleartextPassword. It writes neither AuthenticationOk nor ErrorResponse: after success the
/// caller may still refuse (limits, no such database), and decides when to say so.
///
///     begin() --none--------------------------------------------> Over
///        |----clear_text----> AwaitPassword --PasswordMessage-----> Over
///        |----md5-----------> AwaitMd5 ------PasswordMessage-----> Over
///        \----scram---------> AwaitMechanism --SASLInitialResponse--> InScram --> Over
///
/// Unknown users, and known ones whose secrets the method cannot use, go through the same dialogue
/// in the same time and fail with the same words.
class ClientAuthentication {
 public:
  struct Setup {
    config::AuthMethod method = config::AuthMethod::scram_sha_256;  ///< not `server`
    std::string user;                                               ///< as the client says; no NUL
    std::shared_ptr<const UserSecrets> secrets;                     ///< null: unknown user
    /// What unknown users are taken to have stored: what most known ones have.
    SecretKind unknown_kind = SecretKind::clear_text;
    /// For them, and for known users whose secrets the method cannot use: made_up_salt of the user
    /// name, and scram_iterations.
    ScramParameters mock{};

    bool tls = false;
    std::string end_point;         ///< our tls-server-end-point; empty: PLUS is not offered
    std::string peer_common_name;  ///< of a verified client certificate; empty: none
    /// The connection is protected (TLS, Unix-domain socket), or that was waived.
    bool cleartext_allowed = false;

    ScramNonce nonce{};                         ///< random
    std::array<char, kMd5SaltSize> md5_salt{};  ///< random
  };

  /// What was written is to be sent; wait for the client's next message.
  struct Continue {};
  /// The client is who it says. What was written is to be sent before AuthenticationOk.
  struct Success {
    /// What the dialogue gave to log in to servers with.
    Credential recovered;
  };
  using Outcome = std::variant<Continue, Success, Refusal>;

  explicit ClientAuthentication(Setup setup) noexcept;

  /// What is really run, after `begin`.
  [[nodiscard]] Exchange exchange() const noexcept { return exchange_; }

  /// Call once, first. Appends messages to `out`.
  Outcome begin(std::string& out) noexcept;
  /// The body of a message of type 'p'; any other type here is a protocol violation which the
  /// caller reports. The body may hold a password: the caller wipes it. A clear text that meets a
  /// stored SCRAM verifier costs as much as derive_keys.
  Outcome receive(Bytes body, std::string& out) noexcept;

 private:
  struct Unasked {};
  struct AwaitPassword {};
  struct AwaitMd5 {};
  struct AwaitMechanism {};
  struct InScram {
    ScramServer scram;
  };
  struct Over {};
  using State = std::variant<Unasked, AwaitPassword, AwaitMd5, AwaitMechanism, InScram, Over>;

  void enter(State state) noexcept { state_ = std::move(state); }
  Refusal refuse(Error error, std::string reason, std::string detail = {}) noexcept;
  Refusal wrong_password(std::string reason) noexcept;

  Outcome check_certificate() noexcept;
  Outcome ask_clear_text(std::string& out) noexcept;
  Outcome receive_password(Bytes body) noexcept;
  Outcome receive_md5(Bytes body) noexcept;
  Outcome receive_mechanism(Bytes body, std::string& out) noexcept;
  Outcome receive_scram(InScram& state, Bytes message, std::string& out) noexcept;
  [[nodiscard]] bool plus_offered() const noexcept;
  [[nodiscard]] ScramServer::Setup scram_setup(bool plus) const noexcept;

  Setup setup_;
  Exchange exchange_ = Exchange::none;
  /// Nothing: the user may come in with the right password. Else the reason why never.
  std::optional<std::string> doomed_;
  State state_;
};

}  // namespace forebay::auth
