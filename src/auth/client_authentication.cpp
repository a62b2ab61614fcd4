#include "forebay/auth/client_authentication.hpp"

#include "auth/crypto.hpp"
#include "auth/scram_message.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/frontend.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::auth {
namespace sqlstate = pg::sqlstate;
using pg::backend::AuthenticationCode;

namespace {

/// The verifier of a user who does not exist. Its keys match nothing, and are never asked to.
Verifier mock_verifier(const ScramParameters& mock) noexcept {
  return {mock.salt, mock.iterations, Key(), Key()};
}

Error protocol_violation(std::string message) noexcept {
  return failure(std::move(message), sqlstate::kProtocolViolation);
}

}  // namespace

ClientAuthentication::ClientAuthentication(Setup setup) noexcept : setup_(std::move(setup)) {
  FB_ASSERT(setup_.method != config::AuthMethod::server);
  if (!setup_.secrets) doomed_ = "no such user";
}

Refusal ClientAuthentication::refuse(Error error, std::string reason, std::string detail) noexcept {
  enter(Over{});
  return {std::move(error.sqlstate), std::move(error.message), std::move(detail),
          std::move(reason)};
}

Refusal ClientAuthentication::wrong_password(std::string reason) noexcept {
  return refuse(failure("password authentication failed for user \"" + setup_.user + "\"",
                        sqlstate::kInvalidPassword),
                doomed_.value_or(std::move(reason)));
}

ClientAuthentication::Outcome ClientAuthentication::begin(std::string& out) noexcept {
  FB_ASSERT(std::holds_alternative<Unasked>(state_));
  const auto assumed = exchange_for(setup_.method, setup_.unknown_kind);
  const auto possible = setup_.secrets ? setup_.secrets->exchange(setup_.method) : assumed;
  // What a user has stored may be of no use: let nobody see that before the end.
  if (!possible && !doomed_) doomed_ = possible.error().message;
  if (possible) {
    exchange_ = *possible;
  } else {
    exchange_ = assumed ? *assumed : *exchange_for(setup_.method, SecretKind::clear_text);
  }
  switch (exchange_) {
    case Exchange::none:
      if (setup_.method == config::AuthMethod::cert) return check_certificate();
      enter(Over{});
      return Success{};
    case Exchange::clear_text:
      return ask_clear_text(out);
    case Exchange::md5:
      pg::write_authentication(out, AuthenticationCode::MD5Password,
                               {setup_.md5_salt.data(), setup_.md5_salt.size()});
      enter(AwaitMd5{});
      return Continue{};
    case Exchange::scram:
      break;
  }
  pg::write_authentication_sasl(
      out, {plus_offered() ? Bytes(kScramSha256Plus) : Bytes(), Bytes(kScramSha256)});
  enter(AwaitMechanism{});
  return Continue{};
}

ClientAuthentication::Outcome ClientAuthentication::check_certificate() noexcept {
  if (setup_.peer_common_name.empty()) {
    return refuse(
        failure("connection requires a valid client certificate", sqlstate::kInvalidAuthorization),
        setup_.tls ? "no client certificate" : "no TLS, hence no client certificate");
  }
  if (setup_.peer_common_name != setup_.user) {
    return refuse(failure("certificate authentication failed for user \"" + setup_.user + "\"",
                          sqlstate::kInvalidAuthorization),
                  "the certificate's common name is \"" + setup_.peer_common_name + "\"");
  }
  enter(Over{});
  return Success{};
}

ClientAuthentication::Outcome ClientAuthentication::ask_clear_text(std::string& out) noexcept {
  if (!setup_.cleartext_allowed) {
    return refuse(failure("password authentication needs TLS: connect with sslmode=require, or "
                          "allow cleartext_without_tls in the configuration",
                          sqlstate::kInvalidAuthorization),
                  "auth = \"password\" without TLS");
  }
  pg::write_authentication(out, AuthenticationCode::CleartextPassword);
  enter(AwaitPassword{});
  return Continue{};
}

ClientAuthentication::Outcome ClientAuthentication::receive(Bytes body, std::string& out) noexcept {
  if (std::holds_alternative<AwaitPassword>(state_)) return receive_password(body);
  if (std::holds_alternative<AwaitMd5>(state_)) return receive_md5(body);
  if (std::holds_alternative<AwaitMechanism>(state_)) return receive_mechanism(body, out);
  if (auto* state = std::get_if<InScram>(&state_)) return receive_scram(*state, body, out);
  return refuse(protocol_violation("unexpected password message"), "nothing was asked");
}

