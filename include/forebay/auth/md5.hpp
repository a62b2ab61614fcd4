#pragma once

#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/secret.hpp"

/// PostgreSQL's MD5 passwords (manual, "Password Authentication" and AuthenticationMD5Password).
namespace forebay::auth {

/// "md5" and 32 hexadecimal digits.
inline constexpr std::size_t kMd5StoredSize = 35;
/// Bytes of the salt in AuthenticationMD5Password.
inline constexpr std::size_t kMd5SaltSize = 4;

/// What rolpassword holds: "md5" and the digest of password and user name. As good as the password
/// towards a server that asks for MD5, hence a secret.
/// Error 0A000: this libcrypto has no MD5 (FIPS).
Result<config::Secret> md5_stored(Bytes password, Bytes user) noexcept;

/// What a client answers: "md5" and the digest of the stored digest and the server's salt.
/// `stored` has kMd5StoredSize bytes, `salt` kMd5SaltSize. Error 0A000 as above.
Result<std::string> md5_response(Bytes stored, Bytes salt) noexcept;

/// Whether that is the answer to the salt; constant in time for answers of the right length.
bool md5_accepts(Bytes stored, Bytes salt, Bytes response) noexcept;

}  // namespace forebay::auth
