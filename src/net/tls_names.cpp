#include "net/tls_names.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <array>

namespace forebay::net {
namespace {

std::string verification_failure(SSL* session, TlsRole role, const std::string& host) {
  const long result = SSL_get_verify_result(session);
  const std::string whose = role == TlsRole::client ? "server" : "client";
  if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return "the server's certificate is not for \"" + host +
           "\" (connect by a name that it lists, or use verify-ca)";
  }
  return "the " + whose +
         "'s certificate was not accepted: " + X509_verify_cert_error_string(result);
}

}  // namespace

std::string end_point_hash(const X509* certificate) {
  int digest = NID_undef;
  int key = NID_undef;
  if (X509_get_signature_info(const_cast<X509*>(certificate), &digest, &key, nullptr, nullptr) !=
      1) {
    ERR_clear_error();
    return {};
  }
  if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
  const EVP_MD* function = EVP_get_digestbynid(digest);
  if (function == nullptr) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
  unsigned int size = 0;
  if (X509_digest(certificate, function, hash.data(), &size) != 1) {
    ERR_clear_error();
    return {};
  }
  return {reinterpret_cast<const char*>(hash.data()), size};
}

namespace {

// Empty for what is no text, or pretends to be another.
std::string text_of(const ASN1_STRING* raw) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, raw);
  if (size < 0) {
    ERR_clear_error();
    return {};
  }
  std::string name(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return name.find('\0') == std::string::npos ? name : std::string();
}

std::vector<std::string> units(const X509* certificate) {
  std::vector<std::string> all;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  for (int index = -1;
       (index = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, index)) >= 0;) {
    all.push_back(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index))));
  }
  return all;
}

std::vector<std::string> alternative_names(const X509* certificate) {
  std::vector<std::string> all;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    int type = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
    if (type == GEN_DNS || type == GEN_EMAIL || type == GEN_URI) {
      all.push_back(text_of(static_cast<const ASN1_STRING*>(value)));
    }
  }
  GENERAL_NAMES_free(names);
  ERR_clear_error();
  return all;
}

}  // namespace

std::string common_name(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return {};
  return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
}

std::string openssl_reason() {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  if (first == 0) return "no reason given";
  if (ERR_SYSTEM_ERROR(first)) return std::string(ERR_lib_error_string(first));
  const char* text = ERR_reason_error_string(first);
  return text != nullptr ? text : "OpenSSL error " + std::to_string(first);
}

core::TlsFacts facts_of(SSL* session, const OpenSslContext& context) {
  core::TlsFacts facts;
  facts.version = SSL_get_version(session);
  facts.cipher = SSL_get_cipher_name(session);
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(session, &protocol, &size);
  if (size > 0) facts.alpn.assign(reinterpret_cast<const char*>(protocol), size);
  const X509* peer = SSL_get0_peer_certificate(session);
  const bool verified = (SSL_get_verify_mode(session) & SSL_VERIFY_PEER) != 0 &&
                        SSL_get_verify_result(session) == X509_V_OK;
  if (peer != nullptr && verified) facts.peer_common_name = common_name(peer);
  if (context.role() == TlsRole::server) {
    if (peer != nullptr && verified) {
      facts.peer_units = units(peer);
      facts.peer_names = alternative_names(peer);
    }
    const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) facts.server_name = name;
    facts.server_end_point = context.own_end_point();
  } else if (peer != nullptr) {
    facts.server_end_point = end_point_hash(peer);
  }
  return facts;
}

std::string failure_of(SSL* session, TlsRole role, const std::string& host) {
  // Below libssl's own word there may be that of libcrypto, which says less.
  unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) error = ERR_peek_last_error();
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      ERR_clear_error();
      return verification_failure(session, role, host);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      ERR_clear_error();
      return "the client sent no certificate, and one is required";
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
      ERR_clear_error();
      return "what the peer sent is not TLS";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
      return "no TLS version or cipher is allowed by both sides (" + openssl_reason() + ")";
    default:
      break;
  }
  if (reason > SSL_AD_REASON_OFFSET) {  // OpenSSL's numbering of alerts that were received
    return "the peer refused: " + openssl_reason();
  }
  return openssl_reason();
}

}  // namespace forebay::net
