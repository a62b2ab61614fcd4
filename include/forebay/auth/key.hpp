#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "forebay/base/bytes.hpp"

/// Who somebody is and how it is shown: SCRAM-SHA-256, MD5 and clear text, towards clients and
/// towards servers. Bytes in, bytes out: no socket, no clock, no log; random bytes are arguments.
/// Nothing here throws; memory that runs out ends the program.
namespace forebay::auth {

/// Overwrites memory in a way that no compiler leaves out.
void wipe(void* memory, std::size_t size) noexcept;
/// Overwrites a text, its unused capacity too, and empties it.
void wipe(std::string& text) noexcept;

/// The 32 bytes that SHA-256 and HMAC-SHA-256 make: ClientKey, StoredKey, ServerKey, a proof, a
/// signature (RFC 5802, section 3). Compared in constant time; wiped when it goes.
class Key {
 public:
  static constexpr std::size_t kSize = 32;

  Key() noexcept = default;
  Key(const Key&) noexcept = default;
  Key& operator=(const Key&) noexcept = default;
  ~Key() { wipe(bytes_.data(), kSize); }

  /// Nothing unless there are exactly kSize bytes.
  static std::optional<Key> from(Bytes bytes) noexcept {
    if (bytes.size() != kSize) return std::nullopt;
    Key key;
    bytes.copy(key.bytes_.data(), kSize);
    return key;
  }

  /// Lives as long as the key.
  [[nodiscard]] Bytes bytes() const noexcept { return {bytes_.data(), kSize}; }
  [[nodiscard]] char* data() noexcept { return bytes_.data(); }

  /// ClientProof is ClientKey XOR ClientSignature, and the other way round.
  friend Key operator^(const Key& a, const Key& b) noexcept {
    Key key;
    for (std::size_t i = 0; i < kSize; ++i) {
      key.bytes_[i] = static_cast<char>(a.bytes_[i] ^ b.bytes_[i]);
    }
    return key;
  }
  bool operator==(const Key& other) const noexcept {
    return equal_in_constant_time(bytes(), other.bytes());
  }

 private:
  std::array<char, kSize> bytes_{};
};

}  // namespace forebay::auth
