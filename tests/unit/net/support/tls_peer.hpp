#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>

#include "forebay/config/config.hpp"
#include "support/loop.hpp"
#include "support/raw_peer.hpp"

namespace forebay::net::test {

using Context = std::shared_ptr<const core::TlsContext>;

Context server_context(const config::TlsSettings& settings);
Context client_context(const config::TlsSettings& settings);
/// With the certificate of `authority()`, and without any verification.
const Context& plain_server_context();
const Context& plain_client_context();

/// A TLS session of OpenSSL's own making at the other end of a stream. It never waits: each call
/// does what can be done.
class TlsPeer {
 public:
  using Rules = std::function<void(SSL_CTX*)>;

  enum class Role { client, server };
  /// `rules` sets what the test wants of the SSL_CTX. A server has `authority().server`.
  TlsPeer(const RawPeer& socket, Role role, const Rules& rules = {});

  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }
  /// True when the handshake is complete.
  bool handshake();
  /// Whether handshake or reading failed, and why.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  /// True when all was taken.
  bool send(Bytes bytes);
  /// What can be read now.
  std::string receive_some();
  /// Whether the other side said that it sends no more.
  [[nodiscard]] bool was_closed() const;
  void close_notify() { SSL_shutdown(ssl_.get()); }

 private:
  bool check(int result);

  std::shared_ptr<SSL_CTX> context_;
  std::shared_ptr<SSL> ssl_;
  std::string failure_;
};

/// Offers only these by ALPN.
void offer(SSL_CTX* context, const std::string& protocol);
/// What a libpq of today does.
void offer_postgresql(SSL_CTX* context);

/// Two streams of ours with TLS between them.
struct SecureCouple : Couple {
  SecureCouple(Loop& loop, Family family);
};

/// A stream of ours in the server's role, and an OpenSSL client at its other end.
struct SecureServed : Served {
  SecureServed(Loop& loop, Family family, const TlsPeer::Rules& rules = {});
  TlsPeer tls;
};

}  // namespace forebay::net::test
