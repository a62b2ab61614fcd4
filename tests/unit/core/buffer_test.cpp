#include "core/engine/buffer.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <iostream>
#include <random>
#include <set>
#include <vector>

namespace forebay::core {
namespace {

TEST(BufferPool, gives_blocks_of_at_least_the_size_and_takes_them_back) {
  BufferPool pool;
  for (const std::size_t size : {0, 1, 256, 257, 1024, 1025, 4096, 65'536, 65'537, 1'000'000}) {
    BufferPool::Block* block = pool.get(size);
    EXPECT_GE(block->capacity, size);
    EXPECT_EQ(block->begin, 0u);
    EXPECT_EQ(block->end, 0u);
    std::memset(block->bytes(), 'x', block->capacity);
    EXPECT_EQ(pool.in_use(), 1);
    pool.put(block);
    EXPECT_EQ(pool.in_use(), 0);
  }
}

TEST(BufferPool, gives_a_block_again_that_came_back) {
  BufferPool pool;
  BufferPool::Block* first = pool.get(1000);
  pool.put(first);
  BufferPool::Block* second = pool.get(900);
  EXPECT_EQ(second, first);
  pool.put(second);
}

TEST(BufferPool, never_gives_a_block_twice) {
  BufferPool pool;
  std::mt19937_64 random(1);
  std::vector<BufferPool::Block*> out;
  std::set<BufferPool::Block*> known;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0 || out.empty()) {
      BufferPool::Block* block = pool.get(random() % 70'000);
      ASSERT_TRUE(known.insert(block).second);
      std::memset(block->bytes(), 'x', 1);
      out.push_back(block);
    } else {
      const std::size_t which = random() % out.size();
      known.erase(out[which]);
      pool.put(out[which]);
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(which));
    }
    ASSERT_EQ(pool.in_use(), static_cast<std::int64_t>(out.size()));
  }
  for (BufferPool::Block* block : out) pool.put(block);
}

TEST(BufferPool, takes_blocks_of_another_pool) {
  BufferPool one;
  BufferPool two;
  two.put(one.get(5000));
  EXPECT_EQ(one.in_use() + two.in_use(), 0);
}

TEST(Stash, owns_a_block_only_while_it_holds_bytes) {
  BufferPool pool;
  Stash stash;
  stash.append(pool, "");
  EXPECT_EQ(pool.in_use(), 0);
  stash.append(pool, "abc");
  EXPECT_EQ(pool.in_use(), 1);
  stash.consume(pool, 3);
  EXPECT_TRUE(stash.empty());
  EXPECT_EQ(pool.in_use(), 0);
  stash.append(pool, "abc");
  stash.clear(pool);
  stash.clear(pool);
  EXPECT_EQ(pool.in_use(), 0);
}

TEST(Stash, moves_with_its_bytes) {
  BufferPool pool;
  Stash first;
  first.append(pool, "abc");
  Stash second = std::move(first);
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(second.view(), "abc");
  first = std::move(second);
  EXPECT_EQ(first.view(), "abc");
  EXPECT_TRUE(second.empty());
  first.clear(pool);
}

TEST(Stash, is_a_queue_of_bytes) {
  std::cout << "seeds 1 to 300\n";
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    BufferPool pool;
    Stash stash;
    std::string model;
    for (int i = 0; i < 200; ++i) {
      if (random() % 2 == 0) {
        const std::string more(random() % (random() % 5 == 0 ? 9000 : 40),
                               static_cast<char>('a' + random() % 26));
        stash.append(pool, more);
        model += more;
      } else {
        const std::size_t count = model.empty() ? 0 : random() % (model.size() + 1);
        stash.consume(pool, count);
        model.erase(0, count);
      }
      ASSERT_EQ(stash.view(), model) << "seed " << seed;
      ASSERT_EQ(stash.size(), model.size());
      ASSERT_EQ(pool.in_use(), model.empty() ? 0 : 1);
    }
    stash.clear(pool);
  }
}

}  // namespace
}  // namespace forebay::core
