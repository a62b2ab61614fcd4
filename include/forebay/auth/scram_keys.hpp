#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "forebay/auth/key.hpp"
#include "forebay/auth/password.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"

/// The keys of SCRAM-SHA-256 (RFC 5802, section 3; RFC 7677) and its limits.
namespace forebay::auth {

inline constexpr char kScramSha256[] = "SCRAM-SHA-256";
inline constexpr char kScramSha256Plus[] = "SCRAM-SHA-256-PLUS";

/// PostgreSQL's default of scram_iterations, and RFC 7677's minimum.
inline constexpr std::uint32_t kScramIterationsDefault = 4096;
/// So many iterations we compute at most (40 ms): a hostile server names the number.
inline constexpr std::uint32_t kScramIterationsMax = 100'000;
/// So many may stand in a stored verifier (PostgreSQL's limit): others compute those.
inline constexpr std::uint32_t kScramStoredIterationsMax = 0x7fffffff;
/// Bytes of a salt that we make (PostgreSQL's SCRAM_DEFAULT_SALT_LEN).
inline constexpr std::size_t kScramSaltSize = 16;
/// Longest salt taken, in bytes before base64.
inline constexpr std::size_t kScramSaltMax = 256;
/// Random bytes in our part of a nonce (PostgreSQL's SCRAM_RAW_NONCE_LEN); 24 in base64.
inline constexpr std::size_t kScramNonceSize = 18;
/// Longest nonce of a client, and longest combined nonce of a server.
inline constexpr std::size_t kScramNonceMax = 512;
/// Longest SCRAM message taken from either side, in bytes.
inline constexpr std::size_t kScramMessageMax = 2047;

/// Our random part of a nonce.
using ScramNonce = std::array<char, kScramNonceSize>;

/// What is left of a password after salting: enough to log in wherever the verifier has this salt
/// and iteration count. As good as the password there, hence wiped.
struct ScramKeys {
  std::string salt;  ///< bytes, not base64
  std::uint32_t iterations = 0;
  Key client_key;
  Key server_key;
  bool operator==(const ScramKeys&) const noexcept = default;
};

/// The expensive step: PBKDF2, 1.5 ms for 4096 iterations. Touches nothing but its arguments, so it
/// may run on any thread. `iterations` from 1 to kScramIterationsMax.
ScramKeys derive_keys(const Password& password, Bytes salt, std::uint32_t iterations) noexcept;

/// Which keys a login needs: those of this password for this salt and iteration count.
struct KeyRequest {
  Key password;  ///< Password::identity
  std::string salt;
  std::uint32_t iterations = 0;
  bool operator==(const KeyRequest&) const noexcept = default;
};

/// Keys already derived, so that a login costs microseconds. Holds few: the servers of a pool
/// share their verifiers. Belongs to one thread, or to its owner's lock.
class ScramKeyCache {
 public:
  /// Beyond that the oldest entry goes.
  static constexpr std::size_t kEntriesMax = 4;

  /// Null when they are not here; valid until the next `remember`.
  [[nodiscard]] const ScramKeys* find(const KeyRequest& request) const noexcept;
  void remember(const KeyRequest& request, const ScramKeys& keys) noexcept;

 private:
  struct Entry {
    KeyRequest request;
    ScramKeys keys;
  };
  std::vector<Entry> entries_;
};

/// The salt for a user of whom no verifier is stored: HMAC of the user name under a secret of
/// ours. Users that do not exist and users known by clear text thus look the same, also when asked
/// twice. The secret should be the same on all nodes behind one address and survive a restart, or
/// else a salt that changes tells one from a stored verifier, whose salt never does.
std::string made_up_salt(const Key& secret, Bytes user) noexcept;

}  // namespace forebay::auth
