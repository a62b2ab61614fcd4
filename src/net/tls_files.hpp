#pragma once

#include <openssl/ssl.h>

#include <string>

#include "forebay/base/result.hpp"

namespace forebay::net {

// Errors name the file, the reason and the remedy.

/// Our certificate (PEM, leaf first) and its key.
Result<void> use_certificate(SSL_CTX* context, const std::string& certificate_file,
                             const std::string& key_file);
/// Whose signatures count: of the file, or the system's when it is empty.
Result<void> use_authorities(SSL_CTX* context, const std::string& ca_file);
/// Which authorities clients are told.
Result<void> name_authorities(SSL_CTX* context, const std::string& ca_file);

}  // namespace forebay::net
