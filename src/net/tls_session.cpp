#include "net/tls_session.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <utility>

#include "forebay/base/assert.hpp"
#include "net/address.hpp"
#include "net/system_error.hpp"
#include "net/tls_names.hpp"

namespace forebay::net {
namespace {

/// Selects our protocol. A client that offers only others is refused, as PostgreSQL does: it may
/// have been led here from another service.
int select_alpn(SSL*, const unsigned char** chosen, unsigned char* size,
                const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kAlpnWire, sizeof kAlpnWire, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

/// Frees what was for the handshake only, and what OpenSSL would keep until the session ends: the
/// two keys of the key exchange, the secret one among them, and the list of what ciphers the client
/// knows. Nobody asks for them later, since nothing is negotiated anew (SSL_OP_NO_RENEGOTIATION,
/// and in TLS 1.3 by its design).
void forget_negotiation(SSL* ssl) {
  EVP_PKEY* key = nullptr;
  const auto empty = [&key] {
    EVP_PKEY_set_type(key, EVP_PKEY_X25519);  // whatever it was, it is a key without a value now
    EVP_PKEY_free(std::exchange(key, nullptr));
  };
  if (SSL_get_tmp_key(ssl, &key) == 1) empty();
  if (SSL_get_peer_tmp_key(ssl, &key) == 1) empty();
  if (STACK_OF(SSL_CIPHER)* ciphers = SSL_get_client_ciphers(ssl)) {
    sk_SSL_CIPHER_zero(ciphers);
    sk_SSL_CIPHER_reserve(ciphers, 0);
  }
}

// Beside what OpenSSL keeps, which is nearly all that an idle client inside TLS costs.
static_assert(sizeof(TlsSession) <= 160);

}  // namespace

void set_hello_rules(SSL_CTX* context) {
  SSL_CTX_set_alpn_select_cb(context, select_alpn, nullptr);
  SSL_CTX_set_client_hello_cb(context, TlsSession::on_client_hello, nullptr);
}

TlsSession::TlsSession(std::shared_ptr<const OpenSslContext> context, int socket, bool direct)
    : wire_(socket),
      ssl_(SSL_new(context->get())),
      handshake_(std::make_unique<Handshake>(Handshake{std::move(context), {}, direct})) {}

bool TlsSession::prepare(TlsRole role) {
  if (!ssl_) return false;
  BIO* bio = wire_.make_bio();
  if (bio == nullptr) return false;
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  if (role == TlsRole::server) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
  return true;
}

Result<std::unique_ptr<TlsSession>> TlsSession::as_server(
    std::shared_ptr<const OpenSslContext> context, int socket, bool direct) {
  FB_ASSERT(context->role() == TlsRole::server);
  ERR_clear_error();
  std::unique_ptr<TlsSession> made(new TlsSession(std::move(context), socket, direct));
  if (!made->prepare(TlsRole::server)) return failure("TLS: " + openssl_reason());
  return made;
}

Result<std::unique_ptr<TlsSession>> TlsSession::as_client(
    std::shared_ptr<const OpenSslContext> context, int socket, const std::string& host,
    bool direct) {
  FB_ASSERT(context->role() == TlsRole::client);
  ERR_clear_error();
  const bool check_host = context->check() == TlsCheck::chain_and_host;
  if (check_host && (host.empty() || host.front() == '/')) {
    return failure(
        "TLS: there is no host name to verify the server's certificate for (verify-full needs a "
        "host, not a socket file; use verify-ca)");
  }
  std::unique_ptr<TlsSession> made(new TlsSession(std::move(context), socket, direct));
  if (!made->prepare(TlsRole::client) || !made->name_host(host)) {
    return failure("TLS: " + openssl_reason());
  }
  made->handshake_->host = host;
  return made;
}

bool TlsSession::name_host(const std::string& host) {
  SSL* const ssl = ssl_.get();
  const bool check = handshake_->context->check() == TlsCheck::chain_and_host;
  if (host.empty() || host.front() == '/') return true;
  if (SocketAddress::numeric(host, 0)) {  // no server name is sent for an address (RFC 6066)
    return !check || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  if (SSL_set_tlsext_host_name(ssl, host.c_str()) != 1) return false;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return !check || SSL_set1_host(ssl, host.c_str()) == 1;
}

int TlsSession::on_client_hello(SSL* session, int* alert, void*) {
  auto& self = *static_cast<TlsSession*>(SSL_get_app_data(session));
  const unsigned char* offered = nullptr;
  std::size_t size = 0;
  if (!self.handshake_ || !self.handshake_->direct ||
      SSL_client_hello_get0_ext(session, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                &offered, &size) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  self.handshake_->lacks_alpn = true;
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

TlsSession::Progress TlsSession::handshake() {
  if (failure_) return Progress::failed;
  if (secured()) return Progress::done;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return finish_handshake();
  if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return Progress::waits;
  fail();
  return Progress::failed;
}

TlsSession::Progress TlsSession::finish_handshake() {
  const OpenSslContext& context = *handshake_->context;
  core::TlsFacts facts = facts_of(ssl_.get(), context);
  if (handshake_->direct && facts.alpn != kAlpn) {
    failure_ = std::make_unique<std::string>(
        "TLS handshake failed: the server did not agree to the protocol \"postgresql\" by ALPN, "
        "which direct TLS needs (PostgreSQL 17 or later; else use the ordinary negotiation)");
    return Progress::failed;
  }
  facts_ = context.shared(std::move(facts));
  forget_negotiation(ssl_.get());
  handshake_.reset();
  return Progress::done;
}

TlsSession::Got TlsSession::read(std::span<char> into) {
  if (failure_) return {0, After::failure};
  ERR_clear_error();
  std::size_t filled = 0;
  while (filled < into.size()) {
    std::size_t size = 0;
    const int result = SSL_read_ex(ssl_.get(), into.data() + filled, into.size() - filled, &size);
    if (result == 1) {
      filled += size;
      if (SSL_has_pending(ssl_.get()) == 0) break;  // spares a look at an empty wire
      continue;
    }
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return {filled, After::more};
      case SSL_ERROR_ZERO_RETURN:
        return {filled, After::end};
      default:
        fail();
        return {filled, After::failure};
    }
  }
  return {filled, After::more};
}

bool TlsSession::has_more() const {
  return SSL_has_pending(ssl_.get()) != 0 ||
         (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

bool TlsSession::write(Bytes bytes) {
  FB_ASSERT(bytes.size() <= kRecord);
  if (failure_) return false;
  ERR_clear_error();
  std::size_t size = 0;
  if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size) == 1) {
    FB_ASSERT(size == bytes.size());  // the wire takes all
    return true;
  }
  fail();
  return false;
}

void TlsSession::close_notify() {
  if (!secured() || failure_) return;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_.get()));
  ERR_clear_error();
}

void TlsSession::fail() {
  const std::string phase = secured() ? "TLS: " : "TLS handshake failed: ";
  const char* const when = secured() ? "" : " during it";
  std::string reason;
  if (handshake_ && handshake_->lacks_alpn) {
    reason =
        "the client began with TLS at once, but did not offer the protocol \"postgresql\" by ALPN";
  } else if (wire_.receive_error() != 0) {
    reason = system_reason(wire_.receive_error()) + when;
  } else if (wire_.at_end()) {
    reason = secured() ? "the connection ended without a close_notify; what came last may be cut"
                       : "the peer closed the connection during it";
  } else {
    const auto role = SSL_is_server(ssl_.get()) != 0 ? TlsRole::server : TlsRole::client;
    reason = failure_of(ssl_.get(), role, handshake_ ? handshake_->host : std::string());
  }
  ERR_clear_error();
  failure_ = std::make_unique<std::string>(phase + reason);
}

const std::string& TlsSession::failure_reason() const {
  FB_ASSERT(failure_ != nullptr);
  return *failure_;
}

}  // namespace forebay::net
