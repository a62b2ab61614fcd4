#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "forebay/auth/key.hpp"
#include "forebay/auth/password.hpp"
#include "forebay/auth/scram_keys.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/secret.hpp"

namespace forebay::auth {

/// What a server keeps of a password for SCRAM (manual, pg_authid): enough to check a client, not
/// enough to log in elsewhere.
struct Verifier {
  std::string salt;  ///< bytes, not base64
  std::uint32_t iterations = 0;
  Key stored_key;
  Key server_key;
  bool operator==(const Verifier&) const noexcept = default;

  /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, canonical base64 only.
  /// Error F0000: what is wrong with it. The text is never part of the error.
  static Result<Verifier> parse(Bytes text) noexcept;
  /// Costs as derive_keys does.
  static Verifier make(const Password& password, Bytes salt, std::uint32_t iterations) noexcept;
  static Verifier make(const ScramKeys& keys) noexcept;

  /// As PostgreSQL stores it.
  [[nodiscard]] config::Secret text() const noexcept;
};

/// "md5..." as rolpassword holds it.
struct Md5Hash {
  config::Secret stored;
  bool operator==(const Md5Hash&) const = default;
};

/// In the order of StoredSecret's alternatives.
enum class SecretKind : std::uint8_t { clear_text, md5, scram };

/// What is known of a user's password.
using StoredSecret = std::variant<Password, Md5Hash, Verifier>;

inline SecretKind kind_of(const StoredSecret& secret) noexcept {
  return static_cast<SecretKind>(secret.index());
}

/// Reads a secret as rolpassword holds it, by PostgreSQL's rules (get_password_type), but a text
/// that begins like a SCRAM verifier and is none is an error, not a password.
/// Error F0000: that, an empty one, a NUL byte, or more than kPasswordMax bytes.
Result<StoredSecret> parse_secret(Bytes text) noexcept;

}  // namespace forebay::auth
