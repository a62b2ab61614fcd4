#include "net/tls_context.hpp"

#include <openssl/x509v3.h>

#include <array>
#include <utility>

#include "forebay/base/assert.hpp"
#include "forebay/net/tls.hpp"
#include "net/tls_files.hpp"
#include "net/tls_names.hpp"
#include "net/tls_session.hpp"

namespace forebay::net {
namespace {

using config::TlsMode;
using config::TlsSettings;

/// Two full records and a little: what one recv may bring (see read-ahead).
constexpr std::size_t kReadAhead = 2 * (SSL3_RT_MAX_PLAIN_LENGTH + 256) + 1024;

bool same(const core::TlsFacts& a, const core::TlsFacts& b) {
  return a.version == b.version && a.cipher == b.cipher && a.alpn == b.alpn &&
         a.server_name == b.server_name && a.peer_common_name == b.peer_common_name &&
         a.peer_units == b.peer_units && a.peer_names == b.peer_names &&
         a.server_end_point == b.server_end_point;
}

Result<void> set_version_and_ciphers(SSL_CTX* context, const TlsSettings& settings) {
  constexpr std::array<std::pair<const char*, int>, 4> kVersions{{{"TLSv1", TLS1_VERSION},
                                                                  {"TLSv1.1", TLS1_1_VERSION},
                                                                  {"TLSv1.2", TLS1_2_VERSION},
                                                                  {"TLSv1.3", TLS1_3_VERSION}}};
  int version = 0;
  for (const auto& [name, number] : kVersions) {
    if (settings.minimum_version == name) version = number;
  }
  if (version == 0 || SSL_CTX_set_min_proto_version(context, version) != 1) {
    return failure("the TLS version \"" + settings.minimum_version +
                   "\" is not known (use TLSv1.2 or TLSv1.3)");
  }
  if (!settings.ciphers.empty() &&
      SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()) != 1) {
    return failure("the list of ciphers \"" + settings.ciphers +
                   "\" cannot be used: " + openssl_reason() + " (see `openssl ciphers`)");
  }
  if (!settings.cipher_suites.empty() &&
      SSL_CTX_set_ciphersuites(context, settings.cipher_suites.c_str()) != 1) {
    return failure("the list of TLS 1.3 cipher suites \"" + settings.cipher_suites +
                   "\" cannot be used: " + openssl_reason() +
                   " (names such as TLS_AES_256_GCM_SHA384, separated by colons)");
  }
  return {};
}

/// What both roles have in common.
Result<void> make(TlsRole role, const TlsSettings& settings, SslCtxPtr& made) {
  made.reset(SSL_CTX_new(role == TlsRole::server ? TLS_server_method() : TLS_client_method()));
  if (!made) return failure("TLS cannot be used: " + openssl_reason());
  SSL_CTX* const context = made.get();
  // Memory goes back as soon as a session is idle; one recv brings what is there; a send that is
  // offered again may lie elsewhere.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAhead);
  // Connections to a pooler live long: resuming sessions is not worth its memory and its risks.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  return set_version_and_ciphers(context, settings);
}

bool verifies(TlsMode mode) {
  return mode == TlsMode::verify_ca || mode == TlsMode::verify_full;
}

Result<void> check_files(const std::string& side, const TlsSettings& settings) {
  if (settings.certificate_file.empty() != settings.key_file.empty()) {
    return failure(side + " TLS has " +
                   (settings.key_file.empty() ? "a certificate file but no key file"
                                              : "a key file but no certificate file") +
                   ": set both or none");
  }
  return {};
}

Result<void> make_server(const TlsSettings& settings, SslCtxPtr& made) {
  if (settings.certificate_file.empty()) {
    return failure(
        "client TLS has no certificate: set certificate_file and key_file, or mode = \"disable\"");
  }
  if (auto done = check_files("client", settings); !done) return done;
  if (auto done = make(TlsRole::server, settings, made); !done) return done;
  SSL_CTX* const context = made.get();
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  set_hello_rules(context);
  if (auto done = use_certificate(context, settings.certificate_file, settings.key_file); !done)
    return done;
  if (!verifies(settings.mode) && settings.ca_file.empty()) return {};
  SSL_CTX_set_verify(
      context,
      verifies(settings.mode) ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER,
      nullptr);
  if (auto done = use_authorities(context, settings.ca_file); !done) return done;
  if (settings.ca_file.empty()) return {};
  return name_authorities(context, settings.ca_file);
}

TlsCheck server_check(const TlsSettings& settings) {
  switch (settings.mode) {
    case TlsMode::disable:
    case TlsMode::allow:
    case TlsMode::prefer:
      return TlsCheck::nothing;
    case TlsMode::require:
      return settings.ca_file.empty() ? TlsCheck::nothing : TlsCheck::chain;
    case TlsMode::verify_ca:
      return TlsCheck::chain;
    case TlsMode::verify_full:
      return TlsCheck::chain_and_host;
  }
  return TlsCheck::chain_and_host;
}

Result<void> make_client(const TlsSettings& settings, SslCtxPtr& made) {
  if (auto done = check_files("server", settings); !done) return done;
  if (auto done = make(TlsRole::client, settings, made); !done) return done;
  SSL_CTX* const context = made.get();
  if (SSL_CTX_set_alpn_protos(context, kAlpnWire, sizeof kAlpnWire) != 0) {
    return failure("TLS cannot be used: " + openssl_reason());
  }
  if (!settings.certificate_file.empty()) {
    if (auto done = use_certificate(context, settings.certificate_file, settings.key_file); !done)
      return done;
  }
  if (server_check(settings) == TlsCheck::nothing) return {};
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return use_authorities(context, settings.ca_file);
}

/// What OpenSSL finds out about a certificate when it first looks at it stays with it: done here,
/// before workers share it.
void look_at_certificates(SSL_CTX* context) {
  constexpr int kNoPurpose = -1;
  if (X509* own = SSL_CTX_get0_certificate(context)) X509_check_purpose(own, kNoPurpose, 0);
  STACK_OF(X509_OBJECT)* known = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
  for (int i = 0; i < sk_X509_OBJECT_num(known); ++i) {
    X509* authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(known, i));
    if (authority != nullptr) X509_check_purpose(authority, kNoPurpose, 0);
  }
}

}  // namespace

