#include "bench/macro/client.hpp"

#include <openssl/err.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::bench {
namespace {

constexpr std::size_t kHeader = 5;

std::string statement(const LoadOptions& options) {
  std::string out;
  if (options.prepares()) {
    const std::pair<Bytes, bool> values[] = {{"1", false}};
    pg::write_bind(out, {}, "s", values);
    pg::write_execute(out, {}, 0);
    pg::write_empty(out, pg::Frontend::Sync);
  } else {
    pg::write_query(out, options.query);
  }
  return out;
}

std::span<char> read_room() {
  static std::vector<char> room(256 * 1024);
  return room;
}

}  // namespace

ClientPlan::ClientPlan(const LoadOptions& options) : password(options.password) {
  const pg::NameValue parameters[] = {{"user", "bench"}, {"database", "bench"}};
  pg::write_startup(startup, pg::kProtocol3_0, parameters);
  pg::write_parse_text(prepare, "s", "select $1");
  pg::write_empty(prepare, pg::Frontend::Sync);
  answers = options.pipeline;
  for (int i = 0; i < options.pipeline; ++i) request += statement(options);
  if (!options.tls) return;
  tls = SSL_CTX_new(TLS_client_method());
  if (tls == nullptr) bench::fail("TLS");
  SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(tls, 1);
  SSL_CTX_set_default_read_buffer_len(tls, std::size_t{64} * 1024);
}

auth::ScramKeys ClientPlan::keys(const auth::KeyRequest& wanted) const {
  if (const auth::ScramKeys* known = keys_.find(wanted)) return *known;
  keys_.remember(wanted, auth::derive_keys(auth::Password(config::Secret(password)), wanted.salt,
                                           wanted.iterations));
  return *keys_.find(wanted);
}

Client::~Client() {
  ssl_.reset();
  ::close(socket_);
}

void Client::fail(std::string why) {
  failure_ = std::move(why);
  state_ = State::failed;
}

void Client::on_ready() {
  wants_write_ = false;
  switch (state_) {
    case State::connecting:
      if (plan_.tls != nullptr) {
        pg::write_ssl_request(out_);
        state_ = State::asking_tls;
        flush();
      } else {
        start();
      }
      return;
    case State::asking_tls: {
      flush();
      char answer = 0;
      const Moved moved = receive(socket_, {&answer, 1});
      if (moved.flow == Flow::later) return;
      if (moved.flow == Flow::over || answer != 'S') return fail("no TLS to be had");
      ssl_.reset(SSL_new(plan_.tls));
      SSL_set_fd(ssl_.get(), socket_);
      SSL_set_connect_state(ssl_.get());
      state_ = State::handshaking;
      return handshake();
    }
    case State::handshaking:
      return handshake();
    default:
      flush();
      read();
  }
}

void Client::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return start();
  const int error = SSL_get_error(ssl_.get(), result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (error != SSL_ERROR_WANT_READ && !wants_write_) fail("the TLS handshake failed");
}

void Client::start() {
  out_ = plan_.startup;
  at_ = 0;
  state_ = State::logging_in;
  flush();
}

void Client::say() {
  out_ = plan_.request;
  at_ = 0;
  awaited_ = plan_.answers;
  state_ = State::busy;
  flush();
}

void Client::prepare() {
  out_ = plan_.prepare;
  at_ = 0;
  preparing_ = true;
  state_ = State::logging_in;
  flush();
}

void Client::leave() {
  out_.clear();
  pg::write_empty(out_, pg::Frontend::Terminate);
  at_ = 0;
  flush();
}

void Client::flush() {
  while (at_ < out_.size()) {
    if (!ssl_) {
      const Flow flow = send_from(socket_, out_, at_);
      if (flow == Flow::over) fail("the connection was lost");
      return;
    }
    ERR_clear_error();
    std::size_t size = 0;
    if (SSL_write_ex(ssl_.get(), out_.data() + at_, out_.size() - at_, &size) != 1) {
      if (SSL_get_error(ssl_.get(), 0) != SSL_ERROR_WANT_WRITE) fail("TLS broke");
      return;
    }
    at_ += size;
  }
}

