#include "forebay/auth/md5.hpp"

#include "auth/crypto.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::auth {
namespace {

constexpr Bytes kPrefix = "md5";

/// "md5" and the digest in hexadecimal; empty where there is no MD5.
std::string md5_text(std::initializer_list<Bytes> parts) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<unsigned char, 16> digest;
  if (!crypto::md5(parts, digest)) return {};
  std::string text;
  text.reserve(kMd5StoredSize);
  text.append(kPrefix);
  for (const unsigned char byte : digest) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

Error no_md5() noexcept {
  return failure("this libcrypto has no MD5 (FIPS): use scram-sha-256",
                 pg::sqlstate::kFeatureNotSupported);
}

}  // namespace

Result<config::Secret> md5_stored(Bytes password, Bytes user) noexcept {
  std::string text = md5_text({password, user});
  if (text.empty()) return no_md5();
  return config::Secret(std::move(text));
}

Result<std::string> md5_response(Bytes stored, Bytes salt) noexcept {
  FB_ASSERT(stored.size() == kMd5StoredSize && salt.size() == kMd5SaltSize);
  std::string text = md5_text({stored.substr(kPrefix.size()), salt});
  if (text.empty()) return no_md5();
  return Result<std::string>(boost::system::in_place_value, std::move(text));
}

bool md5_accepts(Bytes stored, Bytes salt, Bytes response) noexcept {
  const auto expected = md5_response(stored, salt);
  return expected.has_value() && equal_in_constant_time(*expected, response);
}

}  // namespace forebay::auth
