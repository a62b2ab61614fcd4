#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "forebay/net/resolver.hpp"
#include "support/loop.hpp"

namespace forebay::net::test {
namespace {

using Addresses = Resolver::Addresses;

/// Look-ups that the test answers when it likes.
struct Asked {
  Resolver::LookUp look_up() {
    return [this](const std::string& host, Resolver::Answer answer) {
      hosts.push_back(host);
      answers.push_back(std::move(answer));
    };
  }
  std::vector<std::string> hosts;
  std::vector<Resolver::Answer> answers;
};

struct Told {
  Resolver::Answer note() {
    return [this](const Result<Addresses>& result) {
      all.push_back(result ? (result->empty() ? "none" : result->front()) : result.error().message);
    };
  }
  std::vector<std::string> all;
};

TEST(Resolver, KeepsAnAnswerForAWhile) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up());
  resolver.resolve("db", told.note());
  asked.answers.at(0)(Addresses{"192.0.2.1"});
  resolver.resolve("db", told.note());
  EXPECT_EQ(asked.hosts, std::vector<std::string>{"db"});
  EXPECT_EQ(told.all, (std::vector<std::string>{"192.0.2.1", "192.0.2.1"}));
}

TEST(Resolver, LooksUpAgainAfterwards) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up(), Duration::zero());
  resolver.resolve("db", told.note());
  asked.answers.at(0)(Addresses{"192.0.2.1"});
  resolver.resolve("db", told.note());
  asked.answers.at(1)(Addresses{"192.0.2.2"});
  EXPECT_EQ(told.all, (std::vector<std::string>{"192.0.2.1", "192.0.2.2"}));
}

// Name servers turn them round, and the monitor's connection is to lead where new ones do.
TEST(Resolver, SeveralAddressesKeepTheirOrder) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up(), Duration::zero());
  const Addresses answers[] = {{"192.0.2.2", "192.0.2.1"},
                               {"192.0.2.1", "192.0.2.2"},
                               {"192.0.2.3", "192.0.2.1", "192.0.2.2"},
                               {"192.0.2.3", "192.0.2.1"}};
  for (std::size_t i = 0; i < std::size(answers); ++i) {
    resolver.resolve("db", told.note());
    asked.answers.at(i)(answers[i]);
  }
  EXPECT_EQ(told.all,
            (std::vector<std::string>{"192.0.2.2", "192.0.2.2", "192.0.2.2", "192.0.2.1"}));
}

TEST(Resolver, TheLastGoodAnswerServesWhileLookUpsFail) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up(), Duration::zero());
  resolver.resolve("db", told.note());
  asked.answers.at(0)(Addresses{"192.0.2.1"});
  resolver.resolve("db", told.note());
  asked.answers.at(1)(failure("Temporary failure in name resolution"));
  resolver.resolve("db", told.note());
  asked.answers.at(2)(Addresses{});
  EXPECT_EQ(told.all, (std::vector<std::string>{"192.0.2.1", "192.0.2.1", "192.0.2.1"}));
}

TEST(Resolver, AFailureIsKeptWhereThatIsWanted) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up());
  resolver.keep_for(std::chrono::hours(1), std::chrono::hours(1));
  resolver.resolve("db", told.note());
  asked.answers.at(0)(failure("Name or service not known"));
  resolver.resolve("db", told.note());
  EXPECT_EQ(asked.hosts.size(), 1u);
  EXPECT_EQ(told.all.at(0), told.all.at(1));
}

TEST(Resolver, LooksUpAgainByItselfAndTellsWhatMoved) {
  Asked asked;
  Told told;
  std::vector<std::string> moved;
  Resolver resolver(asked.look_up(), Duration::zero());
  resolver.on_moved([&](const std::string& host, const Addresses& now) {
    moved.push_back(host + " " + now.front());
  });
  resolver.refresh();
  EXPECT_TRUE(asked.hosts.empty());
  resolver.resolve("db", told.note());
  asked.answers.at(0)(Addresses{"192.0.2.1", "192.0.2.2"});
  resolver.refresh();
  resolver.refresh();  // one is under way
  ASSERT_EQ(asked.hosts.size(), 2u);
  asked.answers.at(1)(Addresses{"192.0.2.2", "192.0.2.1"});
  EXPECT_TRUE(moved.empty()) << "the order does not matter";
  resolver.refresh();
  asked.answers.at(2)(failure("Temporary failure in name resolution"));
  EXPECT_TRUE(moved.empty()) << "the last good answer holds";
  resolver.refresh();
  asked.answers.at(3)(Addresses{"192.0.2.2"});
  EXPECT_EQ(moved, std::vector<std::string>{"db 192.0.2.2"});
  ASSERT_EQ(resolver.known().size(), 1u);
  EXPECT_EQ(resolver.known().front().addresses, Addresses{"192.0.2.2"});
}

