#include "core/server/side_connection.hpp"

#include <algorithm>
#include <utility>

#include "core/engine/engine.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/reader.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::core {
namespace {

using config::TlsMode;

/// Answers to our questions are short rows.
constexpr std::size_t kReceivedMax = 1024 * 1024;
constexpr std::size_t kHeader = 5;

}  // namespace

void SideConnection::open(Target target) {
  target_ = std::move(target);
  retried_ = LinkLogin::Retry::none;
  version_ = pg::kProtocol3_2;
  with_tls_ = target_.tls_mode != TlsMode::allow;
  connect();
}

bool SideConnection::leads_elsewhere(const std::vector<std::string>& addresses) const {
  return stream_ != nullptr &&
         std::ranges::find(addresses, stream_->peer().address) == addresses.end();
}

void SideConnection::close() {
  stream_.reset();
  login_.reset();
  received_.clear();
}

void SideConnection::connect() {
  LinkLogin::Setup setup;
  setup.user = target_.user;
  setup.database = target_.database;
  setup.version = version_;
  setup.tls_mode =
      target_.host.is_unix() || target_.tls == nullptr ? TlsMode::disable : target_.tls_mode;
  setup.begin_with_tls = with_tls_;
  setup.cleartext_allowed = target_.host.is_unix() || engine_.config().cleartext_without_tls;
  setup.credential = target_.credential;
  setup.parameters = target_.parameters;
  engine_.io().entropy(setup.nonce);
  received_.clear();
  login_ = std::make_unique<LinkLogin>(std::move(setup));
  stream_ = engine_.io().connect(target_.host, *this);
}

void SideConnection::send(Bytes bytes) {
  stream_->send({&bytes, 1});
}

void SideConnection::on_connected() {
  std::string out;
  login_->connected(out);
  send(out);
}

void SideConnection::on_secured() {
  std::string out;
  login_->secured(*stream_->tls(), out);
  send(out);
}

void SideConnection::on_end() {
  on_lost("the server closed the connection");
}

void SideConnection::on_lost(const std::string& reason) {
  fail({pg::sqlstate::kConnectionFailure, reason});
}

void SideConnection::on_received(Bytes bytes) {
  received_.append(bytes);
  if (received_.size() > kReceivedMax) {
    fail({pg::sqlstate::kConnectionFailure,
          "the answer is longer than " + std::to_string(kReceivedMax) + " bytes"});
    return;
  }
  if (login_ != nullptr) login_received();
  while (logged_in() && next_message()) {
  }
}

void SideConnection::login_received() {
  while (login_ != nullptr && !received_.empty()) {
    std::size_t consumed = 0;
    std::string out;
    const Stream* stream = stream_.get();
    LinkLogin::Outcome outcome = login_->receive(received_, consumed, out);
    received_.erase(0, consumed);
    if (!out.empty()) send(out);
    if (!handle(std::move(outcome)) || stream != stream_.get() || consumed == 0) return;
  }
}

// False when the login is over, or begins anew.
bool SideConnection::handle(LinkLogin::Outcome outcome) {
  if (auto* need = std::get_if<LinkLogin::NeedKeys>(&outcome)) {
    const auto* password = std::get_if<auth::Password>(&login_->credential());
    FB_ASSERT(password != nullptr);
    if (keys_.find(need->request) == nullptr) {
      keys_.remember(need->request,
                     auth::derive_keys(*password, need->request.salt, need->request.iterations));
    }
    std::string out;
    LinkLogin::Outcome next = login_->supply(*keys_.find(need->request), out);
    if (!out.empty()) send(out);
    return handle(std::move(next));
  }
  if (std::holds_alternative<LinkLogin::StartTls>(outcome)) {
    stream_->start_tls_client(target_.tls, target_.host.host, false);
    return true;
  }
  if (std::holds_alternative<LinkLogin::Ready>(outcome)) {
    login_.reset();
    owner_.on_logged_in();
    return false;
  }
  const auto* failed = std::get_if<LinkLogin::Failed>(&outcome);
  if (failed == nullptr) return true;
  using Retry = LinkLogin::Retry;
  if (failed->retry == Retry::none || failed->retry == retried_) {
    fail(failed->reason);
    return false;
  }
  retried_ = failed->retry;
  if (retried_ == Retry::version_3_0) {
    version_ = pg::kProtocol3_0;
  } else {
    with_tls_ = retried_ == Retry::with_tls;
  }
  connect();
  return false;
}

// Hands over the message at the front; false when there is no whole one.
bool SideConnection::next_message() {
  if (received_.size() < kHeader) return false;
  const std::uint32_t length = pg::Reader(Bytes(received_).substr(1)).u32();
  if (length < 4 || length > kReceivedMax) {
    fail({pg::sqlstate::kConnectionFailure, "the server broke the protocol"});
    return false;
  }
  if (received_.size() < 1 + std::size_t{length}) return false;
  const std::string message = received_.substr(0, 1 + std::size_t{length});
  received_.erase(0, message.size());
  owner_.on_said(message.front(), Bytes(message).substr(kHeader));
  return true;
}

void SideConnection::fail(const Refused& why) {
  const Refused kept = why;  // it may be the login's, which goes
  close();
  owner_.on_side_lost(kept);
}

}  // namespace forebay::core
