#include "forebay/auth/scram_server.hpp"

#include <algorithm>

#include "auth/base64.hpp"
#include "auth/crypto.hpp"
#include "auth/scram_message.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::auth {
namespace sqlstate = pg::sqlstate;

ScramServer::ScramServer(Setup setup) noexcept : setup_(std::move(setup)) {
  FB_ASSERT(!setup_.verifiers.empty());
  FB_ASSERT(std::ranges::all_of(setup_.verifiers, [&](const Verifier& verifier) {
    return verifier.salt == setup_.verifiers.front().salt &&
           verifier.iterations == setup_.verifiers.front().iterations;
  }));
  FB_ASSERT(!setup_.plus_selected || setup_.plus_offered);
  FB_ASSERT(!setup_.plus_offered || !setup_.end_point.empty());
}

ScramServer::Outcome ScramServer::receive(Bytes message) noexcept {
  if (auto complaint = check_scram_message(message)) return malformed(std::move(*complaint));
  if (std::holds_alternative<AwaitFirst>(state_)) return receive_first(message);
  if (auto* begun = std::get_if<AwaitFinal>(&state_)) {
    const AwaitFinal moved = std::move(*begun);
    enter(Over{});
    return receive_final(moved, message);
  }
  return malformed("The exchange is over.");
}

ScramServer::Outcome ScramServer::violation(std::string message, std::string detail,
                                            const char* sqlstate) noexcept {
  enter(Over{});
  return Violation{failure(std::move(message), sqlstate), std::move(detail)};
}

ScramServer::Outcome ScramServer::malformed(std::string detail) noexcept {
  return violation("malformed SCRAM message", std::move(detail), sqlstate::kProtocolViolation);
}

// client-first-message = gs2-header client-first-message-bare
// client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
ScramServer::Outcome ScramServer::receive_first(Bytes message) noexcept {
  auto checked = check_gs2_header(message);
  if (auto* refused = std::get_if<Outcome>(&checked)) return std::move(*refused);
  const std::size_t header_size = std::get<std::size_t>(checked);

  AwaitFinal begun;
  begun.gs2_header = message.substr(0, header_size);
  begun.client_first_bare = message.substr(header_size);
  Attributes attributes(begun.client_first_bare);
  // The user is the one of the start-up message, as the manual says; this name is not looked at.
  const bool has_user = attributes.value_of('n').has_value();
  const Bytes client_nonce = attributes.value_of('r').value_or(Bytes());
  const bool well_formed = attributes.skip_extensions() && has_user;
  if (attributes.mandatory_extension()) {
    return violation("client requires an unsupported SCRAM extension", {},
                     sqlstate::kFeatureNotSupported);
  }
  if (!well_formed) return malformed(attributes.complaint());
  if (!attributes.at_end()) return malformed("Attribute repeated in client-first-message.");
  if (client_nonce.empty() || client_nonce.size() > kScramNonceMax) {
    return malformed("The nonce must have from 1 to " + std::to_string(kScramNonceMax) + " bytes.");
  }
  if (!is_printable(client_nonce)) {
    return violation("non-printable characters in SCRAM nonce", {}, sqlstate::kProtocolViolation);
  }

  const Verifier& shared = setup_.verifiers.front();
  begun.nonce = client_nonce;
  begun.nonce += base64_encode({setup_.nonce.data(), setup_.nonce.size()});
  begun.server_first = "r=" + begun.nonce + ",s=" + base64_encode(shared.salt) +
                       ",i=" + std::to_string(shared.iterations);
  Continue answer{begun.server_first};
  enter(std::move(begun));
  return answer;
}

// gs2-header = gs2-cbind-flag "," [ authzid ] ","
std::variant<std::size_t, ScramServer::Outcome> ScramServer::check_gs2_header(
    Bytes message) noexcept {
  auto checked = check_channel_binding_flag(message);
  if (std::holds_alternative<Outcome>(checked)) return checked;
  const std::size_t flag_size = std::get<std::size_t>(checked);
  const Bytes rest = message.substr(flag_size);
  if (!rest.starts_with(',')) return malformed("Comma expected after the channel-binding flag.");
  if (rest.starts_with(",a")) {
    return violation("client uses authorization identity, but it is not supported", {},
                     sqlstate::kFeatureNotSupported);
  }
  if (!rest.starts_with(",,")) return malformed("Unexpected attribute in client-first-message.");
  return flag_size + 2;
}

