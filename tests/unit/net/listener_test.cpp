#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"

namespace forebay::net::test {
namespace {

std::string error_of(const Endpoint& endpoint) {
  const auto listener = Listener::open(endpoint);
  return listener ? "it listens" : listener.error().message;
}

TEST(Listener, ChoosesAFreePort) {
  const auto listener = *Listener::open({"127.0.0.1", 0});
  EXPECT_GT(listener->endpoint().port, 0);
  EXPECT_EQ(listener->descriptors().size(), 1U);
}

TEST(Listener, ANameIsAllItsAddresses) {
  const auto listener = *Listener::open({"localhost", 0});
  EXPECT_GE(listener->descriptors().size(), 1U);
  const RawPeer peer(Endpoint{"127.0.0.1", listener->endpoint().port});
}

TEST(Listener, SaysThatAPortIsTaken) {
  const auto listener = *Listener::open({"127.0.0.1", 0});
  const std::string port = std::to_string(listener->endpoint().port);
  EXPECT_EQ(error_of(listener->endpoint()),
            "could not listen on 127.0.0.1:" + port +
                ": address already in use (another process listens there: stop it, or change "
                "listen)");
}

TEST(Listener, SaysThatAnAddressIsForeign) {
  const std::string text = error_of({"192.0.2.1", 1});
  EXPECT_NE(text.find("this machine does not have that address"), std::string::npos) << text;
}

TEST(Listener, SaysThatANameIsUnknown) {
  const std::string text = error_of({"no such host", 1});
  EXPECT_NE(text.find("could not resolve the name \"no such host\""), std::string::npos) << text;
}

TEST(Listener, IsAdoptedWithItsPortAndAcceptsAsBefore) {
  auto listener = *Listener::open({"127.0.0.1", 0});
  const Endpoint endpoint = listener->endpoint();
  std::vector<Descriptor> sockets;
  sockets.emplace_back(::dup(listener->descriptors().front()));
  const RawPeer waiting(endpoint);
  const auto adopted = *Listener::adopt({"127.0.0.1", 0}, std::move(sockets));
  listener.reset();
  EXPECT_EQ(adopted->endpoint(), endpoint);
  const Descriptor accepted(::accept(adopted->descriptors().front(), nullptr, nullptr));
  EXPECT_TRUE(accepted) << "who had come already is not lost";
  const RawPeer peer(endpoint);
}

TEST(Listener, AdoptsOnlyWhatListens) {
  std::vector<Descriptor> sockets;
  sockets.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
  const auto adopted = Listener::adopt({"127.0.0.1", 6432}, std::move(sockets));
  ASSERT_FALSE(adopted);
  EXPECT_EQ(adopted.error().message,
            "what was handed over for 127.0.0.1:6432 is no socket that listens there");
}

TEST(SocketFile, GoesWithWhoOwnsItInTheEnd) {
  const Endpoint endpoint = endpoint_for(Family::unix_file);
  auto first = *Listener::open(endpoint);
  std::vector<Descriptor> sockets;
  sockets.emplace_back(::dup(first->descriptors().front()));
  auto second = *Listener::adopt(endpoint, std::move(sockets));
  second.reset();
  EXPECT_TRUE(std::filesystem::exists(endpoint.host)) << "it never became the second one's";
  sockets.clear();
  sockets.emplace_back(::dup(first->descriptors().front()));
  second = *Listener::adopt(endpoint, std::move(sockets));
  first->own_file(false);
  second->own_file(true);
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(endpoint.host));
  second.reset();
  EXPECT_FALSE(std::filesystem::exists(endpoint.host));
}

TEST(SocketFile, HasTheModeAndIsRemovedAtTheEnd) {
  const Endpoint endpoint = endpoint_for(Family::unix_file);
  {
    const auto listener = *Listener::open(endpoint, 0640);
    struct stat facts {};
    ASSERT_EQ(::lstat(endpoint.host.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0640U);
    EXPECT_TRUE(S_ISSOCK(facts.st_mode));
  }
  EXPECT_FALSE(std::filesystem::exists(endpoint.host));
}

TEST(SocketFile, AServedOneIsNotStolen) {
  const Endpoint endpoint = endpoint_for(Family::unix_file);
  const auto listener = *Listener::open(endpoint);
  EXPECT_EQ(error_of(endpoint), "could not listen on " + endpoint.host +
                                    ": address already in use (another process listens there: "
                                    "stop it, or change listen)");
  const RawPeer peer(endpoint);
}

TEST(SocketFile, AStaleOneIsReplaced) {
  Endpoint endpoint;
  {
    const RawListener gone(Family::unix_file);
    endpoint = gone.endpoint();
  }
  ASSERT_TRUE(std::filesystem::exists(endpoint.host));
  const auto listener = *Listener::open(endpoint);
  const RawPeer peer(endpoint);
}

TEST(SocketFile, WhatIsNoSocketStays) {
  const Endpoint endpoint = endpoint_for(Family::unix_file);
  std::ofstream(endpoint.host) << "precious";
  EXPECT_EQ(error_of(endpoint), "could not listen on " + endpoint.host +
                                    ": there is something that is not a socket (remove it, or "
                                    "change listen)");
  EXPECT_EQ(std::filesystem::file_size(endpoint.host), 8U);
}

TEST(SocketFile, SomebodyElsesIsNotRemovedAtTheEnd) {
  const Endpoint endpoint = endpoint_for(Family::unix_file);
  auto first = *Listener::open(endpoint);
  ASSERT_TRUE(std::filesystem::remove(endpoint.host));
  const auto second = *Listener::open(endpoint);
  first.reset();
  const RawPeer peer(endpoint);
}

TEST(SocketFile, NeedsItsDirectory) {
  const std::string text = error_of({test_directory() + "/none/socket"});
  EXPECT_NE(text.find("could not open the directory " + test_directory() + "/none"),
            std::string::npos)
      << text;
}

TEST(SocketFile, PathTooLong) {
  const std::string text = error_of({"/tmp/" + std::string(150, 'x')});
  EXPECT_NE(text.find("has 155 bytes; the system allows 107"), std::string::npos) << text;
}

/// Several reactors that accept from one listener.
class Shared : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Families, Shared, testing::Values(Family::v4, Family::unix_file),
                         [](const auto& family) { return name_of(family.param); });

TEST_P(Shared, EachConnectionGoesToExactlyOne) {
  constexpr std::size_t kClients = 100;
  const auto listener = listen_for(GetParam());
  std::array<std::vector<std::unique_ptr<Owner>>, 2> owners;
  std::atomic<std::size_t> accepted = 0;
  LoopThread one;
  LoopThread two;
  const std::array<LoopThread*, 2> loops{&one, &two};
  for (std::size_t i = 0; i < 2; ++i) {
    loops[i]->run([&, i] {
      loops[i]->driven().when_accepted = [&, i](std::unique_ptr<core::Stream> stream,
                                                core::ListenerId id) {
        EXPECT_EQ(id, core::ListenerId(3));
        Owner& owner = *owners[i].emplace_back(std::make_unique<Owner>());
        loops[i]->reactor().set_owner(*stream, owner);
        owner.stream = std::move(stream);
        owner.when_received = [&owner](Bytes bytes) { owner.stream->send({&bytes, 1}); };
        ++accepted;
      };
      loops[i]->reactor().listen(listener, core::ListenerId(3));
    });
  }
  std::vector<RawPeer> peers;
  for (std::size_t i = 0; i < kClients; ++i) {
    peers.emplace_back(listener->endpoint());
    peers.back().send(std::to_string(i));
  }
  ASSERT_TRUE(one.until([&] {
    one.reactor().post([] {});  // keeps it turning
    return accepted == kClients;
  }));
  for (std::size_t i = 0; i < kClients; ++i) {
    std::string echo;
    while (echo.empty()) echo = peers[i].receive_some();
    EXPECT_EQ(echo, std::to_string(i));
  }
  for (std::size_t i = 0; i < 2; ++i) loops[i]->run([&, i] { owners[i].clear(); });
}

TEST_P(Shared, PickGivesItToWhomItWants) {
  const auto listener = listen_for(GetParam());
  LoopThread one;
  LoopThread two;
  Owner owner;
  std::thread::id where;
  std::atomic<int> picks = 0;
  two.run([&] {
    two.driven().when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
      two.reactor().set_owner(*stream, owner);
      owner.stream = std::move(stream);
      where = std::this_thread::get_id();
    };
  });
  one.run([&] {
    one.reactor().listen(listener, core::ListenerId(0), [&](core::ListenerId) -> Reactor& {
      ++picks;
      return two.reactor();
    });
  });
  const RawPeer peer(listener->endpoint());
  peer.send("hello");
  ASSERT_TRUE(two.until([&] { return owner.received == "hello"; }));
  two.run([&] {
    EXPECT_EQ(where, std::this_thread::get_id());
    owner.stream.reset();
  });
  EXPECT_EQ(picks, 1);
}

