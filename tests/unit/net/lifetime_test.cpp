#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <list>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"

/// Streams that are destroyed, detached or handed on within callbacks, their own and others'.
namespace forebay::net::test {
namespace {

class Lifetime : public testing::TestWithParam<Family> {};

INSTANTIATE_TEST_SUITE_P(Families, Lifetime, testing::Values(Family::v4, Family::unix_file),
                         [](const auto& family) { return name_of(family.param); });

TEST_P(Lifetime, DestroyedWhenBytesArrive) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.when_received = [&](Bytes bytes) {
    served.server.stream.reset();
    EXPECT_EQ(bytes, "go") << "the view stays valid";
  };
  served.peer->send("go");
  ASSERT_TRUE(loop.until([&] { return served.peer->at_end(); }));
  EXPECT_EQ(served.server.stream, nullptr);
}

TEST_P(Lifetime, DestroyedAtTheEnd) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.when_ended = [&] { served.server.stream.reset(); };
  served.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return served.peer->at_end(); }));
}

TEST_P(Lifetime, DestroyedWhenWritable) {
  Loop loop;
  Served served(loop, GetParam());
  ASSERT_LT(served.server.send(std::string(20'000'000, 'x')), 20'000'000U);
  served.server.when_writable = [&] { served.server.stream.reset(); };
  ASSERT_TRUE(loop.until([&] {
    served.peer->receive_some();
    return served.peer->at_end();
  }));
  EXPECT_EQ(served.server.stream, nullptr);
}

TEST_P(Lifetime, DestroyedWhenLost) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.when_lost = [&] { served.server.stream.reset(); };
  served.peer->close();
  ASSERT_TRUE(loop.until([&] {
    if (served.server.stream) served.server.send("x");
    return served.server.losses == 1;
  }));
}

TEST_P(Lifetime, DestroyedWhenConnectedAndWhenNot) {
  Loop loop;
  Owner owner;
  {
    const RawListener listener(GetParam());
    owner.when_connected = [&] { owner.stream.reset(); };
    owner.stream = loop.reactor->connect(listener.endpoint(), owner);
    ASSERT_TRUE(loop.until([&] { return owner.connected == 1; }));
    Owner other;
    other.stream = loop.reactor->connect(listener.endpoint(), other);
    other.stream.reset();  // before anything is known
    loop.settle();
    EXPECT_EQ(other.connected + other.losses, 0);
    owner.when_lost = [&] { owner.stream.reset(); };
    Endpoint nobody = listener.endpoint();
    if (nobody.is_unix()) nobody.host += "-missing";
    if (!nobody.is_unix()) nobody.port = 1;
    owner.stream = loop.reactor->connect(nobody, owner);
    ASSERT_TRUE(loop.until([&] { return owner.losses == 1; }));
  }
}

/// Many streams whose events come in one batch; the first who is told acts upon the others.
struct Crowd {
  Crowd(Loop& loop, Family family, std::size_t size) : listener(listen_for(family)) {
    loop.driven.when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
      Owner& owner = servers.emplace_back();
      loop.reactor->set_owner(*stream, owner);
      owner.stream = std::move(stream);
    };
    loop.reactor->listen(listener, core::ListenerId(0));
    for (std::size_t i = 0; i < size; ++i) peers.emplace_back(listener->endpoint());
    EXPECT_TRUE(loop.until([&] { return servers.size() == size; }));
    loop.reactor->stop_accepting();
  }
  void all_speak() {
    for (const RawPeer& peer : peers) peer.send("hello");
  }

  std::shared_ptr<const Listener> listener;
  std::list<Owner> servers;
  std::list<RawPeer> peers;
};

TEST_P(Lifetime, OneOfABatchDestroysTheOthers) {
  Loop loop;
  Crowd crowd(loop, GetParam(), 20);
  int told = 0;
  for (Owner& owner : crowd.servers) {
    owner.when_received = [&](Bytes) {
      ++told;
      for (Owner& other : crowd.servers) {
        if (&other != &owner) other.stream.reset();
      }
    };
  }
  crowd.all_speak();
  ASSERT_TRUE(loop.until([&] { return told > 0; }));
  loop.settle();
  EXPECT_EQ(told, 1);
}

