#include "auth/crypto.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <memory>
#include <string>

#include "forebay/base/assert.hpp"

namespace forebay::auth {

void wipe(void* memory, std::size_t size) noexcept {
  OPENSSL_cleanse(memory, size);
}

void wipe(std::string& text) noexcept {
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

namespace crypto {
namespace {

struct Deleter {
  void operator()(EVP_MD_CTX* ctx) const noexcept { EVP_MD_CTX_free(ctx); }
  void operator()(EVP_MAC_CTX* ctx) const noexcept { EVP_MAC_CTX_free(ctx); }
  void operator()(EVP_KDF_CTX* ctx) const noexcept { EVP_KDF_CTX_free(ctx); }
};
template <class Context>
using Owned = std::unique_ptr<Context, Deleter>;

const unsigned char* octets(Bytes bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* octets(Key& key) noexcept {
  return reinterpret_cast<unsigned char*>(key.data());
}

/// Fetching by name costs more than hashing a SCRAM message, so it is done once in the life of the
/// program. Never freed: libcrypto's own clean-up at exit may come first.
struct Algorithms {
  EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD* md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  EVP_KDF* pbkdf2 = EVP_KDF_fetch(nullptr, "PBKDF2", nullptr);
  /// HMAC that knows its digest already: copying it is cheaper than naming the digest anew. Its
  /// key is a dummy, because libcrypto 3.0 does not copy a context without one.
  EVP_MAC_CTX* hmac = nullptr;

  Algorithms() noexcept {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    FB_ASSERT(sha256 != nullptr && pbkdf2 != nullptr && mac != nullptr);
    hmac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    const unsigned char dummy[Key::kSize] = {};
    FB_ASSERT(hmac != nullptr && EVP_MAC_init(hmac, dummy, sizeof dummy, params) == 1);
  }
};

const Algorithms& algorithms() noexcept {
  static const Algorithms instance;
  return instance;
}

}  // namespace

Key sha256(Bytes text) noexcept {
  Key digest;
  unsigned size = Key::kSize;
  FB_ASSERT(EVP_Digest(text.data(), text.size(), octets(digest), &size, algorithms().sha256,
                       nullptr) == 1);
  return digest;
}

Key hmac_sha256(Bytes key, std::initializer_list<Bytes> parts) noexcept {
  const Owned<EVP_MAC_CTX> hmac(EVP_MAC_CTX_dup(algorithms().hmac));
  FB_ASSERT(hmac && EVP_MAC_init(hmac.get(), octets(key), key.size(), nullptr) == 1);
  for (const Bytes part : parts) {
    FB_ASSERT(EVP_MAC_update(hmac.get(), octets(part), part.size()) == 1);
  }
  Key digest;
  std::size_t size = Key::kSize;
  FB_ASSERT(EVP_MAC_final(hmac.get(), octets(digest), &size, Key::kSize) == 1);
  return digest;
}

Key pbkdf2_sha256(Bytes password, Bytes salt, std::uint32_t iterations) noexcept {
  const Owned<EVP_KDF_CTX> kdf(EVP_KDF_CTX_new(algorithms().pbkdf2));
  FB_ASSERT(kdf != nullptr);
  // Not FIPS 140's lower bounds on salts and counts: the verifier's maker chose them.
  int pkcs5 = 1;
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &pkcs5),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, const_cast<char*>(password.data()),
                                        password.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, const_cast<char*>(salt.data()),
                                        salt.size()),
      OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER, &iterations),
      OSSL_PARAM_construct_end(),
  };
  Key derived;
  FB_ASSERT(EVP_KDF_derive(kdf.get(), octets(derived), Key::kSize, params) == 1);
  return derived;
}

bool md5(std::initializer_list<Bytes> parts, std::array<unsigned char, 16>& digest) noexcept {
  if (algorithms().md5 == nullptr) return false;
  const Owned<EVP_MD_CTX> md(EVP_MD_CTX_new());
  if (!md || EVP_DigestInit_ex2(md.get(), algorithms().md5, nullptr) != 1) return false;
  for (const Bytes part : parts) {
    if (EVP_DigestUpdate(md.get(), part.data(), part.size()) != 1) return false;
  }
  return EVP_DigestFinal_ex(md.get(), digest.data(), nullptr) == 1;
}

}  // namespace crypto
}  // namespace forebay::auth
