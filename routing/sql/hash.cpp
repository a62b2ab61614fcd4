#include <cstring>

#include "forebay/routing/sql/shape.hpp"

namespace forebay::sql {
namespace {

__extension__ using Wide = unsigned __int128;

std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(const char* from) noexcept {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Odd, with as many ones as zeros: only so that lanes and rounds differ, the secret is the seed.
constexpr std::uint64_t kOne = 0x9e3779b97f4a7c15;
constexpr std::uint64_t kTwo = 0xd1b54a32d192ed03;
constexpr std::uint64_t kThree = 0xaef17502108ef2d9;

}  // namespace

/// Two lanes of multiply-and-fold (as in wyhash), each with secrets of its own made from the seed:
/// 16 bytes a round in both. The size goes into the start, so zeros at the end count.
Hash128 hash_of(Bytes bytes, HashSeed seed) noexcept {
  const std::uint64_t a0 = seed.first ^ kOne;
  const std::uint64_t a1 = seed.second ^ kTwo;
  const std::uint64_t b0 = fold(seed.first ^ kThree, seed.second | 1);
  const std::uint64_t b1 = fold(seed.second ^ kThree, seed.first | 1);
  std::uint64_t a = fold(a0 ^ bytes.size(), a1);
  std::uint64_t b = fold(b0 ^ bytes.size(), b1);
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 16; at += 16, left -= 16) {
    const std::uint64_t first = load(at);
    const std::uint64_t second = load(at + 8);
    a = fold(first ^ a0 ^ a, second ^ a1);
    b = fold(first ^ b0, second ^ b1 ^ b) + second;
  }
  if (left > 0) {
    char last[16] = {};
    std::memcpy(last, at, left);
    const std::uint64_t first = load(last);
    const std::uint64_t second = load(last + 8);
    a = fold(first ^ a0 ^ a, second ^ a1);
    b = fold(first ^ b0, second ^ b1 ^ b) + second;
  }
  return {fold(a ^ b1, b ^ a1), fold(b ^ a0, a + b0)};
}

}  // namespace forebay::sql
