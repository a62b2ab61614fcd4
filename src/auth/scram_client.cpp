#include "forebay/auth/scram_client.hpp"

#include <algorithm>

#include "auth/base64.hpp"
#include "auth/crypto.hpp"
#include "auth/scram_message.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::auth {
namespace sqlstate = pg::sqlstate;

Result<ChannelBinding> choose_scram(const std::vector<Bytes>& offered, bool tls,
                                    Bytes end_point) noexcept {
  const auto offers = [&](Bytes mechanism) {
    return std::ranges::find(offered, mechanism) != offered.end();
  };
  const bool plus = offers(kScramSha256Plus);
  if (plus && !tls) {
    return failure("the server offers SCRAM-SHA-256-PLUS over a connection without TLS",
                   sqlstate::kProtocolViolation);
  }
  if (plus && !end_point.empty()) return ChannelBinding::end_point;
  if (offers(kScramSha256)) {
    return tls && !end_point.empty() ? ChannelBinding::not_offered : ChannelBinding::unsupported;
  }
  std::string names;
  for (const Bytes mechanism : offered) {
    if (names.size() > kScramMessageMax) break;
    names += (names.empty() ? "" : ", ") + sanitized(mechanism);
  }
  return failure("the server offers no SASL mechanism that can be used here (it offers " + names +
                     "): let it offer SCRAM-SHA-256",
                 sqlstate::kInvalidAuthorization);
}

ScramClient::ScramClient(Setup setup) noexcept
    : setup_(std::move(setup)), nonce_(base64_encode({setup_.nonce.data(), setup_.nonce.size()})) {
  FB_ASSERT(setup_.binding != ChannelBinding::end_point || !setup_.end_point.empty());
}

const char* ScramClient::mechanism() const noexcept {
  return setup_.binding == ChannelBinding::end_point ? kScramSha256Plus : kScramSha256;
}

std::string ScramClient::first_message() const noexcept {
  return gs2_header() + first_bare();
}

std::string ScramClient::gs2_header() const noexcept {
  switch (setup_.binding) {
    case ChannelBinding::unsupported:
      return "n,,";
    case ChannelBinding::not_offered:
      return "y,,";
    case ChannelBinding::end_point:
      break;
  }
  return std::string(kEndPointFlag) + ",,";
}

// The user is the one of the start-up message; libpq leaves it empty here, too.
std::string ScramClient::first_bare() const noexcept {
  return "n=,r=" + nonce_;
}

Error ScramClient::fail(std::string message, const char* sqlstate) noexcept {
  enter(Over{});
  return failure(std::move(message), sqlstate);
}

Error ScramClient::malformed(const std::string& detail) noexcept {
  return fail("malformed SCRAM message from the server: " + detail, sqlstate::kProtocolViolation);
}

ScramClient::Outcome ScramClient::receive(Bytes message) noexcept {
  if (const auto complaint = check_scram_message(message)) return malformed(*complaint);
  if (std::holds_alternative<AwaitFirst>(state_)) return receive_first(message);
  if (const auto* proven = std::get_if<AwaitFinal>(&state_)) {
    return receive_final(AwaitFinal(*proven), message);
  }
  return malformed("It is out of turn.");
}

