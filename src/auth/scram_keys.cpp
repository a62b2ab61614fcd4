#include "forebay/auth/scram_keys.hpp"

#include <algorithm>

#include "auth/crypto.hpp"
#include "forebay/base/assert.hpp"

namespace forebay::auth {

ScramKeys derive_keys(const Password& password, Bytes salt, std::uint32_t iterations) noexcept {
  FB_ASSERT(iterations >= 1 && iterations <= kScramIterationsMax);
  const Key salted = crypto::pbkdf2_sha256(password.prepared().reveal(), salt, iterations);
  return {.salt = std::string(salt),
          .iterations = iterations,
          .client_key = crypto::hmac_sha256(salted.bytes(), {"Client Key"}),
          .server_key = crypto::hmac_sha256(salted.bytes(), {"Server Key"})};
}

const ScramKeys* ScramKeyCache::find(const KeyRequest& request) const noexcept {
  const auto entry = std::ranges::find(entries_, request, &Entry::request);
  return entry == entries_.end() ? nullptr : &entry->keys;
}

void ScramKeyCache::remember(const KeyRequest& request, const ScramKeys& keys) noexcept {
  FB_ASSERT(request.salt == keys.salt && request.iterations == keys.iterations);
  std::erase_if(entries_, [&](const Entry& entry) { return entry.request == request; });
  if (entries_.size() == kEntriesMax) entries_.erase(entries_.begin());
  entries_.push_back({request, keys});
}

std::string made_up_salt(const Key& secret, Bytes user) noexcept {
  const Key digest = crypto::hmac_sha256(secret.bytes(), {"salt of ", user});
  return std::string(digest.bytes().substr(0, kScramSaltSize));
}

}  // namespace forebay::auth
