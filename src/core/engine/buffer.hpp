#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// Memory blocks in a few sizes, kept on free lists: nothing is allocated in the steady state.
/// One for each worker; not thread-safe. Blocks may be freed to another worker's pool.
class BufferPool {
 public:
  struct Block {
    Block* next;
    std::uint32_t capacity;  ///< bytes after this header
    std::uint32_t begin;
    std::uint32_t end;
    [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
  };

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  /// An empty block of at least `size` bytes.
  Block* get(std::size_t size);
  void put(Block* block) noexcept;

  /// Blocks handed out and not yet back (of this pool's get and put calls).
  [[nodiscard]] std::int64_t in_use() const noexcept { return in_use_; }

 private:
  static constexpr std::size_t kClasses = 5;  ///< 256 B, 1, 4, 16, 64 KiB
  static constexpr std::size_t kKept = 512;   ///< free blocks kept of the smallest class

  struct FreeList {
    Block* first = nullptr;
    std::size_t count = 0;
  };
  std::array<FreeList, kClasses> free_;
  std::int64_t in_use_ = 0;
};

/// Bytes that had to be kept: received and not yet understood, or sent and not yet taken. Owns a
/// block only while it holds bytes. Whoever destroys one with bytes in it gives the block back
/// first (`clear`), because only the worker knows its pool.
class Stash {
 public:
  Stash() = default;
  Stash(Stash&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Stash& operator=(Stash&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Stash();

  [[nodiscard]] bool empty() const noexcept { return block_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept {
    return block_ == nullptr ? 0 : block_->end - block_->begin;
  }
  /// Valid until the stash is changed.
  [[nodiscard]] Bytes view() const noexcept {
    return block_ == nullptr ? Bytes{} : Bytes{block_->bytes() + block_->begin, size()};
  }

  void append(BufferPool& pool, Bytes bytes);
  /// Takes bytes off the front.
  void consume(BufferPool& pool, std::size_t count);
  void clear(BufferPool& pool);

 private:
  BufferPool::Block* block_ = nullptr;
};

}  // namespace forebay::core
