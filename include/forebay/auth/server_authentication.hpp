#pragma once

#include <string>
#include <variant>

#include "forebay/auth/scram_client.hpp"
#include "forebay/auth/user_secrets.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/protocol/postgres/backend.hpp"

namespace forebay::auth {

/// The dialogue with one server after our start-up message, until AuthenticationOk (manual,
/// "Start-up"). Servers are not trusted: one request only, no clear text over an unprotected
/// connection, and a server that began SCRAM must finish it by its signature.
///
///     AwaitRequest --Ok-----------------------------------> Over
///          |---CleartextPassword, MD5Password---> AwaitOk --> Over
///          \---SASL---> InScram --SASLContinue, SASLFinal--> AwaitOk
class ServerAuthentication {
 public:
  struct Setup {
    std::string user;  ///< of our start-up message; MD5 hashes it in
    Credential credential;
    bool tls = false;
    std::string end_point;  ///< the server's tls-server-end-point; empty: no channel binding
    /// The connection is protected (TLS, Unix-domain socket), or that was waived.
    bool cleartext_allowed = false;
    ScramNonce nonce{};  ///< random
  };

  /// What was written (perhaps nothing) is to be sent; wait for the server's next message.
  struct Continue {};
  using NeedKeys = ScramClient::NeedKeys;
  /// AuthenticationOk: what follows is ParameterStatus, BackendKeyData, ReadyForQuery.
  struct Success {};
  /// Errors 28P01: the credential does not do; drop cached keys and ask auth_query again. 28000:
  /// what the server asks for is not to be had. 08P01: it broke the protocol. 54000: over a limit.
  /// The texts say "server" and no address: the caller knows it.
  using Outcome = std::variant<Continue, NeedKeys, Success, Error>;

  explicit ServerAuthentication(Setup setup) noexcept;

  /// The body of an Authentication message (type 'R'). Appends messages to `out`, one of which may
  /// be a clear password: the caller wipes its buffer after sending.
  Outcome receive(Bytes body, std::string& out) noexcept;
  /// The keys that NeedKeys asked for.
  Outcome supply(const ScramKeys& keys, std::string& out) noexcept;

 private:
  struct AwaitRequest {};
  struct InScram {
    ScramClient scram;
  };
  struct AwaitOk {};
  struct Over {};
  using State = std::variant<AwaitRequest, InScram, AwaitOk, Over>;

  void enter(State state) noexcept { state_ = std::move(state); }
  Error fail(std::string message, const char* sqlstate) noexcept;
  Outcome answer_request(const pg::backend::Authentication& request, std::string& out) noexcept;
  Outcome answer_clear_text(std::string& out) noexcept;
  Outcome answer_md5(Bytes salt, std::string& out) noexcept;
  Outcome answer_sasl(const pg::backend::Authentication& request, std::string& out) noexcept;
  Outcome step_scram(InScram& state, const pg::backend::Authentication& message,
                     std::string& out) noexcept;
  Outcome translate(ScramClient::Outcome outcome, bool final, std::string& out) noexcept;

  Setup setup_;
  State state_;
};

}  // namespace forebay::auth
