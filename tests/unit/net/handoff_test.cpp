#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"

/// Streams that go from one reactor's thread to another's.
namespace forebay::net::test {
namespace {

class HandOff : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Families, HandOff, testing::Values(Family::v4, Family::unix_file),
                         [](const auto& family) { return name_of(family.param); });

/// A stream that changes its thread after every few bytes that it brings.
class Wanderer {
 public:
  Wanderer(LoopThread& first, LoopThread& second) : here_(&first), there_(&second) {}

  void begin(std::unique_ptr<core::Stream> stream) {
    owner_.stream = std::move(stream);
    owner_.when_received = [this](Bytes bytes) { on_bytes(bytes); };
    owner_.when_writable = [this] { echo(); };
    owner_.when_ended = [this] { ended_.set_value(); };
    here_->reactor().set_owner(*owner_.stream, owner_);
  }
  [[nodiscard]] bool wait() {
    return ended_.get_future().wait_for(kPatience) == std::future_status::ready;
  }
  [[nodiscard]] const std::string& received() const { return owner_.received; }
  [[nodiscard]] int moves() const { return moves_; }
  void end(LoopThread& any) {
    any.run([this] {});
    here_->run([this] { owner_.stream.reset(); });
  }

 private:
  void on_bytes(Bytes bytes) {
    unsent_ += bytes;
    echo();
    ++moves_;
    Reactor& from = here_->reactor();
    std::swap(here_, there_);
    from.detach(*owner_.stream);
    here_->reactor().post([this] { here_->reactor().attach(*owner_.stream, owner_); });
  }

  void echo() { unsent_.erase(0, owner_.send(unsent_)); }

  LoopThread* here_;
  LoopThread* there_;
  Owner owner_;
  std::string unsent_;
  std::promise<void> ended_;
  int moves_ = 0;
};

TEST_P(HandOff, LosesNothingUnderTraffic) {
  LoopThread one;
  LoopThread two;
  Wanderer wanderer(one, two);
  const auto listener = listen_for(GetParam());
  one.run([&] {
    one.driven().when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
      wanderer.begin(std::move(stream));
    };
    one.reactor().listen(listener, core::ListenerId(0));
  });
  const RawPeer peer(listener->endpoint());
  const std::string text = numbered_text(3'000'000);
  std::string echo;
  std::jthread reader([&] {
    while (echo.size() < text.size()) {
      const std::string some = peer.receive_some();
      if (some.empty() && peer.at_end()) return;
      echo += some;
    }
  });
  for (std::size_t i = 0; i < text.size(); i += 10'000) peer.send(Bytes(text).substr(i, 10'000));
  reader.join();
  peer.shut_down_sending();
  ASSERT_TRUE(wanderer.wait());
  EXPECT_TRUE(wanderer.received() == text);
  EXPECT_TRUE(echo == text);
  EXPECT_GT(wanderer.moves(), 50);
  wanderer.end(one);
}

TEST_P(HandOff, ManyLinksBetweenTwoWorkersAtOnce) {
  constexpr int kLinks = 40;
  LoopThread one;
  LoopThread two;
  std::vector<std::unique_ptr<Wanderer>> wanderers;
  const auto listener = listen_for(GetParam());
  one.run([&] {
    one.driven().when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
      wanderers.push_back(std::make_unique<Wanderer>(one, two));
      wanderers.back()->begin(std::move(stream));
    };
    one.reactor().listen(listener, core::ListenerId(0));
  });
  std::vector<RawPeer> peers;
  for (int i = 0; i < kLinks; ++i) peers.emplace_back(listener->endpoint());
  ASSERT_TRUE(one.until([&] { return wanderers.size() == kLinks; }));
  for (int round = 0; round < 50; ++round) {
    for (const RawPeer& peer : peers) peer.send("0123456789");
  }
  for (const RawPeer& peer : peers) peer.shut_down_sending();
  for (const auto& wanderer : wanderers) {
    ASSERT_TRUE(wanderer->wait());
    EXPECT_EQ(wanderer->received().size(), 500U);
    wanderer->end(one);
  }
}

TEST_P(HandOff, ALossDuringTheMoveIsToldAfterIt) {
  Loop here;
  Loop there;
  Served served(here, GetParam());
  served.peer->close();
  ASSERT_TRUE(here.until([&] { return served.server.ended == 1; }));
  for (int i = 0; i < 2; ++i) served.server.send("x");
  here.reactor->detach(*served.server.stream);
  here.settle();
  EXPECT_EQ(served.server.losses, 0);
  Owner second;
  there.reactor->attach(*served.server.stream, second);
  ASSERT_TRUE(there.until([&] { return second.losses == 1; }));
  EXPECT_EQ(served.server.losses, 0);
}

TEST_P(HandOff, KeepsAPauseAndABlockedSend) {
  Loop here;
  Loop there;
  Served served(here, GetParam());
  const std::string text = numbered_text(20'000'000);
  const std::size_t taken = served.server.send(text);
  ASSERT_LT(taken, text.size());
  served.server.stream->pause();
  served.peer->send("later");
  here.reactor->detach(*served.server.stream);
  there.reactor->attach(*served.server.stream, served.server);
  std::string arrived;
  std::size_t sent = taken;
  served.server.when_writable = [&] { sent += served.server.send(Bytes(text).substr(sent)); };
  ASSERT_TRUE(there.until([&] {
    arrived += served.peer->receive_some();
    return arrived.size() == text.size();
  }));
  EXPECT_TRUE(arrived == text);
  EXPECT_EQ(served.server.received, "");
  served.server.stream->resume();
  ASSERT_TRUE(there.until([&] { return served.server.received == "later"; }));
}

TEST_P(HandOff, DestroyedWhileDetached) {
  Loop loop;
  Served served(loop, GetParam());
  loop.reactor->detach(*served.server.stream);
  served.server.stream.reset();
  EXPECT_TRUE(served.peer->at_end());
}

}  // namespace
}  // namespace forebay::net::test
