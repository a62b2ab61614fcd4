#include <gtest/gtest.h>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"

/// The budget: what a message costs in system calls when nothing is in the way.
namespace forebay::net::test {
namespace {

struct Calls {
  explicit Calls(const ReactorCounters& counters)
      : recv(counters.recv.value()),
        eagain(counters.recv_eagain.value()),
        send(counters.send.value()),
        shorts(counters.send_short.value()),
        control(counters.epoll_ctl.value()),
        wait(counters.epoll_wait.value()),
        wake_ups(counters.wake_ups.value()) {}

  std::uint64_t recv, eagain, send, shorts, control, wait, wake_ups;
};

class Budget : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Families, Budget, testing::Values(Family::v4, Family::unix_file),
                         [](const auto& family) { return name_of(family.param); });

TEST_P(Budget, OneRecvAndOneSendAMessage) {
  constexpr int kRounds = 1000;
  Loop loop;
  Couple couple(loop, GetParam());
  int rounds = 0;
  couple.server.when_received = [&](Bytes bytes) { couple.server.stream->send({&bytes, 1}); };
  couple.client.when_received = [&](Bytes bytes) {
    if (++rounds < kRounds) couple.client.stream->send({&bytes, 1});
  };
  const Calls before(loop.reactor->counters());
  couple.client.send("SELECT 1");
  ASSERT_TRUE(loop.until([&] { return rounds == kRounds; }));
  const Calls after(loop.reactor->counters());
  EXPECT_EQ(after.recv - before.recv, 2U * kRounds);
  EXPECT_EQ(after.send - before.send, 2U * kRounds);
  EXPECT_EQ(after.eagain - before.eagain, 0U);
  EXPECT_EQ(after.control - before.control, 0U);
  EXPECT_EQ(after.wake_ups - before.wake_ups, 0U);
}

TEST_P(Budget, OneWaitForAllThatIsReady) {
  constexpr std::size_t kMany = 200;
  Loop loop;
  std::vector<std::unique_ptr<Served>> crowd;
  for (std::size_t i = 0; i < kMany; ++i) {
    crowd.push_back(std::make_unique<Served>(loop, GetParam()));
  }
  loop.settle();
  for (const auto& one : crowd) one->peer->send("hello");
  const Calls before(loop.reactor->counters());
  loop.reactor->turn(loop.driven, std::chrono::seconds(1));
  const Calls after(loop.reactor->counters());
  EXPECT_EQ(after.wait - before.wait, 1U);
  EXPECT_EQ(after.recv - before.recv, kMany);
  for (const auto& one : crowd) EXPECT_EQ(one->server.received, "hello");
}

TEST_P(Budget, PauseAndResumeWithNothingBetweenAreFree) {
  Loop loop;
  Served served(loop, GetParam());
  const Calls before(loop.reactor->counters());
  for (int i = 0; i < 10; ++i) {
    served.server.stream->pause();
    loop.reactor->turn(loop.driven, Duration::zero());
    served.server.stream->resume();
  }
  EXPECT_EQ(loop.reactor->counters().epoll_ctl.value(), before.control);
}

TEST_P(Budget, ABlockedSendIsWatchedOnce) {
  Loop loop;
  Served served(loop, GetParam());
  const std::string text = numbered_text(30'000'000);
  const Calls before(loop.reactor->counters());
  Pump pump(served.server, text);
  std::size_t arrived = 0;
  ASSERT_TRUE(loop.until([&] {
    arrived += served.peer->receive_some().size();
    return arrived == text.size();
  }));
  const Calls after(loop.reactor->counters());
  EXPECT_GT(after.shorts - before.shorts, 1U);
  EXPECT_EQ(after.control - before.control, 2U) << "armed once, disarmed once";
}

TEST_P(Budget, AFullBufferIsReportedAgain) {
  Loop loop;
  Served served(loop, GetParam());
  const std::string text = numbered_text(100'000);
  served.peer->send(text);
  const Calls before(loop.reactor->counters());
  ASSERT_TRUE(loop.until([&] { return served.server.received.size() == text.size(); }));
  const Calls after(loop.reactor->counters());
  EXPECT_EQ(after.eagain, before.eagain);
  EXPECT_TRUE(served.server.received == text);
}

}  // namespace
}  // namespace forebay::net::test
