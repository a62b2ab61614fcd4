#include "core/server/link_login.hpp"

#include <algorithm>
#include <utility>

#include "forebay/auth/scram_keys.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using config::TlsMode;
using pg::Backend;
using pg::backend::AuthenticationCode;

bool must_be_secure(TlsMode mode) {
  return mode == TlsMode::require || mode == TlsMode::verify_ca || mode == TlsMode::verify_full;
}

// Errors that will go away by themselves: starting up, shutting down, too many connections.
bool passes(Bytes sqlstate) {
  return sqlstate.starts_with("57P") || sqlstate.starts_with("53") || sqlstate.starts_with("08");
}

}  // namespace

void LinkLogin::connected(std::string& out) {
  const bool ask = setup_.tls_mode != TlsMode::disable &&
                   (setup_.tls_mode != TlsMode::allow || setup_.begin_with_tls) &&
                   (setup_.tls_mode != TlsMode::prefer || setup_.begin_with_tls);
  if (ask) {
    phase_ = Phase::await_tls_answer;
    pg::write_ssl_request(out);
  } else {
    start_up(out);
  }
}

void LinkLogin::secured(const TlsFacts& facts, std::string& out) {
  FB_ASSERT(phase_ == Phase::securing);
  secure_ = true;
  end_point_ = facts.server_end_point;
  start_up(out);
}

void LinkLogin::start_up(std::string& out) {
  phase_ = Phase::authenticating;
  started_ = true;
  if (setup_.credential) begin_authentication();
  std::vector<pg::NameValue> parameters = {{"user", setup_.user}, {"database", setup_.database}};
  for (const auto& [name, value] : setup_.parameters) parameters.emplace_back(name, value);
  pg::write_startup(out, setup_.version, parameters);
}

void LinkLogin::begin_authentication() {
  authentication_.emplace(
      auth::ServerAuthentication::Setup{.user = setup_.user,
                                        .credential = *setup_.credential,
                                        .tls = secure_,
                                        .end_point = end_point_,
                                        .cleartext_allowed = cleartext_allowed(),
                                        .nonce = setup_.nonce});
}

LinkLogin::Outcome LinkLogin::receive(Bytes in, std::size_t& consumed, std::string& out) {
  consumed = 0;
  if (in.empty()) return Continue{};
  if (phase_ == Phase::await_tls_answer) {
    // Nothing may follow the answer: it would not be protected.
    if (in.size() > 1 && in.front() == 'S') {
      return fail("received unencrypted data after the answer to SSLRequest",
                  pg::sqlstate::kProtocolViolation, true);
    }
    consumed = 1;
    return on_tls_answer(in.front(), out);
  }
  if (phase_ == Phase::securing || phase_ == Phase::over) {
    return fail("the server sent data out of turn", pg::sqlstate::kProtocolViolation, true);
  }
  const pg::Framer::Item item = framer_.next(in, kInspectionMax);
  switch (item.kind) {
    case pg::Framer::Kind::need:
      return Continue{};
    case pg::Framer::Kind::message:
      consumed = item.bytes.size();
      answered_ = true;
      return on_message(item.message, item.bytes, out);
    default:
      return fail("the server does not speak PostgreSQL's protocol",
                  pg::sqlstate::kProtocolViolation, true);
  }
}

LinkLogin::Outcome LinkLogin::on_tls_answer(char answer, std::string& out) {
  if (answer == 'S') {
    phase_ = Phase::securing;
    return StartTls{};
  }
  if (answer == 'N' && !must_be_secure(setup_.tls_mode)) {
    start_up(out);
    return Continue{};
  }
  if (answer == 'N') {
    return fail("the server does not support TLS, but the settings require it",
                pg::sqlstate::kConnectionFailure, true);
  }
  return fail("the server does not speak PostgreSQL's protocol", pg::sqlstate::kProtocolViolation,
              true);
}

