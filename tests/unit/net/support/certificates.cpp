#include "support/certificates.hpp"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "support/loop.hpp"

namespace forebay::net::test {
namespace {

void need(bool so) {
  if (!so) std::abort();
}

void add_extension(X509* to, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  need(made != nullptr && X509_add_ext(to, made, -1) == 1);
  X509_EXTENSION_free(made);
}

std::string next_file(const std::string& ending) {
  static int number = 0;
  return test_directory() + "/" + std::to_string(++number) + ending;
}

}  // namespace

Certificate::Certificate(const CertificateWish& wish, const Certificate* issuer)
    : file_(next_file(".crt")), key_file_(next_file(".key")) {
  key_.reset(wish.key == KeyKind::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                          : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"),
             EVP_PKEY_free);
  x509_.reset(X509_new(), X509_free);
  X509* const made = x509_.get();
  X509* const signer = issuer == nullptr ? made : issuer->x509();
  need(key_ != nullptr && made != nullptr && X509_set_version(made, X509_VERSION_3) == 1);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(made), wish.from_seconds);
  X509_gmtime_adj(X509_getm_notAfter(made), wish.to_seconds);
  X509_NAME* const subject = X509_get_subject_name(made);
  need(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char*>(wish.common_name.data()),
                                  static_cast<int>(wish.common_name.size()), -1, 0) == 1);
  X509_set_issuer_name(made, X509_get_subject_name(signer));
  X509_set_pubkey(made, key_.get());
  add_extension(made, signer, NID_basic_constraints,
                wish.authority ? "critical,CA:TRUE" : "CA:FALSE");
  std::string names;
  for (const std::string& name : wish.names) names += (names.empty() ? "" : ",") + name;
  if (!names.empty()) add_extension(made, signer, NID_subject_alt_name, names);
  EVP_PKEY* const signing_key = issuer == nullptr ? key_.get() : issuer->key();
  const bool own_digest = EVP_PKEY_is_a(signing_key, "ED25519") == 1;
  const EVP_MD* const digest = own_digest ? nullptr : EVP_get_digestbyname(wish.digest.c_str());
  need(X509_sign(made, signing_key, digest) > 0);

  std::FILE* file = std::fopen(file_.c_str(), "w");
  need(file != nullptr && PEM_write_X509(file, made) == 1);
  std::fclose(file);
  const int key_descriptor = ::open(key_file_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  file = ::fdopen(key_descriptor, "w");
  need(file != nullptr &&
       PEM_write_PrivateKey(file, key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  std::fclose(file);
}

const Authority& authority() {
  static const Authority made("our authority");
  return made;
}

const Authority& stranger() {
  static const Authority made("a stranger");
  return made;
}

config::TlsSettings server_settings(const Certificate& certificate) {
  config::TlsSettings settings;
  settings.mode = config::TlsMode::require;
  settings.certificate_file = certificate.file();
  settings.key_file = certificate.key_file();
  return settings;
}

config::TlsSettings client_settings(config::TlsMode mode, const std::string& ca_file) {
  config::TlsSettings settings;
  settings.mode = mode;
  settings.ca_file = ca_file;
  return settings;
}

}  // namespace forebay::net::test
