#include "core/engine/buffer.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "forebay/base/assert.hpp"

namespace forebay::core {
namespace {

constexpr std::size_t kSmallest = 256;

// Class 0 holds blocks of 256 bytes, each further class four times as much.
constexpr std::size_t class_of(std::size_t size) {
  if (size <= kSmallest) return 0;
  return (static_cast<std::size_t>(std::bit_width((size - 1) / kSmallest)) + 1) / 2;
}

constexpr std::size_t class_size(std::size_t index) {
  return kSmallest << (2 * index);
}

static_assert(class_of(256) == 0 && class_of(257) == 1 && class_of(1024) == 1);
static_assert(class_of(1025) == 2 && class_of(65536) == 4 && class_of(65537) == 5);

}  // namespace

BufferPool::~BufferPool() {
  for (FreeList& list : free_) {
    while (list.first != nullptr) {
      Block* next = list.first->next;
      std::free(list.first);
      list.first = next;
    }
  }
}

BufferPool::Block* BufferPool::get(std::size_t size) {
  ++in_use_;
  const std::size_t index = class_of(size);
  Block* block = nullptr;
  if (index < kClasses && free_[index].first != nullptr) {
    block = free_[index].first;
    free_[index].first = block->next;
    --free_[index].count;
  } else {
    // Beyond the largest class a block is as large as asked for and goes back to the system.
    const std::size_t capacity = index < kClasses ? class_size(index) : size;
    block = static_cast<Block*>(std::malloc(sizeof(Block) + capacity));
    if (block == nullptr) throw std::bad_alloc();
    block->capacity = static_cast<std::uint32_t>(capacity);
  }
  block->next = nullptr;
  block->begin = 0;
  block->end = 0;
  return block;
}

void BufferPool::put(Block* block) noexcept {
  --in_use_;
  const std::size_t index = class_of(block->capacity);
  if (index < kClasses && class_size(index) == block->capacity &&
      free_[index].count < (kKept >> index)) {
    block->next = free_[index].first;
    free_[index].first = block;
    ++free_[index].count;
  } else {
    std::free(block);
  }
}

Stash::~Stash() {
  FB_ASSERT(block_ == nullptr);
}

void Stash::append(BufferPool& pool, Bytes bytes) {
  if (bytes.empty()) return;
  const std::size_t held = size();
  const std::size_t wanted = held + bytes.size();
  if (block_ == nullptr) {
    block_ = pool.get(wanted);
  } else if (block_->capacity - block_->end < bytes.size()) {
    if (block_->capacity >= wanted) {
      std::memmove(block_->bytes(), block_->bytes() + block_->begin, held);
    } else {
      BufferPool::Block* larger = pool.get(std::max<std::size_t>(wanted, 2 * held));
      std::memcpy(larger->bytes(), block_->bytes() + block_->begin, held);
      pool.put(std::exchange(block_, larger));
    }
    block_->begin = 0;
    block_->end = static_cast<std::uint32_t>(held);
  }
  std::memcpy(block_->bytes() + block_->end, bytes.data(), bytes.size());
  block_->end += static_cast<std::uint32_t>(bytes.size());
}

void Stash::consume(BufferPool& pool, std::size_t count) {
  FB_ASSERT(count <= size());
  if (count == size()) {
    clear(pool);
  } else {
    block_->begin += static_cast<std::uint32_t>(count);
  }
}

void Stash::clear(BufferPool& pool) {
  if (block_ != nullptr) pool.put(std::exchange(block_, nullptr));
}

}  // namespace forebay::core
