#pragma once

#include <string>
#include <variant>
#include <vector>

#include "forebay/auth/password.hpp"
#include "forebay/auth/scram_keys.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"

namespace forebay::auth {

/// What a client says about channel binding (RFC 5802, section 6; gs2-cbind-flag).
enum class ChannelBinding : std::uint8_t {
  unsupported,  ///< "n": no TLS, or no end-point hash (certificates signed with Ed25519 have none)
  not_offered,  ///< "y": we could, but the server offers no PLUS; it will notice if it did
  end_point,    ///< "p=tls-server-end-point", with SCRAM-SHA-256-PLUS
};

/// Which of a server's SASL mechanisms to take, as libpq does: PLUS where it is offered and
/// possible. Errors: 08P01 PLUS without TLS (somebody sits in between), 28000 no SCRAM-SHA-256.
Result<ChannelBinding> choose_scram(const std::vector<Bytes>& offered, bool tls,
                                    Bytes end_point) noexcept;

/// The client's side of one SCRAM-SHA-256 exchange, towards a server that is not trusted.
///
///     first_message() ... AwaitFirst --server-first, keys at hand--> AwaitFinal --> Over
///                              \--password--> AwaitKeys --supply()--^
class ScramClient {
 public:
  /// A password, or keys that fit this server's verifier.
  using Secret = std::variant<Password, ScramKeys>;

  struct Setup {
    Secret secret;
    ChannelBinding binding = ChannelBinding::unsupported;
    std::string end_point;  ///< the server's tls-server-end-point, for ChannelBinding::end_point
    ScramNonce nonce{};     ///< random, never used before
  };

  /// Send this and wait for the server.
  struct Continue {
    std::string message;
  };
  /// Find the keys in a cache or derive them, on whichever thread, and `supply` them.
  struct NeedKeys {
    KeyRequest request;
  };
  /// The server knows the password, too.
  struct Success {};
  /// 08P01 the server broke the rules, 28P01 it refuses or the keys do not fit it, 28000 it did not
  /// prove that it knows the password, 54000 over a limit of ours.
  using Outcome = std::variant<Continue, NeedKeys, Success, Error>;

  explicit ScramClient(Setup setup) noexcept;

  [[nodiscard]] const char* mechanism() const noexcept;
  [[nodiscard]] std::string first_message() const noexcept;

  /// The data of AuthenticationSASLContinue or AuthenticationSASLFinal.
  Outcome receive(Bytes message) noexcept;
  /// The keys that NeedKeys asked for; others are an error of the caller (assertion).
  Outcome supply(const ScramKeys& keys) noexcept;

 private:
  struct AwaitFirst {};
  struct AwaitKeys {
    KeyRequest request;
    std::string server_first;
    std::string nonce;
  };
  struct AwaitFinal {
    Key server_signature;
  };
  struct Over {};
  using State = std::variant<AwaitFirst, AwaitKeys, AwaitFinal, Over>;

  void enter(State state) noexcept { state_ = std::move(state); }
  Error fail(std::string message, const char* sqlstate) noexcept;
  Error malformed(const std::string& detail) noexcept;
  [[nodiscard]] std::string gs2_header() const noexcept;
  [[nodiscard]] std::string first_bare() const noexcept;
  Outcome receive_first(Bytes message) noexcept;
  Outcome prove(const ScramKeys& keys, Bytes server_first, Bytes nonce) noexcept;
  Outcome receive_final(const AwaitFinal& proven, Bytes message) noexcept;

  Setup setup_;
  std::string nonce_;
  State state_;
};

}  // namespace forebay::auth
