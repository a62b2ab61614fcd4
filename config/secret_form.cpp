#include "config/secret_form.hpp"

#include <charconv>

namespace forebay::config {
namespace {

constexpr std::string_view kMd5Prefix = "md5";
constexpr std::size_t kMd5Digits = 32;
constexpr std::string_view kScramPrefix = "SCRAM-SHA-256$";
constexpr std::string_view kLowerHex = "0123456789abcdef";
constexpr std::string_view kHex = "0123456789abcdefABCDEF";
constexpr std::size_t kKeyBytes = 32;  // of SHA-256

bool consists_of(std::string_view text, std::string_view letters) {
  return text.find_first_not_of(letters) == std::string_view::npos;
}

bool is_md5(std::string_view text) {
  return text.starts_with(kMd5Prefix) && text.size() == kMd5Prefix.size() + kMd5Digits &&
         consists_of(text.substr(kMd5Prefix.size()), kLowerHex);
}

/// A text that begins like a hash and is none, but too much like one to be somebody's password:
/// of the right length, or so many hexadecimal digits that one was lost or doubled.
bool is_damaged_md5(std::string_view text) {
  if (!text.starts_with(kMd5Prefix) || is_md5(text)) return false;
  const std::string_view digits = text.substr(kMd5Prefix.size());
  const bool nearly = digits.size() + 8 >= kMd5Digits && digits.size() <= kMd5Digits + 8;
  return digits.size() == kMd5Digits || (nearly && consists_of(digits, kHex));
}

/// The number of bytes that a base64 text stands for, or nothing if it is not base64.
std::optional<std::size_t> base64_size(std::string_view text) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  if (!consists_of(text.substr(0, text.size() - padding), kLetters)) return std::nullopt;
  return text.size() / 4 * 3 - padding;
}

/// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
bool is_scram(std::string_view text) {
  if (!text.starts_with(kScramPrefix)) return false;
  text.remove_prefix(kScramPrefix.size());
  int iterations = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), iterations);
  if (code != std::errc() || iterations <= 0) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  const std::size_t dollar = text.find('$');
  if (!text.starts_with(':') || dollar == std::string_view::npos) return false;
  const std::string_view salt = text.substr(1, dollar - 1);
  const std::string_view keys = text.substr(dollar + 1);
  const std::size_t colon = keys.find(':');
  if (colon == std::string_view::npos || !base64_size(salt)) return false;
  return base64_size(keys.substr(0, colon)) == kKeyBytes &&
         base64_size(keys.substr(colon + 1)) == kKeyBytes;
}

}  // namespace

SecretForm secret_form(std::string_view text) noexcept {
  if (is_md5(text)) return SecretForm::md5;
  if (is_scram(text)) return SecretForm::scram_sha_256;
  return SecretForm::clear_text;
}

std::optional<std::string> refuse_secret(std::string_view text) {
  if (text.empty()) return "the password is empty, which PostgreSQL never accepts";
  if (text.find('\0') != std::string_view::npos) return "the password contains a NUL character";
  if (text.find_first_of("\r\n") != std::string_view::npos) {
    return "the password contains a line break; several passwords stand in an array";
  }
  if (text.starts_with(kScramPrefix) && !is_scram(text)) {
    return "this SCRAM verifier is damaged; copy all of it from rolpassword in pg_authid "
           "(SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>)";
  }
  if (is_damaged_md5(text)) {
    return "this MD5 hash is damaged; it is \"md5\" and 32 digits 0-9 a-f, as in rolpassword in "
           "pg_authid";
  }
  return std::nullopt;
}

}  // namespace forebay::config
