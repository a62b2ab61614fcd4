#pragma once

#include <cstdint>

#include "forebay/base/bytes.hpp"

namespace forebay::pg {

/// Reads the fields of a message body one after another. Reading past the end, or a text without
/// its NUL, makes the reader fail for good: check `ok()` (or `done()`) once, at the end.
class Reader {
 public:
  explicit Reader(Bytes body) noexcept : rest_(body) {}

  std::uint8_t u8() noexcept {
    if (!has(1)) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::uint16_t u16() noexcept {
    if (!has(2)) return 0;
    const std::uint16_t value = load_u16(rest_.data());
    rest_.remove_prefix(2);
    return value;
  }
  std::uint32_t u32() noexcept {
    if (!has(4)) return 0;
    const std::uint32_t value = load_u32(rest_.data());
    rest_.remove_prefix(4);
    return value;
  }
  std::int32_t i32() noexcept { return static_cast<std::int32_t>(u32()); }

  /// A text that ends with NUL; the view leaves the NUL out.
  Bytes text() noexcept {
    const std::size_t end = ok_ ? rest_.find('\0') : Bytes::npos;
    if (end == Bytes::npos) return fail();
    const Bytes value(rest_.data(), end);
    rest_.remove_prefix(end + 1);
    return value;
  }
  Bytes bytes(std::size_t count) noexcept {
    if (!has(count)) return {};
    const Bytes value(rest_.data(), count);
    rest_.remove_prefix(count);
    return value;
  }
  /// All that is left.
  Bytes rest() noexcept { return bytes(rest_.size()); }

  [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  /// Nothing failed and nothing is left over.
  [[nodiscard]] bool done() const noexcept { return ok_ && rest_.empty(); }

 private:
  bool has(std::size_t count) noexcept {
    if (ok_ && rest_.size() >= count) return true;
    fail();
    return false;
  }
  Bytes fail() noexcept {
    ok_ = false;
    rest_ = {};
    return {};
  }

  Bytes rest_;
  bool ok_ = true;
};

}  // namespace forebay::pg
