#pragma once

#include <openssl/ssl.h>

#include <string>

#include "net/tls_context.hpp"

namespace forebay::net {

/// RFC 5929, section 4: the hash of a server certificate by the hash function of its signature,
/// SHA-256 instead of MD5 and SHA-1. Empty when the signature has no single hash function.
std::string end_point_hash(const X509* certificate);

/// The first common name of the subject, as UTF-8. Empty when there is none, or when it contains a
/// zero byte: such names were made to be mistaken for others.
std::string common_name(const X509* certificate);

/// The first error on OpenSSL's list for this thread, for people; empties the list.
std::string openssl_reason();

/// The facts of a session whose handshake is complete.
core::TlsFacts facts_of(SSL* session, const OpenSslContext& context);

/// Why a handshake or a session failed, for people: OpenSSL's list and the verification's result.
/// `host` is what a server's certificate should have been for.
std::string failure_of(SSL* session, TlsRole role, const std::string& host);

}  // namespace forebay::net
