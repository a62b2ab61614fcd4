#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "forebay/core/io.hpp"

namespace forebay::net {

struct SslCtxFree {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using SslCtxPtr = std::unique_ptr<SSL_CTX, SslCtxFree>;

enum class TlsRole : std::uint8_t { server, client };

/// What a session must know of the other side's certificate.
enum class TlsCheck : std::uint8_t { nothing, chain, chain_and_host };

/// The SSL_CTX of one role and one configuration.
class OpenSslContext final : public core::TlsContext {
 public:
  OpenSslContext(SslCtxPtr context, TlsRole role, TlsCheck check);

  /// OpenSSL counts references in it, with its own locks; its rules do not change any more.
  [[nodiscard]] SSL_CTX* get() const noexcept { return context_.get(); }
  [[nodiscard]] TlsRole role() const noexcept { return role_; }
  [[nodiscard]] TlsCheck check() const noexcept { return check_; }
  /// Channel binding data of our own certificate; empty without one.
  [[nodiscard]] const std::string& own_end_point() const noexcept { return own_end_point_; }

  /// The same facts, in memory shared with other sessions that have the same.
  [[nodiscard]] std::shared_ptr<const core::TlsFacts> shared(core::TlsFacts facts) const;

 private:
  SslCtxPtr context_;
  TlsRole role_;
  TlsCheck check_;
  std::string own_end_point_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const core::TlsFacts> last_facts_;
};

/// The ALPN protocol of PostgreSQL, as it stands on the wire: length and name.
inline constexpr unsigned char kAlpnWire[] = {10, 'p', 'o', 's', 't', 'g', 'r', 'e', 's', 'q', 'l'};
inline constexpr std::string_view kAlpn = "postgresql";

}  // namespace forebay::net
