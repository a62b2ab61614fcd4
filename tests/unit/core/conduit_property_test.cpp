#include <gtest/gtest.h>

#include <iostream>
#include <memory>
#include <random>
#include <vector>

#include "core/engine/conduit.hpp"
#include "unit/core/relay_bench.hpp"

namespace forebay::core {
namespace {

constexpr std::uint64_t kFirstSeed = 1;
constexpr std::uint64_t kSeeds = 3000;

/// Takes as many bytes as it is told to, or nothing until there is room again.
class NarrowStream : public SinkStream {
 public:
  std::size_t send(std::span<const Bytes> pieces) override {
    ++sends;
    std::size_t taken = 0;
    for (const Bytes piece : pieces) {
      EXPECT_FALSE(piece.empty());
      const Bytes part = piece.substr(0, room);
      bytes += part;
      taken += part.size();
      room -= part.size();
    }
    return taken;
  }
  std::size_t room = SIZE_MAX;
  std::size_t sends = 0;
};

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random_(seed) {}

  void run() {
    for (std::size_t turns = 1 + below(12); turns > 0; --turns) {
      receive_ = std::make_unique<std::string>();
      turn();
      // The receive buffer is used for something else by now.
      std::fill(receive_->begin(), receive_->end(), '#');
      while (below(3) == 0) resend();
    }
    to_.room = SIZE_MAX;
    EXPECT_TRUE(Conduit::resend(to_, unsent_, pool_));
    EXPECT_EQ(to_.bytes, expected_);
    EXPECT_EQ(pool_.in_use(), 0);
  }

 private:
  std::size_t below(std::size_t end) { return random_() % end; }

  std::size_t any_size() {
    constexpr std::size_t kSizes[] = {0, 1, 5, 100, 4095, 4096, 4097, 9000};
    return below(4) == 0 ? kSizes[below(std::size(kSizes))] : below(60);
  }

  std::string any_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>('a' + below(26));
    return bytes;
  }

  void turn() {
    *receive_ = any_bytes(20'000);
    std::size_t at = 0;
    std::size_t size = 0;
    for (std::size_t steps = below(20); steps > 0; --steps) {
      if (below(2) == 0) {
        const std::size_t run = std::min(any_size(), receive_->size() - at);
        conduit_.pass(Bytes(*receive_).substr(at, run));
        expected_ += receive_->substr(at, run);
        size += run;
        at += run;
        // What is left out is a message that goes no further.
        if (below(4) == 0) at = std::min(at + below(50), receive_->size());
      } else {
        const std::string own = any_bytes(any_size());
        conduit_.insert().append(own);
        expected_ += own;
        size += own.size();
      }
      ASSERT_EQ(conduit_.size(), size);
      ASSERT_EQ(conduit_.empty(), size == 0);
    }
    to_.room = below(3) == 0 ? below(3000) : SIZE_MAX;
    const bool held = !unsent_.empty();
    const std::size_t before = to_.bytes.size();
    const bool all = conduit_.flush(to_, unsent_, pool_);
    EXPECT_EQ(all, unsent_.empty());
    if (held) {
      EXPECT_EQ(to_.bytes.size(), before) << "overtook what was not sent yet";
    }
    EXPECT_TRUE(conduit_.empty());
    EXPECT_EQ(to_.bytes.size() + unsent_.size(), expected_.size());
  }

  void resend() {
    to_.room = below(2000);
    const bool all = Conduit::resend(to_, unsent_, pool_);
    EXPECT_EQ(all, unsent_.empty());
  }

  std::mt19937_64 random_;
  Conduit conduit_;
  NarrowStream to_;
  Stash unsent_;
  BufferPool pool_;
  std::unique_ptr<std::string> receive_;
  std::string expected_;
};

TEST(ConduitProperty, sends_what_was_passed_and_inserted_in_order_whatever_the_peer_takes) {
  std::cout << "seeds " << kFirstSeed << " to " << kFirstSeed + kSeeds - 1 << '\n';
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kSeeds; ++seed) {
    Schedule(seed).run();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

TEST(Conduit, sends_a_turn_in_one_call) {
  Conduit conduit;
  NarrowStream to;
  Stash unsent;
  BufferPool pool;
  const std::string received(10'000, 'r');
  conduit.insert().append("begin");
  conduit.pass(received);
  conduit.insert().append("end");
  EXPECT_TRUE(conduit.flush(to, unsent, pool));
  EXPECT_EQ(to.sends, 1u);
  EXPECT_EQ(to.bytes, "begin" + received + "end");
  conduit.flush(to, unsent, pool);
  EXPECT_EQ(to.sends, 1u);
}

TEST(Conduit, runs_side_by_side_are_one_piece) {
  struct Counting final : SinkStream {
    std::size_t send(std::span<const Bytes> pieces) override {
      count = pieces.size();
      return SinkStream::send(pieces);
    }
    std::size_t count = 0;
  } to;
  Conduit conduit;
  Stash unsent;
  BufferPool pool;
  const std::string received(300, 'r');
  for (std::size_t i = 0; i < 3; ++i) conduit.pass(Bytes(received).substr(100 * i, 100));
  conduit.flush(to, unsent, pool);
  EXPECT_EQ(to.count, 1u);
  // Small ones are put together with what is inserted, whatever lies between.
  conduit.pass(Bytes(received).substr(0, 50));
  conduit.insert().append("x");
  conduit.pass(Bytes(received).substr(60, 50));
  conduit.flush(to, unsent, pool);
  EXPECT_EQ(to.count, 1u);
}

TEST(Conduit, clear_forgets_everything) {
  Conduit conduit;
  SinkStream to;
  Stash unsent;
  BufferPool pool;
  conduit.insert().append(300'000, 'x');
  conduit.pass("run");
  conduit.clear();
  EXPECT_TRUE(conduit.empty());
  EXPECT_TRUE(conduit.flush(to, unsent, pool));
  EXPECT_EQ(to.bytes, "");
}

}  // namespace
}  // namespace forebay::core
