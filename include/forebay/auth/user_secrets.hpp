#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "forebay/auth/scram_keys.hpp"
#include "forebay/auth/verifier.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"
#include "forebay/config/secret.hpp"

namespace forebay::auth {

/// Passwords of one user at a time: the old and the new one, and some room.
inline constexpr std::size_t kSecretsPerUserMax = 8;

struct NoCredential {
  bool operator==(const NoCredential&) const = default;
};

/// With what to log in to a server.
///   Password   whatever the server asks for
///   Md5Hash    MD5 only
///   ScramKeys  SCRAM only, and only while the server's verifier is the one they were won from
using Credential = std::variant<NoCredential, Password, Md5Hash, ScramKeys>;

/// How a client is asked. `none`: not at all (trust), or by its certificate (cert).
enum class Exchange : std::uint8_t { none, clear_text, md5, scram };

/// What is run where `method` is configured and such a secret is stored: MD5 gives way to SCRAM
/// where a verifier is stored, as in PgBouncer and PostgreSQL.
/// Error 28000: it cannot be done, why, and what would help; for the log, not for the client.
Result<Exchange> exchange_for(config::AuthMethod method, SecretKind kind) noexcept;

/// Salt and iteration count for verifiers that we make.
struct ScramParameters {
  std::string salt;  ///< kScramSaltSize bytes; made_up_salt keeps users of all kinds alike
  std::uint32_t iterations = kScramIterationsDefault;
  bool operator==(const ScramParameters&) const = default;
};

/// All that is known of one user's passwords, made ready for every method. Immutable, so one may be
/// shared by all threads; computed once, at load or when auth_query answered, not for each login.
class UserSecrets {
 public:
  /// Costs 1.5 ms for each clear-text password if `scram` is given (a method is scram_sha_256, or
  /// may become it) and microseconds if not: keep what a reload did not change (`made_from`).
  /// `scram` counts for users without a stored verifier; where there is one, its salt and iteration
  /// count serve for the clear texts beside it, too.
  /// Errors F0000: a secret that parse_secret refuses (with its place), over kSecretsPerUserMax, or
  /// an iteration count over kScramIterationsMax. No password at all is no error.
  static Result<UserSecrets> make(std::string user, const std::vector<config::Secret>& passwords,
                                  const std::optional<ScramParameters>& scram) noexcept;

  [[nodiscard]] bool made_from(Bytes user, const std::vector<config::Secret>& passwords,
                               const std::optional<ScramParameters>& scram) const noexcept;

  [[nodiscard]] const std::string& user() const noexcept { return user_; }

  /// What is run for this user: what serves the most of the secrets, within exchange_for's rules.
  /// Error 28000 as there, or that no password is stored.
  [[nodiscard]] Result<Exchange> exchange(config::AuthMethod method) const noexcept;

  /// All with the same salt and iteration count; may be empty.
  [[nodiscard]] const std::vector<Verifier>& verifiers() const noexcept { return verifiers_; }
  /// The clear text that verifier number `verifier` was made from, if it was.
  [[nodiscard]] const Password* password_of(std::size_t verifier) const noexcept;
  /// Of stored hashes and clear texts; may be empty.
  [[nodiscard]] const std::vector<Md5Hash>& md5_hashes() const noexcept { return md5_hashes_; }

  /// Whether the clear text is one of the passwords. Costs 1.5 ms or more where a verifier is
  /// stored; those over kScramIterationsMax are not tried.
  [[nodiscard]] bool accepts(const Password& password) const noexcept;

  /// No password is stored.
  [[nodiscard]] bool empty() const noexcept { return secrets_.empty(); }

  /// With what to log in to servers, of the first secret only: NoCredential for a verifier, which
  /// opens nothing before a client has proved itself.
  [[nodiscard]] Credential credential() const noexcept;

  /// What the operator should know: secrets that some method cannot use, and why.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  UserSecrets() = default;
  Result<void> parse(const std::vector<config::Secret>& passwords) noexcept;
  void make_verifiers(const std::optional<ScramParameters>& scram) noexcept;
  void make_md5_hashes() noexcept;

  std::string user_;
  std::vector<config::Secret> passwords_;
  std::optional<ScramParameters> scram_;
  std::vector<StoredSecret> secrets_;
  std::vector<Verifier> verifiers_;
  std::vector<std::optional<std::size_t>> verifier_sources_;  ///< into secrets_, for clear texts
  std::vector<Md5Hash> md5_hashes_;
  std::vector<std::string> notes_;
};

/// With what to log in to servers on behalf of a client: a clear text from the configuration, else
/// what the client's login recovered, else the stored hash. `configured` may be null.
Credential credential_towards_servers(const UserSecrets* configured,
                                      const Credential& recovered) noexcept;

}  // namespace forebay::auth