TEST_P(Lifetime, DescriptorsAndSlotsAreReusedWithinABatch) {
  Loop loop;
  Crowd crowd(loop, GetParam(), 20);
  const RawListener elsewhere(GetParam(), 64);
  std::list<Owner> fresh;
  int told = 0;
  for (Owner& owner : crowd.servers) {
    owner.when_received = [&](Bytes) {
      if (++told > 1) return;
      for (Owner& other : crowd.servers) {
        if (&other == &owner) continue;
        other.stream.reset();
        Owner& one = fresh.emplace_back();  // gets the descriptor and the slot that became free
        one.stream = loop.reactor->connect(elsewhere.endpoint(), one);
      }
    };
  }
  crowd.all_speak();
  ASSERT_TRUE(loop.until([&] {
    return fresh.size() == 19 &&
           std::ranges::all_of(fresh, [](const Owner& one) { return one.connected == 1; });
  }));
  loop.settle();
  EXPECT_EQ(told, 1);
  for (const Owner& one : fresh) EXPECT_EQ(one.losses + one.ended, 0);
}

/// Streams that got the slots of destroyed ones are not told what epoll said about those.
TEST(LifetimeOfSlots, OldEventsAreNotForNewStreams) {
  Loop loop;
  Crowd crowd(loop, Family::v4, 20);
  const RawListener silent(Family::v4, 64);
  RawPeer(::dup(silent.socket())).go_deaf();  // answers no connect
  std::list<Owner> fresh;
  for (Owner& owner : crowd.servers) {
    owner.when_received = [&](Bytes) {
      for (Owner& other : crowd.servers) {
        if (&other == &owner) continue;
        other.stream.reset();
        Owner& one = fresh.emplace_back();
        one.stream = loop.reactor->connect(silent.endpoint(), one);
      }
    };
  }
  crowd.all_speak();
  ASSERT_TRUE(loop.until([&] { return fresh.size() == 19; }));
  for (const Owner& one : fresh) EXPECT_EQ(one.connected + one.losses, 0);
}

TEST_P(Lifetime, OneOfABatchDetachesTheOthers) {
  Loop loop;
  Crowd crowd(loop, GetParam(), 20);
  int told = 0;
  for (Owner& owner : crowd.servers) {
    owner.when_received = [&](Bytes) {
      if (++told > 1) return;
      for (Owner& other : crowd.servers) loop.reactor->detach(*other.stream);
    };
  }
  crowd.all_speak();
  ASSERT_TRUE(loop.until([&] { return told > 0; }));
  loop.settle();
  EXPECT_EQ(told, 1);
  for (Owner& owner : crowd.servers) loop.reactor->attach(*owner.stream, owner);
  ASSERT_TRUE(loop.until([&] { return told == 20; }));
  for (Owner& owner : crowd.servers) EXPECT_EQ(owner.received, "hello");
}

TEST_P(Lifetime, OwnerChangesWithinACallback) {
  Loop loop;
  Served served(loop, GetParam());
  Owner second;
  served.server.when_received = [&](Bytes) {
    loop.reactor->set_owner(*served.server.stream, second);
  };
  served.peer->send("one");
  ASSERT_TRUE(loop.until([&] { return served.server.received == "one"; }));
  served.peer->send("two");
  served.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return second.ended == 1; }));
  EXPECT_EQ(second.received, "two");
  EXPECT_EQ(served.server.received, "one");
}

TEST_P(Lifetime, DestroyedWithALossUnderWay) {
  Loop loop;
  Served served(loop, GetParam());
  served.peer->close();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  for (int i = 0; i < 2; ++i) served.server.send("x");  // the second one fails at the latest
  served.server.stream.reset();
  loop.settle();
  EXPECT_EQ(served.server.losses, 0);
}

TEST_P(Lifetime, AcceptedAndRefused) {
  Loop loop;
  const auto listener = listen_for(GetParam());
  int refused = 0;
  loop.driven.when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
    const Bytes reason = "too many";
    stream->send({&reason, 1});
    stream.reset();
    ++refused;
  };
  loop.reactor->listen(listener, core::ListenerId(0));
  const RawPeer peer(listener->endpoint());
  ASSERT_TRUE(loop.until([&] { return refused == 1; }));
  EXPECT_EQ(peer.receive_some(), "too many");
  EXPECT_TRUE(peer.at_end());
}

}  // namespace
}  // namespace forebay::net::test
