#include <gtest/gtest.h>

#include <array>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "forebay/protocol/postgres/framer.hpp"
#include "unit/protocol/framer_reference.hpp"
#include "unit/protocol/views.hpp"

namespace forebay::pg {
namespace {

using test::Cut;
using test::FramerCheck;
using test::u32;

constexpr std::uint64_t kFirstSeed = 7000;
constexpr std::uint64_t kSeeds = 4000;

/// A stream, what is in it by the way it was made, and in which pieces it arrives.
class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random_(seed) {
    sender = seed % 2 == 0 ? Sender::client : Sender::server;
    constexpr std::array<std::size_t, 8> kLimits = {0, 5, 64, 1023, 1024, 1500, 4096, 1 << 20};
    whole_max = kLimits[below(kLimits.size())];
    for (std::size_t left = below(30); left > 0; --left) add_message();
    if (below(3) == 0) add_malformed();
    cut_into_pieces();
  }

  Sender sender;
  std::size_t whole_max;
  std::string stream;
  std::vector<Cut> messages;
  bool malformed = false;
  std::vector<std::size_t> received;  ///< how many bytes are there, piece after piece

 private:
  std::size_t below(std::size_t end) { return random_() % end; }

  char any_type(bool known) {
    for (;;) {
      const char type = static_cast<char>(below(256));
      if ((message_kind(sender, type).look != Look::unknown) == known) return type;
    }
  }

  std::string any_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

  /// Mostly small; some about as large as a head, as the limit, and much larger.
  std::size_t any_body_size() {
    switch (below(12)) {
      case 0:
        return kHeadMin - 8 + below(16);
      case 1:
        return whole_max < 5000 ? whole_max + below(8) : below(100);
      case 2:
        return below(5000);
      case 3:
      case 4:
        return 0;
      default:
        return below(40);
    }
  }

  void add_message() {
    const char type = any_type(true);
    const MessageKind& kind = message_kind(sender, type);
    const std::size_t size = std::clamp<std::size_t>(any_body_size(), kind.body_min, kind.body_max);
    messages.push_back({stream.size(), size + kHeaderSize, kind.look == Look::pass});
    stream += type + u32(static_cast<std::uint32_t>(size + 4)) + any_bytes(size);
  }

  void add_malformed() {
    malformed = true;
    if (below(2) == 0) {
      stream += any_type(false) + any_bytes(4 + below(50));
      return;
    }
    const char type = any_type(true);
    const MessageKind& kind = message_kind(sender, type);
    const std::array<std::uint32_t, 6> lengths = {
        0, 3, kind.body_min + 3, kind.body_max + 5, 0x80000000U, 0xffffffffU};
    stream += type + u32(lengths[below(lengths.size())]) + any_bytes(below(50));
  }

  void cut_into_pieces() {
    const std::array<std::size_t, 5> kPieces = {1, 6, 100, 3000, stream.size() + 1};
    const std::size_t choice = stream.size() > 6000 ? 2 + below(3) : below(kPieces.size());
    for (std::size_t at = 0; at < stream.size();) {
      at = std::min(stream.size(), at + (choice == 4 ? stream.size() : 1 + below(kPieces[choice])));
      received.push_back(at);
    }
  }

  std::mt19937_64 random_;
};

TEST(FramerProperty, agrees_with_a_plain_reference_however_the_stream_is_cut) {
  std::cout << "seeds " << kFirstSeed << " to " << kFirstSeed + kSeeds - 1 << '\n';
  std::size_t malformed = 0;
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kSeeds; ++seed) {
    const Schedule schedule(seed);
    FramerCheck check(schedule.sender, schedule.stream, schedule.whole_max);
    for (const std::size_t received : schedule.received) check.receive(received);
    ASSERT_EQ(check.complaint(), "") << "seed " << seed;

    // What came out is what went in: all of it, or all before the malformed message.
    const std::size_t good = schedule.messages.empty()
                                 ? 0
                                 : schedule.messages.back().begin + schedule.messages.back().size;
    ASSERT_EQ(check.taken(), good) << "seed " << seed;
    ASSERT_EQ(check.cuts().malformed_at, schedule.malformed ? good : std::string::npos);
    malformed += schedule.malformed ? 1 : 0;

    // And the reference found the messages that were put in.
    ASSERT_EQ(check.cuts().messages.size(), schedule.messages.size()) << "seed " << seed;
    for (std::size_t i = 0; i < schedule.messages.size(); ++i) {
      ASSERT_EQ(check.cuts().messages[i].begin, schedule.messages[i].begin) << "seed " << seed;
      ASSERT_EQ(check.cuts().messages[i].size, schedule.messages[i].size) << "seed " << seed;
      ASSERT_EQ(check.cuts().messages[i].passes, schedule.messages[i].passes) << "seed " << seed;
    }
  }
  EXPECT_GT(malformed, kSeeds / 5);
}

TEST(FramerProperty, never_waits_for_bytes_that_will_not_come) {
  // Whoever gives the framer no more than it asks for still gets through every good stream.
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + 500; ++seed) {
    const Schedule schedule(seed);
    Framer framer(schedule.sender);
    std::size_t taken = 0;
    std::size_t received = 0;
    for (;;) {
      const test::Exact input(Bytes(schedule.stream).substr(taken, received - taken));
      const Framer::Item item = framer.next(input, schedule.whole_max);
      taken += item.bytes.size();
      if (item.kind == Framer::Kind::malformed) break;
      if (item.kind != Framer::Kind::need) continue;
      if (taken == schedule.stream.size()) break;
      ASSERT_GT(item.need, Bytes(input).size()) << "seed " << seed;
      ASSERT_LE(taken + item.need, schedule.stream.size()) << "seed " << seed;
      received = taken + item.need;
    }
  }
}

}  // namespace
}  // namespace forebay::pg
