#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/core/io.hpp"
#include "net/tls_context.hpp"
#include "net/tls_wire.hpp"

namespace forebay::net {

/// One TLS session on a socket. It tells nobody anything: the stream asks.
class TlsSession {
 public:
  enum class Progress { waits, done, failed };
  enum class After { more, end, failure };
  struct Got {
    std::size_t bytes;
    After after;  ///< what comes behind these bytes; `more`: nothing is known
  };

  /// `direct`: without an SSLRequest before it, so ALPN must name our protocol.
  static Result<std::unique_ptr<TlsSession>> as_server(
      std::shared_ptr<const OpenSslContext> context, int socket, bool direct);
  static Result<std::unique_ptr<TlsSession>> as_client(
      std::shared_ptr<const OpenSslContext> context, int socket, const std::string& host,
      bool direct);

  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  [[nodiscard]] TlsWire& wire() noexcept { return wire_; }
  [[nodiscard]] const TlsWire& wire() const noexcept { return wire_; }

  /// Goes on as far as the wire allows. After `done` and `failed` it says so again.
  Progress handshake();
  [[nodiscard]] bool secured() const noexcept { return facts_ != nullptr; }
  /// Null before the handshake is done.
  [[nodiscard]] const core::TlsFacts* facts() const noexcept { return facts_.get(); }

  /// Plain bytes, as many as the wire gives and fit.
  Got read(std::span<char> into);
  /// Whether read would find something without asking the socket: part of a record at least, or
  /// the end.
  [[nodiscard]] bool has_more() const;

  /// Makes one record of at most kRecord bytes, and hands it to the wire, which takes all. False
  /// when the session is broken.
  [[nodiscard]] bool write(Bytes bytes);
  static constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;

  /// Says that we send no more. Nothing when the session is not in a state to say it.
  void close_notify();

  /// Why handshake, read or write failed, for people.
  [[nodiscard]] const std::string& failure_reason() const;

  /// Of the bytes that are offered again, this many are in the wire already.
  std::size_t already_written = 0;

 private:
  struct SslFree {
    void operator()(SSL* session) const noexcept { SSL_free(session); }
  };
  /// What is needed until the handshake is done.
  struct Handshake {
    std::shared_ptr<const OpenSslContext> context;
    std::string host;
    bool direct = false;
    bool lacks_alpn = false;  ///< direct TLS was refused for that
  };

  TlsSession(std::shared_ptr<const OpenSslContext> context, int socket, bool direct);
  bool prepare(TlsRole role);
  bool name_host(const std::string& host);
  Progress finish_handshake();
  void fail();

  static int on_client_hello(SSL* session, int* alert, void* nothing);
  friend void set_hello_rules(SSL_CTX* context);

  TlsWire wire_;
  std::unique_ptr<SSL, SslFree> ssl_;
  std::unique_ptr<Handshake> handshake_;
  std::shared_ptr<const core::TlsFacts> facts_;
  std::unique_ptr<std::string> failure_;
};

/// Sets what servers decide when they see a ClientHello: see make_server_context.
void set_hello_rules(SSL_CTX* context);

}  // namespace forebay::net
