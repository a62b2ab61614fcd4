#pragma once

#include "forebay/auth/key.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/config/secret.hpp"

namespace forebay::auth {

/// Longest password and longest stored secret, in bytes: room for the tokens that cloud services
/// take in place of passwords, and still one message below pg::kAuthMessageMax.
inline constexpr std::size_t kPasswordMax = 8000;

/// Longest text that SASLprep is done for, in bytes. Its time grows with the square of the length
/// for texts made to that end (7 ms here, 200 ms for kPasswordMax), and clients choose the text.
inline constexpr std::size_t kSaslprepMax = 256;

/// SASLprep (RFC 4013) as PostgreSQL does it, with PostgreSQL's own code: ASCII stays as it is, and
/// so does what is not UTF-8, holds prohibited characters, or is over kSaslprepMax (there
/// PostgreSQL goes on). 54 us for common text that is not ASCII.
config::Secret saslprep(Bytes password) noexcept;

/// A clear-text password, prepared once for SCRAM.
class Password {
 public:
  explicit Password(config::Secret clear) noexcept;

  /// As it was given; for MD5 and for AuthenticationCleartextPassword.
  [[nodiscard]] const config::Secret& clear() const noexcept { return clear_; }
  /// After SASLprep; for SCRAM.
  [[nodiscard]] const config::Secret& prepared() const noexcept { return prepared_; }
  /// Tells this password from others (a SHA-256, so as secret as the password): for caches.
  [[nodiscard]] const Key& identity() const noexcept { return identity_; }

  /// Equal after SASLprep, which is what SCRAM takes for equal. The time tells nothing about the
  /// texts, not even their lengths.
  bool operator==(const Password& other) const noexcept { return identity_ == other.identity_; }

 private:
  config::Secret clear_;
  config::Secret prepared_;
  Key identity_;
};

}  // namespace forebay::auth
