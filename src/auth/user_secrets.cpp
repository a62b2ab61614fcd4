#include "forebay/auth/user_secrets.hpp"

#include <algorithm>

#include "forebay/auth/md5.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::auth {
namespace sqlstate = pg::sqlstate;

Result<Exchange> exchange_for(config::AuthMethod method, SecretKind kind) noexcept {
  switch (method) {
    case config::AuthMethod::trust:
    case config::AuthMethod::cert:
      return Exchange::none;
    case config::AuthMethod::password:
      return Exchange::clear_text;
    case config::AuthMethod::md5:
      return kind == SecretKind::scram ? Exchange::scram : Exchange::md5;
    case config::AuthMethod::scram_sha_256:
      if (kind != SecretKind::md5) return Exchange::scram;
      return failure(
          "the stored secret is an MD5 hash, with which SCRAM cannot be done: store a SCRAM "
          "verifier or the clear text, or set auth = \"md5\"",
          sqlstate::kInvalidAuthorization);
    case config::AuthMethod::server:
      break;
  }
  return failure("auth = \"server\" is a dialogue with the server, no stored secret takes part",
                 sqlstate::kInvalidAuthorization);
}

Result<UserSecrets> UserSecrets::make(std::string user,
                                      const std::vector<config::Secret>& passwords,
                                      const std::optional<ScramParameters>& scram) noexcept {
  UserSecrets made;
  made.user_ = std::move(user);
  made.passwords_ = passwords;
  made.scram_ = scram;
  if (scram && (scram->iterations < 1 || scram->iterations > kScramIterationsMax)) {
    return failure("scram_iterations must be from 1 to " + std::to_string(kScramIterationsMax),
                   sqlstate::kConfigFileError);
  }
  if (const auto parsed = made.parse(passwords); !parsed) return parsed.error();
  made.make_verifiers(scram);
  made.make_md5_hashes();
  return made;
}

bool UserSecrets::made_from(Bytes user, const std::vector<config::Secret>& passwords,
                            const std::optional<ScramParameters>& scram) const noexcept {
  return user_ == user && passwords_ == passwords && scram_ == scram;
}

Result<void> UserSecrets::parse(const std::vector<config::Secret>& passwords) noexcept {
  if (passwords.size() > kSecretsPerUserMax) {
    return failure("user \"" + user_ + "\" has " + std::to_string(passwords.size()) +
                       " passwords, over the limit of " + std::to_string(kSecretsPerUserMax),
                   sqlstate::kConfigFileError);
  }
  for (const config::Secret& password : passwords) {
    auto secret = parse_secret(password.reveal());
    if (!secret) {
      return failure("password " + std::to_string(secrets_.size() + 1) + " of user \"" + user_ +
                         "\": " + secret.error().message,
                     sqlstate::kConfigFileError);
    }
    secrets_.push_back(std::move(*secret));
  }
  return {};
}

void UserSecrets::make_verifiers(const std::optional<ScramParameters>& scram) noexcept {
  // The salt goes to the client before it proves anything, so one must do for all: the first
  // stored one, because a stored verifier's cannot be chosen.
  std::optional<ScramParameters> shared = scram;
  for (const StoredSecret& secret : secrets_) {
    if (const auto* verifier = std::get_if<Verifier>(&secret)) {
      shared = ScramParameters{verifier->salt, verifier->iterations};
      break;
    }
  }
  if (!shared) return;
  for (std::size_t i = 0; i < secrets_.size(); ++i) {
    const std::string place = "password " + std::to_string(i + 1) + " of user \"" + user_ + "\"";
    if (const auto* verifier = std::get_if<Verifier>(&secrets_[i])) {
      if (verifier->salt == shared->salt && verifier->iterations == shared->iterations) {
        verifiers_.push_back(*verifier);
        verifier_sources_.emplace_back();
      } else {
        notes_.push_back(place +
                         " is a SCRAM verifier with another salt or iteration count than the first "
                         "one, so SCRAM cannot use it: store the clear text instead");
      }
    } else if (const auto* password = std::get_if<Password>(&secrets_[i])) {
      if (shared->iterations > kScramIterationsMax) {
        notes_.push_back(place + " cannot be used by SCRAM beside a verifier with " +
                         std::to_string(shared->iterations) + " iterations, over the limit of " +
                         std::to_string(kScramIterationsMax));
        continue;
      }
      verifiers_.push_back(Verifier::make(*password, shared->salt, shared->iterations));
      verifier_sources_.emplace_back(i);
    } else {
      notes_.push_back(place + " is an MD5 hash, which SCRAM cannot use");
    }
  }
}

void UserSecrets::make_md5_hashes() noexcept {
  for (const StoredSecret& secret : secrets_) {
    if (const auto* hash = std::get_if<Md5Hash>(&secret)) {
      md5_hashes_.push_back(*hash);
    } else if (const auto* password = std::get_if<Password>(&secret)) {
      auto stored = md5_stored(password->clear().reveal(), user_);
      if (stored) md5_hashes_.push_back({std::move(*stored)});
    }
  }
}

Result<Exchange> UserSecrets::exchange(config::AuthMethod method) const noexcept {
  const bool asks = method != config::AuthMethod::trust && method != config::AuthMethod::cert &&
                    method != config::AuthMethod::server;
  if (asks && secrets_.empty()) {
    return failure("no password is stored for the user", sqlstate::kInvalidAuthorization);
  }
  if (method == config::AuthMethod::md5) {
    return exchange_for(
        method, verifiers_.size() > md5_hashes_.size() ? SecretKind::scram : SecretKind::md5);
  }
  if (method == config::AuthMethod::scram_sha_256) {
    return exchange_for(method, verifiers_.empty() ? SecretKind::md5 : SecretKind::scram);
  }
  return exchange_for(method, SecretKind::clear_text);
}

const Password* UserSecrets::password_of(std::size_t verifier) const noexcept {
  FB_ASSERT(verifier < verifiers_.size());
  const auto source = verifier_sources_[verifier];
  return source ? &std::get<Password>(secrets_[*source]) : nullptr;
}

bool UserSecrets::accepts(const Password& password) const noexcept {
  // Every secret is tried, also after one that fits: the time does not tell which it was.
  bool accepted = false;
  for (const StoredSecret& secret : secrets_) {
    if (const auto* clear = std::get_if<Password>(&secret)) {
      accepted |= *clear == password;
    } else if (const auto* hash = std::get_if<Md5Hash>(&secret)) {
      const auto stored = md5_stored(password.clear().reveal(), user_);
      accepted |= stored && equal_in_constant_time(stored->reveal(), hash->stored.reveal());
    } else {
      const Verifier& verifier = std::get<Verifier>(secret);
      if (verifier.iterations > kScramIterationsMax) continue;
      accepted |= derive_keys(password, verifier.salt, verifier.iterations).server_key ==
                  verifier.server_key;
    }
  }
  return accepted;
}

Credential UserSecrets::credential() const noexcept {
  if (secrets_.empty()) return NoCredential{};
  if (const auto* password = std::get_if<Password>(&secrets_.front())) return *password;
  if (const auto* hash = std::get_if<Md5Hash>(&secrets_.front())) return *hash;
  return NoCredential{};
}

Credential credential_towards_servers(const UserSecrets* configured,
                                      const Credential& recovered) noexcept {
  Credential stored = configured ? configured->credential() : Credential(NoCredential{});
  if (std::holds_alternative<Password>(stored)) return stored;
  if (std::holds_alternative<NoCredential>(recovered)) return stored;
  return recovered;
}

}  // namespace forebay::auth
