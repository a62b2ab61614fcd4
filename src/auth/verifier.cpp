#include "forebay/auth/verifier.hpp"

#include <optional>

#include "auth/base64.hpp"
#include "auth/crypto.hpp"
#include "auth/scram_message.hpp"
#include "forebay/auth/md5.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::auth {
namespace {

constexpr Bytes kPrefix = "SCRAM-SHA-256$";

Error malformed(const char* what) noexcept {
  return failure(std::string("malformed SCRAM verifier: ") + what +
                     "; expected SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> as in "
                     "pg_authid.rolpassword",
                 pg::sqlstate::kConfigFileError);
}

/// Takes off `text` all before `end`, and `end` itself.
std::optional<Bytes> take_until(Bytes& text, char end) noexcept {
  const std::size_t at = text.find(end);
  if (at == Bytes::npos) return std::nullopt;
  const Bytes part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

std::optional<Key> decode_key(Bytes text) noexcept {
  auto bytes = base64_decode(text);
  if (!bytes) return std::nullopt;
  auto key = Key::from(*bytes);
  wipe(*bytes);
  return key;
}

bool is_md5(Bytes text) noexcept {
  return text.size() == kMd5StoredSize && text.starts_with("md5") &&
         text.find_first_not_of("0123456789abcdef", 3) == Bytes::npos;
}

}  // namespace

Result<Verifier> Verifier::parse(Bytes text) noexcept {
  if (!text.starts_with(kPrefix)) return malformed("unknown scheme");
  if (text.size() > kPasswordMax) return malformed("too long");
  text.remove_prefix(kPrefix.size());
  const auto iterations_text = take_until(text, ':');
  const auto salt_text = take_until(text, '$');
  const auto stored_text = take_until(text, ':');
  if (!iterations_text || !salt_text || !stored_text) return malformed("a part is missing");

  const auto iterations = parse_iterations(*iterations_text);
  if (!iterations) return malformed("the iteration count is no number from 1 to 2147483647");
  auto salt = base64_decode(*salt_text);
  if (!salt || salt->empty() || salt->size() > kScramSaltMax) {
    return malformed("the salt is not base64 of 1 to 256 bytes");
  }
  const auto stored_key = decode_key(*stored_text);
  if (!stored_key) return malformed("StoredKey is not base64 of 32 bytes");
  const auto server_key = decode_key(text);
  if (!server_key) return malformed("ServerKey is not base64 of 32 bytes");
  return Verifier{std::move(*salt), *iterations, *stored_key, *server_key};
}

Verifier Verifier::make(const Password& password, Bytes salt, std::uint32_t iterations) noexcept {
  return make(derive_keys(password, salt, iterations));
}

Verifier Verifier::make(const ScramKeys& keys) noexcept {
  return {keys.salt, keys.iterations, crypto::sha256(keys.client_key.bytes()), keys.server_key};
}

config::Secret Verifier::text() const noexcept {
  std::string text(kPrefix);
  text += std::to_string(iterations) + ":" + base64_encode(salt) + "$" +
          base64_encode(stored_key.bytes()) + ":" + base64_encode(server_key.bytes());
  return config::Secret(std::move(text));
}

Result<StoredSecret> parse_secret(Bytes text) noexcept {
  const auto error = [](std::string message) {
    return failure(std::move(message), pg::sqlstate::kConfigFileError);
  };
  if (text.empty()) return error("the password is empty: PostgreSQL takes that for no password");
  if (text.size() > kPasswordMax) {
    return error("the password is longer than " + std::to_string(kPasswordMax) + " bytes");
  }
  if (text.find('\0') != Bytes::npos) return error("the password has a NUL byte");
  if (text.starts_with(kPrefix)) {
    auto verifier = Verifier::parse(text);
    if (!verifier) return verifier.error();
    return StoredSecret(std::move(*verifier));
  }
  if (is_md5(text)) return StoredSecret(Md5Hash{config::Secret(std::string(text))});
  return StoredSecret(Password(config::Secret(std::string(text))));
}

}  // namespace forebay::auth