// gs2-cbind-flag = ("p=" cb-name) / "n" / "y"
std::variant<std::size_t, ScramServer::Outcome> ScramServer::check_channel_binding_flag(
    Bytes message) noexcept {
  const char flag = message.front();
  if (flag == 'p') {
    if (!setup_.plus_selected) {
      return malformed(
          "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message "
          "includes channel binding data.");
    }
    const Bytes whole = message.substr(0, message.find(','));
    if (whole != kEndPointFlag) {
      return violation("unsupported SCRAM channel-binding type \"" +
                           sanitized(whole.substr(std::min<std::size_t>(2, whole.size()))) + "\"",
                       {}, sqlstate::kProtocolViolation);
    }
    return whole.size();
  }
  if (flag != 'n' && flag != 'y') {
    return malformed("Unexpected channel-binding flag \"" + sanitized(message.substr(0, 1)) +
                     "\".");
  }
  if (setup_.plus_selected) {
    return malformed(
        "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel "
        "binding data.");
  }
  if (flag == 'y' && setup_.plus_offered) {
    return violation("SCRAM channel binding negotiation error",
                     "The client supports SCRAM channel binding but thinks the server does not.  "
                     "However, this server does support channel binding.",
                     sqlstate::kInvalidAuthorization);
  }
  return std::size_t{1};
}

// client-final-message = channel-binding "," nonce ["," extensions] "," proof
ScramServer::Outcome ScramServer::receive_final(const AwaitFinal& begun, Bytes message) noexcept {
  Attributes attributes(message);
  const auto channel_binding = attributes.value_of('c');
  const auto nonce = attributes.value_of('r');
  attributes.skip_extensions();
  const Bytes without_proof = attributes.before();
  const auto proof_text = attributes.value_of('p');
  if (attributes.mandatory_extension()) {
    return violation("client requires an unsupported SCRAM extension", {},
                     sqlstate::kFeatureNotSupported);
  }
  if (!channel_binding || !nonce || !proof_text) return malformed(attributes.complaint());
  if (!attributes.at_end()) return malformed("Garbage found at the end of client-final-message.");

  const Bytes bound = setup_.plus_selected ? Bytes(setup_.end_point) : Bytes();
  if (*channel_binding != base64_encode(begun.gs2_header + std::string(bound))) {
    if (setup_.plus_selected) {
      return violation("SCRAM channel binding check failed", {}, sqlstate::kInvalidAuthorization);
    }
    return violation("unexpected SCRAM channel-binding attribute in client-final-message", {},
                     sqlstate::kProtocolViolation);
  }
  if (*nonce != begun.nonce) {
    return violation("invalid SCRAM response", "Nonce does not match.",
                     sqlstate::kProtocolViolation);
  }
  auto proof_bytes = base64_decode(*proof_text);
  const auto proof = proof_bytes ? Key::from(*proof_bytes) : std::nullopt;
  if (!proof) return malformed("Malformed proof in client-final-message.");
  return check_proof(begun, without_proof, *proof);
}

ScramServer::Outcome ScramServer::check_proof(const AwaitFinal& begun, Bytes without_proof,
                                              const Key& proof) noexcept {
  const auto signature = [&](const Key& key) {
    return scram_signature(key, begun.client_first_bare, begun.server_first, without_proof);
  };
  // All are computed, also in a mock exchange and after one that fits, so that the time tells
  // neither whether the user exists nor which password it was.
  std::optional<Success> success;
  for (std::size_t i = 0; i < setup_.verifiers.size(); ++i) {
    const Verifier& verifier = setup_.verifiers[i];
    const Key client_key = proof ^ signature(verifier.stored_key);
    const bool proven = crypto::sha256(client_key.bytes()) == verifier.stored_key;
    Success candidate{
        .message = "v=" + base64_encode(signature(verifier.server_key).bytes()),
        .verifier = i,
        .keys = {verifier.salt, verifier.iterations, client_key, verifier.server_key}};
    if (proven && !success) success = std::move(candidate);
  }
  if (!success || setup_.mock) return WrongProof{};
  return std::move(*success);
}

}  // namespace forebay::auth