// server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
ScramClient::Outcome ScramClient::receive_first(Bytes message) noexcept {
  Attributes attributes(message);
  const Bytes nonce = attributes.value_of('r').value_or(Bytes());
  const Bytes salt_text = attributes.value_of('s').value_or(Bytes());
  const Bytes iterations_text = attributes.value_of('i').value_or(Bytes());
  if (!attributes.skip_extensions()) return malformed(attributes.complaint());
  if (!attributes.at_end()) return malformed("Garbage found at the end of server-first-message.");

  if (nonce.size() <= nonce_.size() || !nonce.starts_with(nonce_) ||
      nonce.size() > kScramNonceMax || !is_printable(nonce)) {
    return malformed("The nonce does not extend ours by up to " + std::to_string(kScramNonceMax) +
                     " printable bytes in all.");
  }
  auto salt = base64_decode(salt_text);
  if (!salt || salt->empty() || salt->size() > kScramSaltMax) {
    return malformed("The salt is not base64 of 1 to " + std::to_string(kScramSaltMax) + " bytes.");
  }
  const auto iterations = parse_iterations(iterations_text);
  if (!iterations) return malformed("The iteration count is no positive number.");

  if (const auto* keys = std::get_if<ScramKeys>(&setup_.secret)) {
    if (keys->salt != *salt || keys->iterations != *iterations) {
      return fail(
          "the SCRAM keys do not belong to the verifier that the server has for this user (another "
          "salt or iteration count): the password was changed there, or its verifier is not the "
          "one that the client was checked against",
          sqlstate::kInvalidPassword);
    }
    return prove(*keys, message, nonce);
  }
  if (*iterations > kScramIterationsMax) {
    return fail("the server asks for " + std::to_string(*iterations) +
                    " SCRAM iterations, over the limit of " + std::to_string(kScramIterationsMax),
                sqlstate::kProgramLimitExceeded);
  }
  const Password& password = std::get<Password>(setup_.secret);
  NeedKeys need{{password.identity(), std::move(*salt), *iterations}};
  enter(AwaitKeys{need.request, std::string(message), std::string(nonce)});
  return need;
}

ScramClient::Outcome ScramClient::supply(const ScramKeys& keys) noexcept {
  const auto* waiting = std::get_if<AwaitKeys>(&state_);
  FB_ASSERT(waiting != nullptr);
  FB_ASSERT(keys.salt == waiting->request.salt && keys.iterations == waiting->request.iterations);
  const AwaitKeys begun = *waiting;
  return prove(keys, begun.server_first, begun.nonce);
}

// client-final-message = channel-binding "," nonce "," proof
ScramClient::Outcome ScramClient::prove(const ScramKeys& keys, Bytes server_first,
                                        Bytes nonce) noexcept {
  std::string bound = gs2_header();
  if (setup_.binding == ChannelBinding::end_point) bound += setup_.end_point;
  std::string message = "c=" + base64_encode(bound) + ",r=" + std::string(nonce);

  const auto signature = [&](const Key& key) {
    return scram_signature(key, first_bare(), server_first, message);
  };
  const Key stored_key = crypto::sha256(keys.client_key.bytes());
  const Key proof = keys.client_key ^ signature(stored_key);
  enter(AwaitFinal{signature(keys.server_key)});
  message += ",p=" + base64_encode(proof.bytes());
  return Continue{std::move(message)};
}

// server-final-message = (server-error / verifier) ["," extensions]
ScramClient::Outcome ScramClient::receive_final(const AwaitFinal& proven, Bytes message) noexcept {
  Attributes attributes(message);
  if (message.starts_with('e')) {
    const auto reason = attributes.value_of('e');
    if (!reason) return malformed(attributes.complaint());
    return fail("the server refuses the SCRAM exchange: " + sanitized(*reason),
                sqlstate::kInvalidPassword);
  }
  const Bytes signature_text = attributes.value_of('v').value_or(Bytes());
  if (!attributes.skip_extensions()) return malformed(attributes.complaint());
  if (!attributes.at_end()) return malformed("Garbage found at the end of server-final-message.");

  const auto signature_bytes = base64_decode(signature_text);
  const auto signature = signature_bytes ? Key::from(*signature_bytes) : std::nullopt;
  if (!signature) return malformed("The server signature is not base64 of 32 bytes.");
  if (*signature != proven.server_signature) {
    return fail(
        "the server did not prove that it knows the password (wrong SCRAM signature): it "
        "may not be the server that it claims to be",
        sqlstate::kInvalidAuthorization);
  }
  enter(Over{});
  return Success{};
}

}  // namespace forebay::auth
