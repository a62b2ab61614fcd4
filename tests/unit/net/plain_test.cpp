#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"

namespace forebay::net::test {
namespace {

class PlainStream : public testing::TestWithParam<Family> {};

INSTANTIATE_TEST_SUITE_P(Families, PlainStream,
                         testing::Values(Family::v4, Family::v6, Family::unix_file),
                         [](const auto& family) { return name_of(family.param); });

TEST_P(PlainStream, CarriesBytesBothWays) {
  Loop loop;
  Couple couple(loop, GetParam());
  EXPECT_EQ(couple.client.send("question"), 8U);
  ASSERT_TRUE(loop.until([&] { return couple.server.received == "question"; }));
  const Bytes pieces[] = {"an", "", "swer"};
  EXPECT_EQ(couple.server.stream->send(pieces), 6U);
  ASSERT_TRUE(loop.until([&] { return couple.client.received == "answer"; }));
  EXPECT_EQ(couple.client.writable + couple.server.writable, 0);
  EXPECT_EQ(couple.client.stream->tls(), nullptr);
}

TEST_P(PlainStream, KnowsItsPeer) {
  Loop loop;
  Couple couple(loop, GetParam());
  const core::PeerFacts peer = couple.server.stream->peer();
  EXPECT_TRUE(peer.loopback);
  switch (GetParam()) {
    case Family::v4:
      EXPECT_EQ(peer.address, "127.0.0.1");
      break;
    case Family::v6:
      EXPECT_EQ(peer.address, "::1");
      break;
    case Family::unix_file:
      EXPECT_EQ(peer.address, "unix");
      EXPECT_EQ(peer.uid, ::getuid());
      EXPECT_EQ(peer.port, 0);
      break;
  }
  const bool is_unix = GetParam() == Family::unix_file;
  EXPECT_EQ(peer.unix_socket, is_unix);
  if (!is_unix) {
    EXPECT_GT(peer.port, 0);
    EXPECT_EQ(couple.client.stream->peer().port, couple.listener->endpoint().port);
    EXPECT_FALSE(peer.uid);
  }
}

TEST_P(PlainStream, SendsMoreThanTheSocketBuffersHold) {
  Loop loop;
  Served served(loop, GetParam());
  const std::string text = numbered_text(20'000'000);
  Pump pump(served.server, text);
  EXPECT_FALSE(pump.done());
  const std::size_t held = text.size() - pump.left();
  std::string arrived;
  ASSERT_TRUE(loop.until([&] {
    arrived += served.peer->receive_some();
    return arrived.size() == text.size();
  }));
  EXPECT_TRUE(arrived == text);
  EXPECT_TRUE(pump.done());
  EXPECT_GT(served.server.writable, 0);
  EXPECT_LT(held, text.size() / 2) << "what the peer does not read stays with the owner";
}

TEST_P(PlainStream, SendsManyPieces) {
  Loop loop;
  Served served(loop, GetParam());
  const std::string text = numbered_text(100'000);
  std::vector<Bytes> pieces;
  for (std::size_t i = 0; i < text.size(); i += 500) pieces.push_back(Bytes(text).substr(i, 500));
  std::size_t taken = served.server.stream->send(pieces);
  std::string arrived;
  served.server.when_writable = [&] { taken += served.server.send(Bytes(text).substr(taken)); };
  ASSERT_TRUE(loop.until([&] {
    arrived += served.peer->receive_some();
    return arrived.size() == text.size();
  }));
  EXPECT_TRUE(arrived == text);
}

TEST_P(PlainStream, TakesNothingWhileBlocked) {
  Loop loop;
  Served served(loop, GetParam());
  const std::string text(20'000'000, 'x');
  ASSERT_LT(served.server.send(text), text.size());
  const auto sends = loop.reactor->counters().send.value();
  EXPECT_EQ(served.server.send("more"), 0U);
  EXPECT_EQ(loop.reactor->counters().send.value(), sends) << "without asking the system";
}

TEST_P(PlainStream, PausesAndResumes) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.stream->pause();
  served.peer->send("one");
  loop.settle();
  EXPECT_EQ(served.server.received, "");
  served.peer->send("two");
  served.peer->shut_down_sending();
  loop.settle();
  EXPECT_EQ(served.server.received, "");
  EXPECT_EQ(served.server.ended, 0);
  served.server.stream->resume();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  EXPECT_EQ(served.server.received, "onetwo");
}

TEST_P(PlainStream, PausedWithTheOwnerBlockedFromWithinReceiving) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.when_received = [&](Bytes) { served.server.stream->pause(); };
  const std::string text = numbered_text(100'000);
  served.peer->send(text);
  ASSERT_TRUE(loop.until([&] {
    served.server.stream->resume();
    return served.server.received.size() == text.size();
  }));
  EXPECT_TRUE(served.server.received == text);
  EXPECT_LE(served.server.largest, ReactorOptions{}.read_buffer_bytes);
}

TEST_P(PlainStream, PeerEndsItsHalf) {
  Loop loop;
  Served served(loop, GetParam());
  served.peer->send("last words");
  served.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  EXPECT_EQ(served.server.received, "last words");
  EXPECT_EQ(served.server.send("we still speak"), 14U);
  loop.settle();
  EXPECT_EQ(served.peer->receive_some(), "we still speak");
  EXPECT_EQ(served.server.ended, 1);
  EXPECT_EQ(served.server.losses, 0);
}

TEST_P(PlainStream, EndedStreamCostsNothing) {
  Loop loop;
  Served served(loop, GetParam());
  served.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  loop.settle();
  const auto turns_before = loop.reactor->counters().turns.value();
  loop.reactor->turn(loop.driven, std::chrono::milliseconds(30));
  loop.reactor->turn(loop.driven, std::chrono::milliseconds(30));
  EXPECT_EQ(loop.reactor->counters().turns.value(), turns_before + 2);
  const auto begun = std::chrono::steady_clock::now();
  loop.reactor->turn(loop.driven, std::chrono::milliseconds(30));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(25))
      << "epoll reports something again and again";
}

TEST_P(PlainStream, WeEndOurHalf) {
  Loop loop;
  Served served(loop, GetParam());
  EXPECT_EQ(served.server.send("bye"), 3U);
  served.server.stream->shut_down_sending();
  EXPECT_EQ(served.peer->receive_some(), "bye");
  EXPECT_TRUE(served.peer->at_end());
  served.peer->send("not yet");
  ASSERT_TRUE(loop.until([&] { return served.server.received == "not yet"; }));
  EXPECT_EQ(served.server.send("swallowed"), 9U);
  served.peer->close();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  loop.settle();
  EXPECT_EQ(served.server.losses, 0);
}

TEST_P(PlainStream, BothEndTheirHalvesWhilePaused) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.stream->pause();
  served.peer->send("unread");
  served.peer->close();
  served.server.stream->shut_down_sending();
  loop.settle();
  const auto begun = std::chrono::steady_clock::now();
  loop.reactor->turn(loop.driven, std::chrono::milliseconds(30));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(25));
  EXPECT_EQ(served.server.losses + served.server.ended, 0);
  served.server.stream->resume();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  EXPECT_EQ(served.server.received, "unread");
}