TEST(Resolver, LooksUpAgainWhatCouldNotBeReachedOnceASecond) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up(), std::chrono::hours(1));
  resolver.unreachable("db");  // of which nothing is known
  resolver.resolve("db", told.note());
  asked.answers.at(0)(Addresses{"192.0.2.1"});
  const auto since = std::chrono::steady_clock::now();
  while (asked.hosts.size() == 1) {
    resolver.unreachable("db");
    resolver.resolve("db", [](const Result<Addresses>&) {});
    std::this_thread::yield();
  }
  EXPECT_GE(std::chrono::steady_clock::now() - since, Resolver::kLookAgain / 2);
  asked.answers.at(1)(Addresses{"192.0.2.2"});
  resolver.resolve("db", told.note());
  EXPECT_EQ(told.all.back(), "192.0.2.2");
}

TEST(Resolver, LeavesAloneWhatIsStillKept) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up(), std::chrono::hours(1));
  resolver.resolve("db", told.note());
  asked.answers.at(0)(Addresses{"192.0.2.1"});
  resolver.refresh();
  EXPECT_EQ(asked.hosts.size(), 1u);
}

TEST(Resolver, AFailureIsNotKept) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up());
  resolver.resolve("db", told.note());
  asked.answers.at(0)(failure("Name or service not known"));
  resolver.resolve("db", told.note());
  asked.answers.at(1)(Addresses{"192.0.2.1"});
  EXPECT_EQ(told.all,
            (std::vector<std::string>{
                "could not resolve host name \"db\": Name or service not known", "192.0.2.1"}));
}

TEST(Resolver, ANameWithoutAddresses) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up());
  resolver.resolve("db", told.note());
  asked.answers.at(0)(Addresses{});
  EXPECT_EQ(told.all.at(0), "could not resolve host name \"db\": it has no address");
}

TEST(Resolver, ThoseWhoAskTogetherShareALookUp) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up());
  resolver.resolve("db", told.note());
  resolver.resolve("db", told.note());
  resolver.resolve("other", told.note());
  EXPECT_EQ(asked.hosts, (std::vector<std::string>{"db", "other"}));
  asked.answers.at(0)(Addresses{"192.0.2.1"});
  EXPECT_EQ(told.all.size(), 2U);
}

TEST(Resolver, MayBeAskedFromWithinAnAnswer) {
  Asked asked;
  Told told;
  Resolver resolver(asked.look_up());
  resolver.resolve("db", [&](const Result<Addresses>&) { resolver.resolve("db", told.note()); });
  asked.answers.at(0)(Addresses{"192.0.2.1"});
  EXPECT_EQ(told.all.size(), 1U);
}

/// The system's look-ups, on a control thread.
struct Control {
  boost::asio::io_context context;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
  std::jthread thread{[this] { context.run(); }};
  ~Control() { context.stop(); }
};

TEST(SystemLookUp, FindsThisMachineForManyThreads) {
  Control control;
  Resolver resolver(system_look_up(control.context), Duration::zero());
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        std::promise<Result<Addresses>> told;
        resolver.resolve("localhost", [&](const Result<Addresses>& r) { told.set_value(r); });
        const auto addresses = told.get_future().get();
        if (addresses && std::ranges::find(*addresses, "127.0.0.1") != addresses->end()) ++good;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 200);
}

TEST(SystemLookUp, SaysWhyNot) {
  Control control;
  Resolver resolver(system_look_up(control.context));
  std::promise<Result<Addresses>> told;
  resolver.resolve("not a host name", [&](const Result<Addresses>& r) { told.set_value(r); });
  const auto addresses = told.get_future().get();
  ASSERT_FALSE(addresses);
  EXPECT_EQ(addresses.error().message.find("could not resolve host name \"not a host name\": "), 0U)
      << addresses.error().message;
}

TEST(SystemLookUp, ServesAReactor) {
  Control control;
  Resolver resolver(system_look_up(control.context));
  LoopThread loop({.resolver = &resolver});
  const auto listener = *Listener::open({"localhost", 0});
  Owner owner;
  loop.run([&] { owner.stream = loop.reactor().connect(listener->endpoint(), owner); });
  EXPECT_TRUE(loop.until([&] { return owner.connected == 1; }));
  loop.run([&] { owner.stream.reset(); });
}

}  // namespace
}  // namespace forebay::net::test