LinkLogin::Outcome LinkLogin::on_message(const pg::Message& message, Bytes whole,
                                         std::string& out) {
  switch (static_cast<Backend>(message.type)) {
    case Backend::ErrorResponse:
      return on_error(message.body);
    case Backend::NoticeResponse:
      return Continue{};
    case Backend::NegotiateProtocolVersion:
      return on_negotiate(message.body);
    case Backend::Authentication:
      if (phase_ == Phase::authenticating) return on_authentication(message.body, whole, out);
      break;
    case Backend::ParameterStatus: {
      const auto status = pg::backend::ParameterStatus::parse(message.body);
      if (phase_ != Phase::introducing || !status) break;
      if (welcome_.set(status->name, status->value)) return Continue{};
      return fail("the server reports more parameters than any does",
                  pg::sqlstate::kProtocolViolation, true);
    }
    case Backend::BackendKeyData: {
      const auto data = pg::backend::BackendKeyData::parse(message.body);
      if (phase_ != Phase::introducing || !data) break;
      process_id_ = data->process_id;
      key_ = data->key;
      return Continue{};
    }
    case Backend::ReadyForQuery: {
      const auto ready = pg::backend::ReadyForQuery::parse(message.body);
      if (phase_ != Phase::introducing || !ready ||
          ready->status != pg::backend::TransactionStatus::idle) {
        break;
      }
      phase_ = Phase::over;
      return Ready{};
    }
    default:
      break;
  }
  return fail("the server broke the protocol during login", pg::sqlstate::kProtocolViolation, true);
}

LinkLogin::Outcome LinkLogin::on_authentication(Bytes body, Bytes whole, std::string& out) {
  const auto request = pg::backend::Authentication::parse(body);
  if (!request) {
    return fail("the server sent a malformed Authentication message",
                pg::sqlstate::kProtocolViolation, true);
  }
  if (request->code != AuthenticationCode::Ok) asked_ = true;
  if (relayed()) {
    if (!request_) request_body_ = body;
    return on_relayed_authentication(*request, whole);
  }
  return translate(authentication_->receive(body, out));
}

// Only what the client can answer in our place is passed on. Channel binding is not: it would bind
// to our certificate, which the server does not have.
LinkLogin::Outcome LinkLogin::on_relayed_authentication(const pg::backend::Authentication& request,
                                                        Bytes whole) {
  switch (request.code) {
    case AuthenticationCode::Ok:
      phase_ = Phase::introducing;
      return Authenticated{};
    case AuthenticationCode::CleartextPassword:
      // Not over this connection; but the server may have another.
      if (setup_.tls_mode == TlsMode::allow && !cleartext_allowed()) {
        Failed failed = fail(
            "the server asks for a clear-text password, which is not sent over connections without "
            "TLS",
            pg::sqlstate::kInvalidAuthorization, true);
        failed.retry = Retry::with_tls;
        return failed;
      }
      [[fallthrough]];
    case AuthenticationCode::MD5Password:
    case AuthenticationCode::SASLContinue:
    case AuthenticationCode::SASLFinal:
      if (!request_) request_ = request.code;
      return Challenge{whole};
    case AuthenticationCode::SASL: {
      const auto offered = request.mechanisms();
      if (std::find(offered.begin(), offered.end(), auth::kScramSha256) == offered.end()) break;
      request_ = request.code;
      challenge_.clear();
      pg::write_authentication_sasl(challenge_, {auth::kScramSha256});
      return Challenge{challenge_};
    }
    default:
      break;
  }
  return fail("the server asks for an authentication method that cannot be passed on to a client",
              pg::sqlstate::kInvalidAuthorization, true);
}

LinkLogin::Outcome LinkLogin::supply(const auth::ScramKeys& keys, std::string& out) {
  FB_ASSERT(authentication_.has_value());
  return translate(authentication_->supply(keys, out));
}

