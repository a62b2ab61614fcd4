#include "support/tls_peer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <csignal>

#include "forebay/net/tls.hpp"
#include "support/certificates.hpp"

namespace forebay::net::test {
namespace {

Context need(const Result<Context>& made) {
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made ? *made : nullptr;
}

}  // namespace

Context server_context(const config::TlsSettings& settings) {
  return need(make_server_context(settings));
}

Context client_context(const config::TlsSettings& settings) {
  return need(make_client_context(settings));
}

const Context& plain_server_context() {
  static const Context made = server_context(server_settings(authority().server));
  return made;
}

const Context& plain_client_context() {
  static const Context made = client_context(client_settings(config::TlsMode::require));
  return made;
}

TlsPeer::TlsPeer(const RawPeer& socket, Role role, const Rules& rules)
    : context_(SSL_CTX_new(role == Role::client ? TLS_client_method() : TLS_server_method()),
               SSL_CTX_free) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL's own sockets do not avoid it; ours do
  if (role == Role::server) {
    SSL_CTX_use_certificate(context_.get(), authority().server.x509());
    SSL_CTX_use_PrivateKey(context_.get(), authority().server.key());
  }
  SSL_CTX_set_mode(context_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
  if (rules) rules(context_.get());
  ssl_.reset(SSL_new(context_.get()), SSL_free);
  ::fcntl(socket.socket(), F_SETFL, ::fcntl(socket.socket(), F_GETFL) | O_NONBLOCK);
  SSL_set_fd(ssl_.get(), socket.socket());
  if (role == Role::client) {
    SSL_set_connect_state(ssl_.get());
  } else {
    SSL_set_accept_state(ssl_.get());
  }
}

/// False when it has to be tried again, or failed.
bool TlsPeer::check(int result) {
  if (result > 0) return true;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
    case SSL_ERROR_ZERO_RETURN:
      break;
    default: {
      const unsigned long error = ERR_get_error();
      const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
      failure_ = text == nullptr ? "system error" : text;
      break;
    }
  }
  ERR_clear_error();
  return false;
}

bool TlsPeer::handshake() {
  ERR_clear_error();
  return failure_.empty() && check(SSL_do_handshake(ssl_.get()));
}

bool TlsPeer::send(Bytes bytes) {
  ERR_clear_error();
  return check(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())));
}

std::string TlsPeer::receive_some() {
  ERR_clear_error();
  std::string text(1 << 16, '\0');
  std::size_t size = 0;
  if (!check(SSL_read_ex(ssl_.get(), text.data(), text.size(), &size))) size = 0;
  text.resize(size);
  return text;
}

bool TlsPeer::was_closed() const {
  return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

void offer(SSL_CTX* context, const std::string& protocol) {
  const std::string wire = static_cast<char>(protocol.size()) + protocol;
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire.data()),
                          static_cast<unsigned int>(wire.size()));
}

void offer_postgresql(SSL_CTX* context) {
  offer(context, "postgresql");
}

SecureCouple::SecureCouple(Loop& loop, Family family) : Couple(loop, family) {
  server.stream->start_tls_server(plain_server_context(), {});
  client.stream->start_tls_client(plain_client_context(), "db.test", false);
  EXPECT_TRUE(loop.until([&] { return server.secured == 1 && client.secured == 1; }))
      << server.lost << client.lost;
}

SecureServed::SecureServed(Loop& loop, Family family, const TlsPeer::Rules& rules)
    : Served(loop, family), tls(*peer, TlsPeer::Role::client, rules) {
  server.stream->start_tls_server(plain_server_context(), {});
  EXPECT_TRUE(loop.until([&] { return tls.handshake() && server.secured == 1; }))
      << server.lost << tls.failure();
}

}  // namespace forebay::net::test
