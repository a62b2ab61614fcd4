#include "auth/scram_message.hpp"

#include <algorithm>
#include <charconv>

#include "auth/crypto.hpp"

namespace forebay::auth {
namespace {

bool is_alpha(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Attributes that RFC 5802, section 5.1, gives a meaning.
bool is_assigned(char name) noexcept {
  return Bytes("anmrcsipve").find(name) != Bytes::npos;
}

std::string quoted(char c) noexcept {
  if (c > 0x20 && c < 0x7f) return std::string("\"") + c + "\"";
  return "an unprintable byte";
}

}  // namespace

std::optional<Bytes> Attributes::fail(std::string complaint) noexcept {
  if (complaint_.empty()) complaint_ = std::move(complaint);
  return std::nullopt;
}

std::optional<Bytes> Attributes::value_of(char name) noexcept {
  if (!complaint_.empty()) return std::nullopt;
  if (at_ == message_.size() || (at_ > 0 && !comma_)) {
    return fail("Expected attribute " + quoted(name) + " but found the end of the message.");
  }
  if (peek() != name) {
    mandatory_ = peek() == 'm';
    return fail("Expected attribute " + quoted(name) + " but found " + quoted(peek()) + ".");
  }
  if (at_ + 1 == message_.size() || message_[at_ + 1] != '=') {
    return fail("Expected character \"=\" for attribute " + quoted(name) + ".");
  }
  const std::size_t begin = at_ + 2;
  const std::size_t end = std::min(message_.find(',', begin), message_.size());
  comma_ = end < message_.size();
  at_ = comma_ ? end + 1 : end;
  return message_.substr(begin, end - begin);
}

bool Attributes::skip_extensions() noexcept {
  while (complaint_.empty() && comma_) {
    const char name = peek();
    mandatory_ = name == 'm';
    if (!is_alpha(name) || mandatory_) {
      fail("Attribute expected, but found " + quoted(name) + ".");
    } else if (is_assigned(name)) {
      return true;
    } else {
      value_of(name);
    }
  }
  return complaint_.empty();
}

std::optional<std::string> check_scram_message(Bytes message) noexcept {
  if (message.empty()) return "The message is empty.";
  if (message.size() > kScramMessageMax) {
    return "The message is longer than " + std::to_string(kScramMessageMax) + " bytes.";
  }
  if (message.find('\0') != Bytes::npos) return "The message has a NUL byte.";
  return std::nullopt;
}

bool is_printable(Bytes text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

std::string sanitized(Bytes text) noexcept {
  constexpr std::size_t kShownMax = 64;
  std::string shown(text.substr(0, kShownMax));
  std::ranges::replace_if(
      shown, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return shown;
}

std::optional<std::uint32_t> parse_iterations(Bytes text) noexcept {
  std::uint32_t value = 0;
  if (text.empty() || text.front() < '1' || text.front() > '9') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value > kScramStoredIterationsMax) return std::nullopt;
  return value;
}

Key scram_signature(const Key& key, Bytes client_first_bare, Bytes server_first,
                    Bytes client_final_without_proof) noexcept {
  return crypto::hmac_sha256(
      key.bytes(), {client_first_bare, ",", server_first, ",", client_final_without_proof});
}

}  // namespace forebay::auth
