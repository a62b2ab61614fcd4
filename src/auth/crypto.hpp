#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "forebay/auth/key.hpp"
#include "forebay/base/bytes.hpp"

/// The four algorithms that the module needs, from libcrypto. A libcrypto that lacks SHA-256, HMAC
/// or PBKDF2, or the memory for one of them, ends the program.
namespace forebay::auth::crypto {

Key sha256(Bytes text) noexcept;
/// HMAC-SHA256 of the parts, one after another.
Key hmac_sha256(Bytes key, std::initializer_list<Bytes> parts) noexcept;
Key pbkdf2_sha256(Bytes password, Bytes salt, std::uint32_t iterations) noexcept;
/// False: this libcrypto has no MD5 (FIPS).
bool md5(std::initializer_list<Bytes> parts, std::array<unsigned char, 16>& digest) noexcept;

}  // namespace forebay::auth::crypto
