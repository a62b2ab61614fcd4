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

/// Of one message, or of a login: answers to our questions are short rows.
constexpr std::size_t kReceivedMax = 1024 * 1024;
constexpr std::size_t kHeaderSize = 5;

}  // namespace

SideConnection::Target SideConnection::target_at(const PoolTarget& database, Endpoint host,
                                                 std::string user) {
  Target to;
  to.host = std::move(host);
  to.user = std::move(user);
  to.database = database.database;
  to.tls_mode = database.tls_mode;
  to.tls = database.tls;
  return to;
}

void SideConnection::open(Target target) {
  // Another login's may have the same salt, and another password.
  if (target.user != target_.user || target.host != target_.host) keys_ = {};
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
  unsent_.clear();
  ++connects_;
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
  unsent_.clear();
  ++connects_;
  login_ = std::make_unique<LinkLogin>(std::move(setup));
  stream_ = engine_.io().connect(target_.host, *this);
}

void SideConnection::send(Bytes bytes) {
  if (unsent_.empty()) bytes.remove_prefix(stream_->send({&bytes, 1}));
  unsent_.append(bytes);
}

void SideConnection::on_writable() {
  const Bytes rest = unsent_;
  unsent_.erase(0, stream_->send({&rest, 1}));
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
  if (login_ != nullptr) {
    handle(login_->lost(reason));
    return;
  }
  fail({pg::sqlstate::kConnectionFailure, reason});
}

void SideConnection::on_received(Bytes bytes) {
  const std::uint32_t connection = connects_;
  received_.append(bytes);
  if (login_ != nullptr) login_received();
  if (connects_ == connection && logged_in()) hand_over();
  // What is left is the beginning of one message.
  if (connects_ == connection && received_.size() > kReceivedMax) {
    fail({pg::sqlstate::kConnectionFailure,
          "the answer is longer than " + std::to_string(kReceivedMax) + " bytes"});
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
    welcome_ = std::move(login_->welcome());
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

// Hands over every whole message. The owner may close the connection meanwhile, or open another.
void SideConnection::hand_over() {
  const std::uint32_t connection = connects_;
  std::string received = std::exchange(received_, {});
  std::size_t at = 0;
  while (received.size() - at >= kHeaderSize) {
    const Bytes rest = Bytes(received).substr(at);
    const std::uint32_t length = pg::Reader(rest.substr(1)).u32();
    if (length < 4 || length > kReceivedMax) {
      fail({pg::sqlstate::kConnectionFailure, "the server broke the protocol"});
      return;
    }
    if (rest.size() < 1 + std::size_t{length}) break;
    at += 1 + std::size_t{length};
    owner_.on_said(rest.front(), rest.substr(kHeaderSize, length - 4));
    if (connects_ != connection) return;
  }
  received.erase(0, at);
  received_ = std::move(received);
}

void SideConnection::fail(const Refused& why) {
  const Refused kept = why;  // it may be the login's, which goes
  close();
  owner_.on_side_lost(kept);
}

}  // namespace forebay::core
