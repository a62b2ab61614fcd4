#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"

namespace forebay::net::test {
namespace {

using testing::Test;

/// Answers at once, from a list.
Resolver::LookUp hosts(std::map<std::string, Resolver::Addresses> known) {
  return [known = std::move(known)](const std::string& host, const Resolver::Answer& answer) {
    const auto found = known.find(host);
    if (found == known.end()) return answer(failure("Name or service not known"));
    answer(found->second);
  };
}

std::string loss_of(Loop& loop, const Endpoint& endpoint) {
  Owner owner;
  owner.stream = loop.reactor->connect(endpoint, owner);
  EXPECT_EQ(owner.losses, 0) << "never within the call";
  EXPECT_TRUE(loop.until([&] { return owner.losses == 1; }));
  EXPECT_EQ(owner.connected, 0);
  return owner.lost;
}

TEST(Connect, RefusedSaysWhereAndWhy) {
  Loop loop;
  std::uint16_t port = 0;
  {
    const RawListener gone(Family::v4);
    port = gone.endpoint().port;
  }
  EXPECT_EQ(loss_of(loop, {"127.0.0.1", port}),
            "could not connect to 127.0.0.1:" + std::to_string(port) +
                ": connection refused (is the server running there, and listening on that address "
                "and port?)");
}

TEST(Connect, MissingSocketFile) {
  Loop loop;
  const std::string path = test_directory() + "/none";
  EXPECT_EQ(loss_of(loop, {path}),
            "could not connect to " + path +
                ": no such file or directory (is the server running, and is this the path of its "
                "socket?)");
}

TEST(Connect, StaleSocketFile) {
  Loop loop;
  std::string path;
  {
    const RawListener gone(Family::unix_file);  // leaves its file
    path = gone.endpoint().host;
  }
  EXPECT_EQ(loss_of(loop, {path}), "could not connect to " + path +
                                       ": connection refused (nobody listens there any more: is "
                                       "the server running?)");
}

TEST(Connect, FullQueueOfASocketFile) {
  Loop loop;
  const RawListener busy(Family::unix_file, 0);
  std::vector<std::unique_ptr<Owner>> waiting;
  std::string reason;
  for (int i = 0; i < 10 && reason.empty(); ++i) {
    Owner& owner = *waiting.emplace_back(std::make_unique<Owner>());
    owner.stream = loop.reactor->connect(busy.endpoint(), owner);
    ASSERT_TRUE(loop.until([&] { return owner.connected + owner.losses == 1; }));
    reason = owner.lost;
  }
  EXPECT_NE(reason.find("its queue of waiting connections is full"), std::string::npos) << reason;
}

TEST(Connect, PathTooLong) {
  Loop loop;
  const std::string reason = loss_of(loop, {"/" + std::string(200, 'x')});
  EXPECT_NE(reason.find("has 201 bytes; the system allows 107"), std::string::npos) << reason;
}

TEST(Connect, NamesNeedAResolver) {
  Loop loop;
  EXPECT_EQ(loss_of(loop, {"db.test", 5432}),
            "could not resolve host name \"db.test\": only addresses can be used here");
}

TEST(Connect, UnknownName) {
  Resolver resolver(hosts({}));
  Loop loop({.resolver = &resolver});
  EXPECT_EQ(loss_of(loop, {"db.test", 5432}),
            "could not resolve host name \"db.test\": Name or service not known");
}

TEST(Connect, ByName) {
  const RawListener listener(Family::v4);
  Resolver resolver(hosts({{"db.test", {"127.0.0.1"}}}));
  Loop loop({.resolver = &resolver});
  Owner owner;
  owner.stream = loop.reactor->connect({"db.test", listener.endpoint().port}, owner);
  ASSERT_TRUE(loop.until([&] { return owner.connected == 1; }));
  EXPECT_EQ(owner.stream->peer().address, "127.0.0.1");
}

TEST(Connect, TriesTheNextAddressWhenOneRefuses) {
  const RawListener listener(Family::v4);
  Resolver resolver(hosts({{"db.test", {"::1", "127.0.0.1"}}}));
  Loop loop({.resolver = &resolver});
  Owner owner;
  owner.stream = loop.reactor->connect({"db.test", listener.endpoint().port}, owner);
  ASSERT_TRUE(loop.until([&] { return owner.connected == 1; }));
  EXPECT_EQ(loop.reactor->counters().connects.value(), 2U);
  owner.send("hello");
  EXPECT_EQ(listener.accept().receive_some(), "hello");
}

TEST(Connect, AllAddressesRefuse) {
  std::string port;
  Endpoint endpoint{"db.test", 0};
  {
    const RawListener gone(Family::v4);
    endpoint.port = gone.endpoint().port;
    port = std::to_string(endpoint.port);
  }
  Resolver resolver(hosts({{"db.test", {"::1", "127.0.0.1"}}}));
  Loop loop({.resolver = &resolver});
  const std::string reason = loss_of(loop, endpoint);
  EXPECT_NE(reason.find("db.test:" + port + " ([::1]:" + port + "): connection refused"),
            std::string::npos)
      << reason;
  EXPECT_NE(reason.find("db.test:" + port + " (127.0.0.1:" + port + "): connection refused"),
            std::string::npos)
      << reason;
}

TEST(Connect, ANameThatLeadsToNobodyIsLookedUpAgain) {
  const RawListener listener(Family::v4);
  int look_ups = 0;
  Resolver resolver(
      [&](const std::string&, const Resolver::Answer& answer) {
        answer(Resolver::Addresses{++look_ups == 1 ? "::1" : "127.0.0.1"});
      },
      std::chrono::hours(1));
  Loop loop({.resolver = &resolver});
  const auto until = std::chrono::steady_clock::now() + kPatience;
  Owner owner;
  while (owner.connected == 0 && std::chrono::steady_clock::now() < until) {
    owner.losses = 0;
    owner.stream = loop.reactor->connect({"db.test", listener.endpoint().port}, owner);
    ASSERT_TRUE(loop.until([&] { return owner.connected + owner.losses > 0; }));
  }
  EXPECT_EQ(owner.connected, 1);
  EXPECT_EQ(look_ups, 2);
}

TEST(Connect, AnAddressThatDoesNotAnswerIsLeftForTheNext) {
  const RawListener deaf(Family::v6);
  RawPeer(::dup(deaf.socket())).go_deaf();  // drops each SYN
  Endpoint endpoint = deaf.endpoint();
  const RawListener good(Family::v4);
  // The good one has another port: two lists of addresses, one stream each.
  Resolver resolver(hosts({{"deaf.test", {"::1"}}, {"both.test", {"::1", "127.0.0.1"}}}));
  Loop loop({.resolver = &resolver,
             .connect_timeout = std::chrono::milliseconds(150),
             .connect_timeout_with_others = std::chrono::milliseconds(100)});
  endpoint.host = "deaf.test";
  const std::string reason = loss_of(loop, endpoint);
  EXPECT_NE(reason.find("connection timed out"), std::string::npos) << reason;
  endpoint.host = "both.test";
  const std::string both = loss_of(loop, endpoint);
  EXPECT_NE(both.find("connection timed out; could not connect to both.test"), std::string::npos)
      << both;
  EXPECT_NE(both.find("connection refused"), std::string::npos) << both;
}

TEST(Connect, TheStreamMayGoBeforeTheAnswer) {
  Resolver::Answer later;
  Resolver resolver([&](const std::string&, const Resolver::Answer& answer) { later = answer; });
  Owner owner;
  Owner other;
  {
    Loop loop({.resolver = &resolver});
    owner.stream = loop.reactor->connect({"db.test", 1}, owner);
    loop.settle();
    owner.stream.reset();
    later(Resolver::Addresses{"127.0.0.1"});
    loop.settle();
    EXPECT_EQ(owner.losses + owner.connected, 0);
  }
  Resolver second([&](const std::string&, const Resolver::Answer& answer) { later = answer; });
  {
    Loop loop({.resolver = &second});
    other.stream = loop.reactor->connect({"db.test", 1}, other);
    other.stream.reset();
  }
  later(Resolver::Addresses{"127.0.0.1"});  // the reactor has gone, too
}

TEST(Connect, SetsOptionsAndTakesTheTimeLimitBack) {
  const RawListener listener(Family::v4);
  Loop loop;
  Owner owner;
  owner.stream = loop.reactor->connect(listener.endpoint(), owner);
  ASSERT_TRUE(loop.until([&] { return owner.connected == 1; }));
  // The descriptor is the one whose other end was accepted.
  const RawPeer peer = listener.accept();
  sockaddr_in local{};
  socklen_t size = sizeof local;
  ::getpeername(peer.socket(), reinterpret_cast<sockaddr*>(&local), &size);
  int found = -1;
  for (int fd = 3; fd < 1024 && found < 0; ++fd) {
    sockaddr_in mine{};
    size = sizeof mine;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&mine), &size) == 0 &&
        mine.sin_port == local.sin_port && fd != peer.socket()) {
      found = fd;
    }
  }
  ASSERT_GE(found, 0);
  const auto option = [&](int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    ::getsockopt(found, level, name, &value, &length);
    return value;
  };
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 30);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 10);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
}

TEST(Connect, SendBeforeItIsConnectedWaits) {
  const RawListener listener(Family::v4);
  Loop loop;
  Owner owner;
  owner.stream = loop.reactor->connect(listener.endpoint(), owner);
  EXPECT_EQ(owner.send("early"), 0U);
  owner.when_writable = [&] {
    EXPECT_EQ(owner.connected, 1);
    EXPECT_EQ(owner.send("early"), 5U);
  };
  ASSERT_TRUE(loop.until([&] { return owner.writable == 1; }));
  EXPECT_EQ(listener.accept().receive_some(), "early");
}

}  // namespace
}  // namespace forebay::net::test