TEST_P(Shared, StopsAccepting) {
  Loop loop;
  const auto listener = listen_for(GetParam());
  int accepted = 0;
  loop.driven.when_accepted = [&](std::unique_ptr<core::Stream>, core::ListenerId) {
    ++accepted;
    loop.reactor->stop_accepting();  // also from within
  };
  loop.reactor->listen(listener, core::ListenerId(0));
  const RawPeer first(listener->endpoint());
  const RawPeer second(listener->endpoint());
  ASSERT_TRUE(loop.until([&] { return accepted == 1; }));
  loop.settle();
  EXPECT_EQ(accepted, 1);
}

TEST_P(Shared, BatchesGrowWhileMoreWaitAndAreBounded) {
  Loop loop;
  const auto listener = listen_for(GetParam());
  int accepted = 0;
  loop.driven.when_accepted = [&](std::unique_ptr<core::Stream>, core::ListenerId) { ++accepted; };
  loop.reactor->listen(listener, core::ListenerId(0));
  std::vector<RawPeer> peers;
  for (int i = 0; i < 60; ++i) peers.emplace_back(listener->endpoint());
  for (const int batch : {1, 2, 4, 8, 16, 16, 13}) {
    const int before = accepted;
    loop.reactor->turn(loop.driven, Duration::zero());
    EXPECT_EQ(accepted - before, batch);
  }
}

TEST_P(Shared, AConnectionThatComesAloneCostsOneAccept) {
  Loop loop;
  const auto listener = listen_for(GetParam());
  int accepted = 0;
  loop.driven.when_accepted = [&](std::unique_ptr<core::Stream>, core::ListenerId) { ++accepted; };
  loop.reactor->listen(listener, core::ListenerId(0));
  for (int i = 1; i <= 3; ++i) {
    const RawPeer peer(listener->endpoint());
    ASSERT_TRUE(loop.until([&] { return accepted == i; }));
    loop.settle();
  }
  EXPECT_EQ(loop.reactor->counters().accept.value(), 3u);
}

}  // namespace
}  // namespace forebay::net::test
