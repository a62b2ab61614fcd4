#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"

/// What happens when descriptors run out. In a child process, whose limit is its own.
namespace forebay::net::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Ends the child with a message when something is not so.
void need(bool so, const char* what) {
  if (so) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::_Exit(1);
}

rlim_t highest_descriptor() {
  const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(next);
  return static_cast<rlim_t>(next);
}

void limit_descriptors(rlim_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = count;
  need(::setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

/// UndefinedBehaviorSanitizer looks at each type once, and needs a pipe for that: so everything
/// happens here once, while there are descriptors.
void warm_up() {
  Loop loop;
  Served served(loop, Family::v4);
  served.peer->send("x");
  need(loop.until([&] { return !served.server.received.empty(); }), "received");
  served.peer->reset();
  need(loop.until([&] { return served.server.losses == 1; }), "lost");
  Owner owner;
  owner.stream = loop.reactor->connect({test_directory() + "/none"}, owner);
  need(loop.until([&] { return owner.losses == 1; }), "refused");
}

struct Clients {
  explicit Clients(Loop& loop) {
    loop.driven.when_accepted = [this, &loop](std::unique_ptr<core::Stream> stream,
                                              core::ListenerId) {
      Owner& owner = *owners.emplace_back(std::make_unique<Owner>());
      loop.reactor->set_owner(*stream, owner);
      owner.stream = std::move(stream);
    };
  }
  std::vector<std::unique_ptr<Owner>> owners;
};

[[noreturn]] void pauses_and_goes_on() {
  warm_up();
  Loop loop;
  Clients clients(loop);
  const auto listener = listen_for(Family::v4);
  loop.reactor->listen(listener, core::ListenerId(0));
  std::vector<RawPeer> peers;
  for (int i = 0; i < 5; ++i) peers.emplace_back(listener->endpoint());
  const rlim_t in_use = highest_descriptor();
  limit_descriptors(in_use + 3);
  need(loop.until([&] { return !loop.driven.paused.empty(); }), "told that accepting pauses");
  need(clients.owners.size() == 3, "three are in");
  need(loop.driven.paused.front() ==
           "new clients have to wait: too many open files (raise the limit of open files: "
           "LimitNOFILE, ulimit -n, or lower max_client_conn)",
       "the reason");
  // It does not spin: an attempt each 100 ms.
  const auto accepts = loop.reactor->counters().accept.value();
  const auto until = steady_clock::now() + milliseconds(450);
  int turns = 0;
  while (steady_clock::now() < until) {
    loop.reactor->turn(loop.driven, milliseconds(450));
    ++turns;
  }
  need(loop.reactor->counters().accept.value() - accepts <= 6, "few attempts");
  need(turns <= 12, "few turns");
  need(loop.driven.paused.size() == 1, "told once");
  // Those who are in are served meanwhile.
  peers.front().send("hello");
  need(loop.until([&] { return clients.owners.front()->received == "hello"; }), "served");
  // One goes, and the next comes in at once.
  clients.owners.front()->stream.reset();
  for (int i = 0; i < 3; ++i) loop.reactor->turn(loop.driven, Duration::zero());
  need(clients.owners.size() == 4, "the next comes in");
  need(loop.driven.resumed == 1, "told that accepting goes on");
  // Room from elsewhere is found by trying.
  need(loop.until([&] { return loop.driven.paused.size() == 2; }), "told again, later");
  limit_descriptors(in_use + 10);
  need(loop.until([&] { return clients.owners.size() == 5; }), "the last comes in");
  clients.owners.clear();
  std::_Exit(0);
}

[[noreturn]] void connect_says_so() {
  warm_up();
  Loop loop;
  const RawListener listener(Family::v4);
  limit_descriptors(highest_descriptor());
  Owner owner;
  owner.stream = loop.reactor->connect(listener.endpoint(), owner);
  need(loop.until([&] { return owner.losses == 1; }), "lost");
  need(owner.lost.find("too many open files (raise the limit") != std::string::npos, "the reason");
  std::_Exit(0);
}

[[noreturn]] void reactor_says_so() {
  warm_up();
  limit_descriptors(highest_descriptor() + 1);
  const auto reactor = make_reactor();
  need(!reactor, "no reactor");
  need(reactor.error().message.find("too many open files") != std::string::npos, "the reason");
  std::_Exit(0);
}

TEST(DescriptorsRunOutDeathTest, AcceptingPausesAndGoesOn) {
  EXPECT_EXIT(pauses_and_goes_on(), testing::ExitedWithCode(0), "");
}

TEST(DescriptorsRunOutDeathTest, ConnectSaysSo) {
  EXPECT_EXIT(connect_says_so(), testing::ExitedWithCode(0), "");
}

TEST(DescriptorsRunOutDeathTest, MakeReactorSaysSo) {
  EXPECT_EXIT(reactor_says_so(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace forebay::net::test