Moved Client::take(std::span<char> into) {
  if (!ssl_) return receive(socket_, into);
  ERR_clear_error();
  std::size_t size = 0;
  if (SSL_read_ex(ssl_.get(), into.data(), into.size(), &size) == 1) return {Flow::some, size};
  const bool later = SSL_get_error(ssl_.get(), 0) == SSL_ERROR_WANT_READ;
  return {later ? Flow::later : Flow::over, 0};
}

void Client::read() {
  for (;;) {
    const Moved moved = take(read_room());
    if (moved.flow == Flow::over) return fail("the connection was closed");
    if (moved.flow == Flow::later) return;
    received_ += moved.bytes;
    consume({read_room().data(), moved.bytes});
    if (state_ == State::failed) return;
    if (!ssl_ || SSL_has_pending(ssl_.get()) == 0) return;
  }
}

void Client::consume(Bytes bytes) {
  while (!bytes.empty() && state_ != State::failed) {
    if (skip_ > 0) {
      const std::size_t skipped = std::min(skip_, bytes.size());
      skip_ -= skipped;
      bytes.remove_prefix(skipped);
      continue;
    }
    const std::size_t size =
        in_.size() < kHeader ? kHeader : 1 + std::size_t{load_u32(in_.data() + 1)};
    const std::size_t some = std::min(size - in_.size(), bytes.size());
    in_ += bytes.substr(0, some);
    bytes.remove_prefix(some);
    if (in_.size() < kHeader) return;
    const std::size_t whole = 1 + std::size_t{load_u32(in_.data() + 1)};
    if (in_[0] == 'D') {
      skip_ = whole - kHeader;
      in_.clear();
    } else if (in_.size() == whole) {
      handle(in_[0], Bytes(in_).substr(kHeader));
      in_.clear();
    }
  }
}

void Client::handle(char type, Bytes body) {
  if (type == 'E') return fail(std::string(pg::backend::Fields::parse(body).message));
  if (type == 'R') return authenticate(body);
  if (type != 'Z') return;
  if (state_ == State::logging_in) {
    prepared_ = std::exchange(preparing_, false);
    state_ = State::logged_in;
  } else if (--awaited_ == 0) {
    state_ = State::done;
  }
}

void Client::authenticate(Bytes body) {
  using Code = pg::backend::AuthenticationCode;
  const auto code = static_cast<Code>(load_u32(body.data()));
  body.remove_prefix(4);
  if (code == Code::Ok) return;
  out_.clear();
  at_ = 0;
  if (code == Code::SASL) {
    static std::uint64_t nonces = 0;
    auth::ScramClient::Setup setup{.secret = auth::Password(config::Secret(plan_.password))};
    const std::string nonce = std::to_string(++nonces);
    std::copy(nonce.begin(), nonce.end(), setup.nonce.begin());
    scram_.emplace(std::move(setup));
    pg::write_sasl_initial_response(out_, scram_->mechanism(), scram_->first_message());
    flush();
  } else if (scram_ && (code == Code::SASLContinue || code == Code::SASLFinal)) {
    answer_scram(scram_->receive(body));
  } else {
    fail("an authentication request that the load does not know");
  }
}

void Client::answer_scram(auth::ScramClient::Outcome outcome) {
  if (const auto* need = std::get_if<auth::ScramClient::NeedKeys>(&outcome)) {
    return answer_scram(scram_->supply(plan_.keys(need->request)));
  }
  if (const auto* answer = std::get_if<auth::ScramClient::Continue>(&outcome)) {
    pg::write_sasl_response(out_, answer->message);
    flush();
  } else if (const auto* error = std::get_if<Error>(&outcome)) {
    fail(error->message);
  }
}

}  // namespace forebay::bench
