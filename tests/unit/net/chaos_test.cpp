#include <gtest/gtest.h>

#include <random>

#include "support/loop.hpp"
#include "support/tls_peer.hpp"

/// Two streams, and everything that their owners may do, in an order that only the seed knows.
/// Each byte arrives, once and in order; nothing gets stuck; both ends are told.
namespace forebay::net::test {
namespace {

struct Chaos {
  Chaos(Family family, bool tls, unsigned seed_of_this)
      : couple(loops[0], family), seed(seed_of_this), random(seed_of_this) {
    for (const bool first : {true, false}) {
      Side& side = sides[first ? 0 : 1];
      side.owner = first ? &couple.client : &couple.server;
      side.text = numbered_text(100'000 + random() % (one_in(4) ? 8'000'000 : 400'000));
      side.owner->when_received = [this, &side](Bytes) { meanwhile(side); };
      side.owner->when_writable = [this, &side] { meanwhile(side); };
    }
    if (!tls) return;
    couple.server.stream->start_tls_server(plain_server_context(), {});
    couple.client.stream->start_tls_client(plain_client_context(), "db.test", false);
  }

  struct Side {
    Owner* owner = nullptr;
    std::string text;
    std::size_t sent = 0;
    std::size_t where = 0;  ///< which loop
    bool paused = false;
  };

  [[nodiscard]] bool one_in(unsigned chance) { return random() % chance == 0; }

  /// Something that an owner may do at any time.
  void act(Side& side) {
    core::Stream& stream = *side.owner->stream;
    switch (random() % 6) {
      case 0:
        side.paused = true;
        return stream.pause();
      case 1:
        side.paused = false;
        return stream.resume();
      case 2:
        loops[side.where].reactor->detach(stream);
        side.where = 1 - side.where;
        return loops[side.where].reactor->attach(stream, *side.owner);
      default:
        return send_some(side);
    }
  }
  void meanwhile(Side& side) {
    if (one_in(3)) act(side);
  }
  void send_some(Side& side) {
    const Bytes rest = Bytes(side.text).substr(side.sent);
    const Bytes some = rest.substr(0, one_in(4) ? random() % 1'000'000 : random() % 2'000);
    const std::size_t cut = some.empty() ? 0 : random() % some.size();
    const Bytes pieces[] = {some.substr(0, cut), some.substr(cut)};
    side.sent += side.owner->stream->send(pieces);
  }

  void turn() {
    for (Loop& loop : loops) loop.reactor->turn(loop.driven, Duration::zero());
  }

  /// To the end, with everybody willing.
  [[nodiscard]] bool finish() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (Side& side : sides) {
      side.owner->when_received = nullptr;
      side.owner->when_writable = [this, &side] { rest(side); };
      side.owner->stream->resume();
      rest(side);
    }
    while (couple.client.ended + couple.server.ended < 2) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      if (couple.client.losses + couple.server.losses > 0) return false;
      turn();
    }
    return true;
  }
  void rest(Side& side) {
    if (side.sent > side.text.size()) return;
    const Bytes rest = Bytes(side.text).substr(side.sent);
    side.sent += side.owner->send(rest);
    if (side.sent < side.text.size()) return;
    side.owner->stream->shut_down_sending();
    side.sent = side.text.size() + 1;  // once
  }

  std::array<Loop, 2> loops;
  Couple couple;
  unsigned seed;
  std::mt19937 random;
  std::array<Side, 2> sides;
};

class ChaosTest : public testing::TestWithParam<std::tuple<Family, bool>> {};
INSTANTIATE_TEST_SUITE_P(All, ChaosTest,
                         testing::Combine(testing::Values(Family::v4, Family::unix_file),
                                          testing::Bool()),
                         [](const auto& one) {
                           return name_of(std::get<0>(one.param)) +
                                  (std::get<1>(one.param) ? "Tls" : "Plain");
                         });

TEST_P(ChaosTest, LosesNothingAndGetsNowhereStuck) {
  const auto [family, tls] = GetParam();
  std::random_device fresh;
  std::uint64_t short_sends = 0;
  for (unsigned i = 0; i < 40; ++i) {
    // Mostly known seeds; a few new ones in each run.
    const unsigned seed = i < 30 ? i : fresh();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos chaos(family, tls, seed);
    for (int step = 0; step < 400; ++step) {
      chaos.act(chaos.sides[chaos.random() % 2]);
      if (chaos.one_in(2)) chaos.turn();
    }
    ASSERT_TRUE(chaos.finish()) << chaos.couple.client.lost << chaos.couple.server.lost;
    ASSERT_TRUE(chaos.couple.server.received == chaos.sides[0].text);
    ASSERT_TRUE(chaos.couple.client.received == chaos.sides[1].text);
    for (const Loop& loop : chaos.loops) {
      short_sends += loop.reactor->counters().send_short.value();
      EXPECT_EQ(loop.reactor->counters().recv_eagain.value(), 0U);
    }
  }
  EXPECT_GT(short_sends, 0U);
}

}  // namespace
}  // namespace forebay::net::test
