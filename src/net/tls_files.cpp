#include "net/tls_files.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>

#include "forebay/net/descriptor.hpp"
#include "forebay/net/tls.hpp"
#include "net/system_error.hpp"
#include "net/tls_names.hpp"

namespace forebay::net {
namespace {

struct KeyFree {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, KeyFree>;

struct CertificateFree {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};

struct BioFree {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};

/// Nobody sits at a terminal to type a passphrase in, which is what OpenSSL would wait for.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

Error unreadable(const std::string& what, const std::string& file, int error) {
  return failure("could not read the " + what + " " + file + ": " + system_reason(error) +
                 " (check the path and its permissions)");
}

Result<void> check_readable(const std::string& what, const std::string& file) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) return unreadable(what, file, errno);
  return {};
}

/// PostgreSQL's rule: nobody but the owner may read it, except that root's may be read by a group.
/// Whose it is does not matter: who runs as root may use a key that belongs to the database's user.
Result<void> check_key_permissions(const std::string& file, const struct stat& facts) {
  if (!S_ISREG(facts.st_mode)) {
    return failure("the private key file " + file + " is not a regular file");
  }
  const mode_t forbidden = facts.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
  if ((facts.st_mode & forbidden) != 0) {
    return failure("the private key file " + file +
                   " can be read by others (chmod 0600, or 0640 when root owns it)");
  }
  return {};
}

Result<void> read_key(const std::string& file, KeyPtr& key) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) return unreadable("private key file", file, errno);
  struct stat facts {};
  if (::fstat(opened.get(), &facts) != 0) return unreadable("private key file", file, errno);
  if (auto done = check_key_permissions(file, facts); !done) return done;
  const std::unique_ptr<BIO, BioFree> bio(BIO_new_fd(opened.get(), BIO_NOCLOSE));
  key.reset(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
  if (key) return {};
  return failure("could not use the private key file " + file + ": " + openssl_reason() +
                 " (it must be PEM, without a passphrase)");
}

}  // namespace

Result<void> use_certificate(SSL_CTX* context, const std::string& certificate_file,
                             const std::string& key_file) {
  if (auto done = check_readable("certificate file", certificate_file); !done) return done;
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    return failure("could not use the certificate file " + certificate_file + ": " +
                   openssl_reason() + " (it must be PEM, our own certificate first)");
  }
  KeyPtr key;
  if (auto done = read_key(key_file, key); !done) return done;
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return failure("the private key file " + key_file + " is not for the certificate in " +
                   certificate_file + ": " + openssl_reason() +
                   " (give the key that the certificate was made for)");
  }
  return {};
}

Result<void> use_authorities(SSL_CTX* context, const std::string& ca_file) {
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
    return failure("could not use the system's certificate authorities: " + openssl_reason() +
                   " (set ca_file)");
  }
  if (auto done = check_readable("CA file", ca_file); !done) return done;
  if (SSL_CTX_load_verify_file(context, ca_file.c_str()) == 1) return {};
  return failure("could not use the CA file " + ca_file + ": " + openssl_reason() +
                 " (it must contain certificates in PEM)");
}

Result<void> name_authorities(SSL_CTX* context, const std::string& ca_file) {
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(ca_file.c_str());
  if (names == nullptr) {
    return failure("could not use the CA file " + ca_file + ": " + openssl_reason() +
                   " (it must contain certificates in PEM)");
  }
  SSL_CTX_set_client_CA_list(context, names);  // takes them
  return {};
}

std::int64_t certificate_expiry(const std::string& file) {
  const std::unique_ptr<BIO, BioFree> bio(BIO_new_file(file.c_str(), "r"));
  if (bio == nullptr) return 0;
  const std::unique_ptr<X509, CertificateFree> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  std::tm parts{};
  if (certificate == nullptr ||
      ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) != 1) {
    ERR_clear_error();
    return 0;
  }
  return timegm(&parts);
}

}  // namespace forebay::net