OpenSslContext::OpenSslContext(SslCtxPtr context, TlsRole role, TlsCheck check)
    : context_(std::move(context)), role_(role), check_(check) {
  look_at_certificates(context_.get());
  if (const X509* own = SSL_CTX_get0_certificate(context_.get())) {
    own_end_point_ = end_point_hash(own);
  }
}

std::shared_ptr<const core::TlsFacts> OpenSslContext::shared(core::TlsFacts facts) const {
  const std::lock_guard lock(mutex_);
  if (!last_facts_ || !same(*last_facts_, facts)) {
    last_facts_ = std::make_shared<const core::TlsFacts>(std::move(facts));
  }
  return last_facts_;
}

Result<std::shared_ptr<const core::TlsContext>> make_server_context(const TlsSettings& settings) {
  if (settings.mode == TlsMode::disable) return std::shared_ptr<const core::TlsContext>();
  SslCtxPtr context;
  if (auto done = make_server(settings, context); !done) return done.error();
  // Which certificates of clients are good is in the SSL_CTX; names of clients are the core's.
  return std::shared_ptr<const core::TlsContext>(std::make_shared<const OpenSslContext>(
      std::move(context), TlsRole::server, TlsCheck::nothing));
}

Result<std::shared_ptr<const core::TlsContext>> make_client_context(const TlsSettings& settings) {
  if (settings.mode == TlsMode::disable) return std::shared_ptr<const core::TlsContext>();
  SslCtxPtr context;
  if (auto done = make_client(settings, context); !done) return done.error();
  return std::shared_ptr<const core::TlsContext>(std::make_shared<const OpenSslContext>(
      std::move(context), TlsRole::client, server_check(settings)));
}

}  // namespace forebay::net
