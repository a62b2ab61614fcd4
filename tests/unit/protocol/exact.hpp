#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "forebay/base/bytes.hpp"

namespace forebay::test {

/// A copy of some bytes in a heap block of exactly their size, so that AddressSanitizer sees every
/// read past the end. A `std::string` would hide one: it has a NUL behind its bytes, and room.
class Exact {
 public:
  explicit Exact(Bytes from) : size_(from.size()), block_(new char[from.size()]) {
    std::copy(from.begin(), from.end(), block_.get());
  }

  // NOLINTNEXTLINE(google-explicit-constructor): stands wherever bytes are wanted.
  operator Bytes() const noexcept { return {block_.get(), size_}; }
  [[nodiscard]] const char* data() const noexcept { return block_.get(); }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> block_;
};

}  // namespace forebay::test
