#include "forebay/auth/server_authentication.hpp"

#include "auth/crypto.hpp"
#include "forebay/auth/md5.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::auth {
namespace sqlstate = pg::sqlstate;
using pg::backend::Authentication;
using pg::backend::AuthenticationCode;

namespace {

/// A request's name in the manual; null for those that nobody sends any more or yet.
const char* name_of(AuthenticationCode code) noexcept {
  switch (code) {
    case AuthenticationCode::Ok:
      return "AuthenticationOk";
    case AuthenticationCode::KerberosV5:
      return "Kerberos V5";
    case AuthenticationCode::CleartextPassword:
      return "a clear-text password";
    case AuthenticationCode::MD5Password:
      return "an MD5 password";
    case AuthenticationCode::GSS:
    case AuthenticationCode::GSSContinue:
      return "GSSAPI";
    case AuthenticationCode::SSPI:
      return "SSPI";
    case AuthenticationCode::SASL:
    case AuthenticationCode::SASLContinue:
    case AuthenticationCode::SASLFinal:
      return "SASL";
  }
  return nullptr;
}

std::string described(AuthenticationCode code) noexcept {
  if (const char* name = name_of(code)) return name;
  return "the unknown method " + std::to_string(static_cast<std::uint32_t>(code));
}

/// What there is instead of what a server wants; nothing is revealed by it.
const char* description_of(const Credential& credential) noexcept {
  if (std::holds_alternative<Md5Hash>(credential)) return "only its MD5 hash is known";
  if (std::holds_alternative<ScramKeys>(credential)) return "only its SCRAM keys are known";
  return "no password is known";
}

}  // namespace

ServerAuthentication::ServerAuthentication(Setup setup) noexcept : setup_(std::move(setup)) {}

Error ServerAuthentication::fail(std::string message, const char* sqlstate) noexcept {
  enter(Over{});
  return failure(std::move(message), sqlstate);
}

ServerAuthentication::Outcome ServerAuthentication::receive(Bytes body, std::string& out) noexcept {
  const auto message = Authentication::parse(body);
  if (!message) {
    return fail("malformed Authentication message from the server", sqlstate::kProtocolViolation);
  }
  if (std::holds_alternative<AwaitRequest>(state_)) return answer_request(*message, out);
  if (auto* state = std::get_if<InScram>(&state_)) return step_scram(*state, *message, out);
  const bool awaits_ok = std::holds_alternative<AwaitOk>(state_);
  if (awaits_ok && message->code == AuthenticationCode::Ok && message->payload.empty()) {
    enter(Over{});
    return Success{};
  }
  return fail("the server asks for " + described(message->code) + " after it was answered",
              sqlstate::kProtocolViolation);
}

ServerAuthentication::Outcome ServerAuthentication::answer_request(const Authentication& request,
                                                                   std::string& out) noexcept {
  const bool takes_nothing = request.code == AuthenticationCode::Ok ||
                             request.code == AuthenticationCode::CleartextPassword;
  const bool malformed =
      (takes_nothing && !request.payload.empty()) ||
      (request.code == AuthenticationCode::MD5Password && request.payload.size() != kMd5SaltSize);
  if (malformed) {
    return fail(
        "malformed Authentication message from the server (" + described(request.code) + ")",
        sqlstate::kProtocolViolation);
  }
  switch (request.code) {
    case AuthenticationCode::Ok:
      enter(Over{});
      return Success{};
    case AuthenticationCode::CleartextPassword:
      return answer_clear_text(out);
    case AuthenticationCode::MD5Password:
      return answer_md5(request.payload, out);
    case AuthenticationCode::SASL:
      return answer_sasl(request, out);
    case AuthenticationCode::SASLContinue:
    case AuthenticationCode::SASLFinal:
      return fail("the server continues SASL without having begun it",
                  sqlstate::kProtocolViolation);
    default:
      break;
  }
  return fail("the server asks for " + described(request.code) +
                  ", which is not supported: let its pg_hba.conf ask for scram-sha-256, md5, "
                  "password or trust",
              sqlstate::kInvalidAuthorization);
}

ServerAuthentication::Outcome ServerAuthentication::answer_clear_text(std::string& out) noexcept {
  if (!setup_.cleartext_allowed) {
    return fail(
        "the server asks for a clear-text password over a connection that is not "
        "protected: use TLS towards it, or let its pg_hba.conf ask for scram-sha-256",
        sqlstate::kInvalidAuthorization);
  }
  const auto* password = std::get_if<Password>(&setup_.credential);
  if (!password) {
    return fail("the server asks for the clear-text password of user \"" + setup_.user +
                    "\", but " + description_of(setup_.credential),
                sqlstate::kInvalidPassword);
  }
  pg::write_password(out, password->clear().reveal());
  enter(AwaitOk{});
  return Continue{};
}

