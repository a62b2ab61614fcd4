#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "forebay/config/config.hpp"

namespace forebay::net::test {

enum class KeyKind { p256, ed25519 };

struct CertificateWish {
  std::string common_name = "localhost";
  std::vector<std::string> names;  ///< "DNS:localhost", "IP:127.0.0.1"
  long from_seconds = -3600;       ///< of validity, counted from now
  long to_seconds = 24 * 3600;
  bool authority = false;
  KeyKind key = KeyKind::p256;
  std::string digest = "SHA256";  ///< of the signature
};

/// A certificate and its key, also as PEM files.
class Certificate {
 public:
  /// Signed by itself, or by `issuer`.
  explicit Certificate(const CertificateWish& wish, const Certificate* issuer = nullptr);

  [[nodiscard]] X509* x509() const { return x509_.get(); }
  [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] const std::string& key_file() const { return key_file_; }

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> x509_;
  std::string file_;
  std::string key_file_;
};

/// An authority, and what it signed; made once for all tests.
struct Authority {
  explicit Authority(const std::string& name) : root({.common_name = name, .authority = true}) {}

  Certificate root;
  Certificate server{
      {.common_name = "db.test", .names = {"DNS:db.test", "DNS:*.pool.test", "IP:127.0.0.1"}},
      &root};
  Certificate client{{.common_name = "alice"}, &root};
  Certificate expired{{.common_name = "db.test",
                       .names = {"DNS:db.test"},
                       .from_seconds = -7200,
                       .to_seconds = -3600},
                      &root};
};
const Authority& authority();
/// An authority that nobody trusts, and what it signed.
const Authority& stranger();

/// The settings of a server with a certificate, and of a client.
config::TlsSettings server_settings(const Certificate& certificate);
config::TlsSettings client_settings(config::TlsMode mode, const std::string& ca_file = "");

}  // namespace forebay::net::test
