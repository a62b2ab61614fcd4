#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "forebay/auth/scram_keys.hpp"
#include "forebay/auth/verifier.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"

namespace forebay::auth {

/// The server's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677; manual, "SASL
/// Authentication"). Told the client's messages, answers the server's.
///
///     AwaitFirst --client-first--> AwaitFinal --client-final--> Over
///          \____________ anything wrong ___________\_____________^
class ScramServer {
 public:
  struct Setup {
    /// One or more, all with the same salt and iteration count: the salt is sent before the client
    /// proves anything, so no other could be tried. Each is tried.
    std::vector<Verifier> verifiers;
    /// There is no such user, or no secret that SCRAM could use: go through all of it and refuse at
    /// the end as for a wrong password. The verifier is made up.
    bool mock = false;
    bool plus_offered = false;   ///< SCRAM-SHA-256-PLUS was among the mechanisms
    bool plus_selected = false;  ///< and is the one that the client took
    std::string end_point;       ///< our tls-server-end-point; not empty if PLUS was offered
    ScramNonce nonce{};          ///< random, never used before
  };

  /// Send this and wait for the client.
  struct Continue {
    std::string message;
  };
  /// The client knows the password of verifier number `verifier`. Send the message, which proves
  /// the same of us. The keys open every server that has that very verifier.
  struct Success {
    std::string message;
    std::size_t verifier = 0;
    ScramKeys keys;
  };
  /// The proof is wrong, or it was a mock exchange: which of the two, nobody can tell.
  struct WrongProof {};
  /// The client broke the rules: 08P01, 28000 (channel binding) or 0A000, in PostgreSQL's words.
  struct Violation {
    Error error;
    std::string detail;
  };
  using Outcome = std::variant<Continue, Success, WrongProof, Violation>;

  explicit ScramServer(Setup setup) noexcept;

  /// A message of the client, without the wrapping of SASLInitialResponse or SASLResponse.
  Outcome receive(Bytes message) noexcept;

 private:
  struct AwaitFirst {};
  struct AwaitFinal {
    std::string gs2_header;
    std::string client_first_bare;
    std::string server_first;
    std::string nonce;  ///< the client's and ours
  };
  struct Over {};
  using State = std::variant<AwaitFirst, AwaitFinal, Over>;

  void enter(State state) noexcept { state_ = std::move(state); }
  Outcome violation(std::string message, std::string detail, const char* sqlstate) noexcept;
  Outcome malformed(std::string detail) noexcept;
  Outcome receive_first(Bytes message) noexcept;
  /// The length of the gs2 header in front of the message, or why it is refused.
  std::variant<std::size_t, Outcome> check_gs2_header(Bytes message) noexcept;
  std::variant<std::size_t, Outcome> check_channel_binding_flag(Bytes message) noexcept;
  Outcome receive_final(const AwaitFinal& begun, Bytes message) noexcept;
  Outcome check_proof(const AwaitFinal& begun, Bytes without_proof, const Key& proof) noexcept;

  Setup setup_;
  State state_;
};

}  // namespace forebay::auth