ServerAuthentication::Outcome ServerAuthentication::answer_md5(Bytes salt,
                                                               std::string& out) noexcept {
  Result<config::Secret> stored =
      failure("the server asks for the MD5 password of user \"" + setup_.user + "\", but " +
                  description_of(setup_.credential),
              sqlstate::kInvalidPassword);
  if (const auto* hash = std::get_if<Md5Hash>(&setup_.credential)) stored = hash->stored;
  if (const auto* password = std::get_if<Password>(&setup_.credential)) {
    stored = md5_stored(password->clear().reveal(), setup_.user);
  }
  if (!stored) return fail(stored.error().message, stored.error().sqlstate.c_str());
  const auto response = md5_response(stored->reveal(), salt);
  if (!response) return fail(response.error().message, response.error().sqlstate.c_str());
  pg::write_password(out, *response);
  enter(AwaitOk{});
  return Continue{};
}

ServerAuthentication::Outcome ServerAuthentication::answer_sasl(const Authentication& request,
                                                                std::string& out) noexcept {
  const auto mechanisms = request.mechanisms();
  if (mechanisms.empty()) {
    return fail("malformed AuthenticationSASL from the server", sqlstate::kProtocolViolation);
  }
  const auto binding = choose_scram(mechanisms, setup_.tls, setup_.end_point);
  if (!binding) return fail(binding.error().message, binding.error().sqlstate.c_str());

  ScramClient::Setup scram{.secret = ScramKeys{},
                           .binding = *binding,
                           .end_point = setup_.end_point,
                           .nonce = setup_.nonce};
  if (const auto* password = std::get_if<Password>(&setup_.credential)) {
    scram.secret = *password;
  } else if (const auto* keys = std::get_if<ScramKeys>(&setup_.credential)) {
    scram.secret = *keys;
  } else {
    return fail("the server asks for SCRAM of user \"" + setup_.user + "\", but " +
                    description_of(setup_.credential),
                sqlstate::kInvalidPassword);
  }
  ScramClient client(std::move(scram));
  pg::write_sasl_initial_response(out, client.mechanism(), client.first_message());
  enter(InScram{std::move(client)});
  return Continue{};
}

ServerAuthentication::Outcome ServerAuthentication::step_scram(InScram& state,
                                                               const Authentication& message,
                                                               std::string& out) noexcept {
  const bool final = message.code == AuthenticationCode::SASLFinal;
  if (!final && message.code != AuthenticationCode::SASLContinue) {
    if (message.code == AuthenticationCode::Ok) {
      return fail(
          "the server says AuthenticationOk before it proved by SCRAM that it knows the "
          "password: it may not be the server that it claims to be",
          sqlstate::kInvalidAuthorization);
    }
    return fail("the server asks for " + described(message.code) + " in the middle of SCRAM",
                sqlstate::kProtocolViolation);
  }
  return translate(state.scram.receive(message.payload), final, out);
}

ServerAuthentication::Outcome ServerAuthentication::supply(const ScramKeys& keys,
                                                           std::string& out) noexcept {
  auto* state = std::get_if<InScram>(&state_);
  FB_ASSERT(state != nullptr);
  return translate(state->scram.supply(keys), false, out);
}

ServerAuthentication::Outcome ServerAuthentication::translate(ScramClient::Outcome outcome,
                                                              bool final,
                                                              std::string& out) noexcept {
  if (auto* error = std::get_if<Error>(&outcome)) {
    return fail(std::move(error->message), error->sqlstate.c_str());
  }
  // The server's proof comes in AuthenticationSASLFinal and nothing else does.
  if (final != std::holds_alternative<ScramClient::Success>(outcome)) {
    return fail(final ? "the server ends SCRAM before its time"
                      : "the server goes on with SCRAM after its end",
                sqlstate::kProtocolViolation);
  }
  if (auto* need = std::get_if<NeedKeys>(&outcome)) return std::move(*need);
  if (auto* next = std::get_if<ScramClient::Continue>(&outcome)) {
    pg::write_sasl_response(out, next->message);
    return Continue{};
  }
  enter(AwaitOk{});
  return Continue{};
}

}  // namespace forebay::auth
