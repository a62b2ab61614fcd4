#include <gtest/gtest.h>

#include "net/peer_watch.hpp"
#include "net/socket_stream.hpp"
#include "support/loop.hpp"
#include "support/raw_peer.hpp"

/// Peers that acknowledge nothing are lost; peers that only do not read are not.
namespace forebay::net::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr ReactorOptions kQuick{.peer_watch_period = milliseconds(40)};

TEST(PeerWatch, Judges) {
  tcp_info facts{};
  facts.tcpi_last_ack_recv = 1'000'000;
  EXPECT_EQ(PeerWatch::judge(facts, milliseconds(5000)), PeerWatch::Verdict::settled);
  facts.tcpi_unacked = 1;
  EXPECT_EQ(PeerWatch::judge(facts, milliseconds(5000)), PeerWatch::Verdict::silent);
  facts.tcpi_last_ack_recv = 4'999;
  EXPECT_EQ(PeerWatch::judge(facts, milliseconds(5000)), PeerWatch::Verdict::alive);
  facts.tcpi_unacked = 0;
  facts.tcpi_probes = 1;
  facts.tcpi_last_ack_recv = 5'000;
  EXPECT_EQ(PeerWatch::judge(facts, milliseconds(5000)), PeerWatch::Verdict::silent);
}

TEST(PeerWatch, AVanishedPeerIsLost) {
  Loop loop(kQuick);
  Served served(loop, Family::v4);
  served.peer->go_deaf();
  const auto begun = steady_clock::now();
  served.server.send("hello?");
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
  EXPECT_GE(steady_clock::now() - begun, milliseconds(4 * 40));
  EXPECT_EQ(served.server.lost,
            "connection timed out: the peer has acknowledged nothing for 160 ms");
}

TEST(PeerWatch, AVanishedPeerIsLostWhilePaused) {
  Loop loop(kQuick);
  Served served(loop, Family::v4);
  served.peer->go_deaf();
  served.server.send("hello?");
  served.server.stream->pause();
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
}

TEST(PeerWatch, APeerThatDoesNotReadIsNotLost) {
  Loop loop(kQuick);
  Served served(loop, Family::v4);
  const std::string text(30'000'000, 'x');
  Pump pump(served.server, text);
  const auto deadline = steady_clock::now() + milliseconds(20 * 40);
  ASSERT_TRUE(loop.until([&] { return steady_clock::now() > deadline; }));
  EXPECT_EQ(served.server.losses, 0) << served.server.lost;
  std::size_t arrived = 0;
  ASSERT_TRUE(loop.until([&] {
    arrived += served.peer->receive_some().size();
    return arrived == text.size();
  }));
}

TEST(PeerWatch, IdleConnectionsDoNotWakeTheLoop) {
  Loop loop(kQuick);
  Served served(loop, Family::v4);
  served.server.send("hello");
  loop.settle();
  const auto deadline = steady_clock::now() + milliseconds(3 * 40);
  ASSERT_TRUE(loop.until([&] { return steady_clock::now() > deadline; }));
  const auto begun = steady_clock::now();
  loop.reactor->turn(loop.driven, milliseconds(5 * 40));
  EXPECT_GE(steady_clock::now() - begun, milliseconds(4 * 40));
}

}  // namespace
}  // namespace forebay::net::test