ClientAuthentication::Outcome ClientAuthentication::receive_password(Bytes body) noexcept {
  const auto message = pg::frontend::PasswordMessage::parse(body);
  if (!message || message->password.size() > kPasswordMax) {
    return refuse(protocol_violation("invalid password packet size"), "malformed PasswordMessage");
  }
  if (message->password.empty()) {
    return refuse(failure("empty password returned by client", sqlstate::kInvalidPassword),
                  "empty password");
  }
  const Password password(config::Secret(std::string(message->password)));
  bool accepted = false;
  if (!doomed_) {
    accepted = setup_.secrets->accepts(password);
  } else if (setup_.unknown_kind == SecretKind::scram) {
    derive_keys(password, setup_.mock.salt, setup_.mock.iterations);
  }
  if (!accepted) return wrong_password("wrong password");
  enter(Over{});
  return Success{password};
}

ClientAuthentication::Outcome ClientAuthentication::receive_md5(Bytes body) noexcept {
  const auto message = pg::frontend::PasswordMessage::parse(body);
  if (!message) {
    return refuse(protocol_violation("invalid password packet size"), "malformed PasswordMessage");
  }
  if (message->password.empty()) {
    return refuse(failure("empty password returned by client", sqlstate::kInvalidPassword),
                  "empty password");
  }
  const Bytes salt(setup_.md5_salt.data(), setup_.md5_salt.size());
  static const std::vector<Md5Hash> mock{{config::Secret("md5" + std::string(32, '0'))}};
  const auto& hashes = doomed_ ? mock : setup_.secrets->md5_hashes();
  const Md5Hash* accepted = nullptr;
  for (const Md5Hash& hash : hashes) {
    if (md5_accepts(hash.stored.reveal(), salt, message->password)) accepted = &hash;
  }
  if (!accepted || doomed_) return wrong_password("wrong password");
  enter(Over{});
  return Success{*accepted};
}

bool ClientAuthentication::plus_offered() const noexcept {
  return setup_.tls && !setup_.end_point.empty();
}

ScramServer::Setup ClientAuthentication::scram_setup(bool plus) const noexcept {
  ScramServer::Setup scram{.mock = doomed_.has_value(),
                           .plus_offered = plus_offered(),
                           .plus_selected = plus,
                           .end_point = setup_.end_point,
                           .nonce = setup_.nonce};
  scram.verifiers = doomed_ ? std::vector{mock_verifier(setup_.mock)} : setup_.secrets->verifiers();
  return scram;
}

ClientAuthentication::Outcome ClientAuthentication::receive_mechanism(Bytes body,
                                                                      std::string& out) noexcept {
  const auto initial = pg::frontend::SASLInitialResponse::parse(body);
  if (!initial) {
    return refuse(protocol_violation("malformed SASLInitialResponse"),
                  "malformed SASLInitialResponse");
  }
  const bool plus = initial->mechanism == kScramSha256Plus && plus_offered();
  if (!plus && initial->mechanism != kScramSha256) {
    return refuse(protocol_violation("client selected an invalid SASL authentication mechanism"),
                  "mechanism \"" + sanitized(initial->mechanism) + "\"");
  }
  enter(InScram{ScramServer(scram_setup(plus))});
  if (!initial->response) {
    // RFC 4422: a client may leave its first message for the answer to an empty challenge.
    pg::write_authentication(out, AuthenticationCode::SASLContinue);
    return Continue{};
  }
  return receive_scram(std::get<InScram>(state_), *initial->response, out);
}

ClientAuthentication::Outcome ClientAuthentication::receive_scram(InScram& state, Bytes message,
                                                                  std::string& out) noexcept {
  auto outcome = state.scram.receive(message);
  if (const auto* next = std::get_if<ScramServer::Continue>(&outcome)) {
    pg::write_authentication(out, AuthenticationCode::SASLContinue, next->message);
    return Continue{};
  }
  if (auto* broken = std::get_if<ScramServer::Violation>(&outcome)) {
    std::string reason = broken->error.message + ". " + broken->detail;
    return refuse(std::move(broken->error), std::move(reason), std::move(broken->detail));
  }
  if (std::holds_alternative<ScramServer::WrongProof>(outcome)) {
    return wrong_password("wrong password");
  }
  auto& proven = std::get<ScramServer::Success>(outcome);
  pg::write_authentication(out, AuthenticationCode::SASLFinal, proven.message);
  enter(Over{});
  // The clear text opens more servers than the keys do.
  if (const Password* password = setup_.secrets->password_of(proven.verifier)) {
    return Success{*password};
  }
  return Success{std::move(proven.keys)};
}

}  // namespace forebay::auth