LinkLogin::Outcome LinkLogin::answer_with(auth::Credential credential,
                                          const auth::ScramNonce& nonce, std::string& out) {
  FB_ASSERT(relayed() && phase_ == Phase::authenticating);
  setup_.credential = std::move(credential);
  setup_.nonce = nonce;
  begin_authentication();
  return translate(authentication_->receive(request_body_, out));
}

LinkLogin::Outcome LinkLogin::translate(auth::ServerAuthentication::Outcome outcome) {
  if (std::holds_alternative<auth::ServerAuthentication::Continue>(outcome)) return Continue{};
  if (auto* need = std::get_if<auth::ServerAuthentication::NeedKeys>(&outcome)) {
    return NeedKeys{need->request};
  }
  if (auto* error = std::get_if<Error>(&outcome)) {
    return Failed{{error->sqlstate, error->message}, true, Retry::none};
  }
  phase_ = Phase::introducing;
  return Authenticated{};
}

LinkLogin::Outcome LinkLogin::on_negotiate(Bytes body) {
  const auto negotiate = pg::backend::NegotiateProtocolVersion::parse(body);
  // We send no _pq_ options; a server may speak an older minor version than ours.
  if (!negotiate || phase_ != Phase::authenticating || !negotiate->unknown_options.empty() ||
      (negotiate->newest_minor & 0xffff) > (setup_.version & 0xffff)) {
    return fail("the server broke the protocol in NegotiateProtocolVersion",
                pg::sqlstate::kProtocolViolation, true);
  }
  return Continue{};
}

LinkLogin::Outcome LinkLogin::on_error(Bytes body) {
  const auto fields = pg::backend::Fields::parse(body);
  Failed failed;
  failed.reason = {std::string(fields.sqlstate), std::string(fields.message),
                   std::string(fields.detail), std::string(fields.hint)};
  if (failed.reason.sqlstate.size() != 5) failed.reason.sqlstate = pg::sqlstate::kConnectionFailure;
  if (failed.reason.message.empty()) {
    failed.reason.message = "the server refused the login and gave no reason";
  }
  failed.lasting = !passes(failed.reason.sqlstate);
  // libpq's rules: what one kind of connection is refused, the other may be granted.
  if (failed.reason.sqlstate == pg::sqlstate::kInvalidAuthorization && !asked_) {
    if (setup_.tls_mode == TlsMode::allow && !secure_) failed.retry = Retry::with_tls;
    if (setup_.tls_mode == TlsMode::prefer && secure_) failed.retry = Retry::without_tls;
  }
  const bool about_version = failed.reason.sqlstate == pg::sqlstate::kProtocolViolation ||
                             failed.reason.sqlstate == pg::sqlstate::kFeatureNotSupported;
  if (about_version && !asked_ && setup_.version != pg::kProtocol3_0) {
    failed.retry = Retry::version_3_0;
  }
  return failed;
}

LinkLogin::Failed LinkLogin::lost(const std::string& why) const {
  Failed failed;
  failed.reason = {pg::sqlstate::kConnectionFailure, why};
  // Some servers and proxies hang up on a minor version that they do not know.
  const bool silent = started_ && phase_ == Phase::authenticating && !answered_;
  if (silent && setup_.version != pg::kProtocol3_0) failed.retry = Retry::version_3_0;
  // libpq's rule: where TLS need not be, a handshake that fails is no reason to give up.
  if (phase_ == Phase::securing && setup_.tls_mode == TlsMode::prefer) {
    failed.retry = Retry::without_tls;
  }
  return failed;
}

bool LinkLogin::standby() const noexcept {
  const std::string* value = welcome_.find("in_hot_standby");
  return value != nullptr && *value == "on";
}

LinkLogin::Failed LinkLogin::fail(std::string message, const char* sqlstate, bool lasting) {
  phase_ = Phase::over;
  return Failed{{sqlstate, std::move(message)}, lasting, Retry::none};
}

}  // namespace forebay::core
