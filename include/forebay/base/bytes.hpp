#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace forebay {

/// A view of bytes. Text and wire data alike: the protocol is bytes whose meaning the message
/// gives. Valid as long as what it views; every function that returns one says how long that is.
using Bytes = std::string_view;

/// Integers as the wire has them: network byte order, no alignment. The caller has checked that
/// the bytes are there.
inline std::uint16_t load_u16(const char* from) noexcept {
  std::uint16_t value;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap16(value);
}

inline std::uint32_t load_u32(const char* from) noexcept {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap32(value);
}

inline void store_u16(char* to, std::uint16_t value) noexcept {
  value = __builtin_bswap16(value);
  std::memcpy(to, &value, sizeof value);
}

inline void store_u32(char* to, std::uint32_t value) noexcept {
  value = __builtin_bswap32(value);
  std::memcpy(to, &value, sizeof value);
}

/// ASCII letters in lower case, everything else as it is: how PostgreSQL folds names and keywords,
/// but for what a single-byte encoding of the server has beyond ASCII.
constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
inline std::string lower(Bytes text) {
  std::string small(text);
  for (char& c : small) c = lower(c);
  return small;
}

/// Compares secrets in a time that depends on their length only.
inline bool equal_in_constant_time(Bytes a, Bytes b) noexcept {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace forebay