TEST_P(PlainStream, SendToOneWhoWentIsToldLater) {
  Loop loop;
  Served served(loop, GetParam());
  served.peer->send("last words");
  served.peer->close();
  loop.reactor->turn(loop.driven, std::chrono::milliseconds(0));
  bool within = false;
  served.server.when_lost = [&] { EXPECT_FALSE(within); };
  ASSERT_TRUE(loop.until([&] {
    within = true;
    EXPECT_EQ(served.server.send("hello?"), 6U);
    within = false;
    return served.server.losses == 1;
  }));
  EXPECT_EQ(served.server.received, "last words") << "what came before the loss is not lost";
  EXPECT_FALSE(served.server.lost.empty());
  EXPECT_EQ(served.server.send("after"), 5U);
}

TEST_P(PlainStream, LastWordsAreReadAfterASendFailed) {
  Loop loop;
  Served served(loop, GetParam());
  served.peer->send("FATAL: terminating connection");
  served.peer->close();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(served.server.send("x"), 1U);  // the second one fails
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
  EXPECT_EQ(served.server.received, "FATAL: terminating connection");
  EXPECT_EQ(served.server.ended, 0);
}

TEST_P(PlainStream, PausedStreamWithUnreadBytesCostsNothing) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.stream->pause();
  served.peer->send("unread");
  loop.settle();
  const auto begun = std::chrono::steady_clock::now();
  loop.reactor->turn(loop.driven, std::chrono::milliseconds(30));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(25));
}

class TcpStream : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Families, TcpStream, testing::Values(Family::v4, Family::v6),
                         [](const auto& family) { return name_of(family.param); });

TEST_P(TcpStream, TellsOfAReset) {
  Loop loop;
  Served served(loop, GetParam());
  served.peer->reset();
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
  EXPECT_EQ(served.server.lost, "connection reset by peer");
  EXPECT_EQ(served.server.ended, 0);
}

TEST_P(TcpStream, TellsOfAResetWhilePaused) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.stream->pause();
  served.peer->send("unread");
  loop.settle();
  served.peer->reset();
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
  EXPECT_EQ(served.server.lost, "connection reset by peer");
  EXPECT_EQ(served.server.received, "");
}

TEST_P(TcpStream, TellsOfAResetWhileBlockedAndEnded) {
  Loop loop;
  Served served(loop, GetParam());
  served.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  const std::string text(20'000'000, 'x');
  Pump pump(served.server, text);
  loop.settle();
  served.peer->reset();
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
}

TEST_P(TcpStream, Resets) {
  Loop loop;
  Served served(loop, GetParam());
  EXPECT_EQ(served.server.send("half a message"), 14U);
  served.server.stream->reset();
  EXPECT_TRUE(loop.until([&] {
    served.peer->receive_some();
    return served.peer->was_reset();
  }));
  EXPECT_EQ(served.server.send("more"), 4U);
  loop.settle();
  EXPECT_EQ(served.server.losses, 0) << "who resets need not be told";
}

TEST_P(TcpStream, ClosingWithUnreadBytesStillDelivers) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.stream->pause();
  served.peer->send(std::string(100'000, 'x'));
  loop.settle();
  const std::string last = "FATAL: go away";
  EXPECT_EQ(served.server.send(last), last.size());
  served.server.stream.reset();
  EXPECT_EQ(served.peer->receive_some(), last);
  EXPECT_TRUE(served.peer->at_end()) << "and not a reset";
}

int option(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket, level, name, &value, &size);
  return value;
}

TEST(TcpOptions, AreInheritedFromTheListeningSocket) {
  const auto listener = listen_for(Family::v4);
  const RawPeer peer(listener->endpoint());
  const int accepted = ::accept4(listener->descriptors().front(), nullptr, nullptr, SOCK_CLOEXEC);
  ASSERT_GE(accepted, 0);
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 30);
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_KEEPINTVL), 10);
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_KEEPCNT), 3);
  ::close(accepted);
}

}  // namespace
}  // namespace forebay::net::test
