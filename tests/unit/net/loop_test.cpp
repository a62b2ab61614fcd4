#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

#include "support/loop.hpp"

namespace forebay::net::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(ReactorLoop, TurnsAtTheDeadlineAndNotBefore) {
  Loop loop;
  loop.reactor->turn(loop.driven, Duration::zero());
  const Instant due = loop.driven.now + milliseconds(20);
  loop.driven.deadline = due;
  int early = 0;
  do {
    loop.reactor->turn(loop.driven, Duration::max());
    if (loop.driven.now < due) ++early;
  } while (loop.driven.now < due);
  EXPECT_EQ(early, 0);
  EXPECT_LT(loop.driven.now, due + std::chrono::seconds(5));
}

TEST(ReactorLoop, ADeadlineInThePastDoesNotWait) {
  Loop loop;
  loop.driven.deadline = Instant{};
  loop.reactor->turn(loop.driven, Duration::max());
  EXPECT_EQ(loop.driven.turns, 1);
}

TEST(ReactorLoop, DoesMailInOrderAndOnItsThread) {
  LoopThread loop;
  std::vector<int> done;
  std::thread::id where;
  for (int i = 0; i < 1000; ++i) {
    loop.reactor().post([&done, i] { done.push_back(i); });
  }
  loop.run([&] { where = std::this_thread::get_id(); });
  ASSERT_EQ(done.size(), 1000U);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST(ReactorLoop, WakesOnlyWhoSleeps) {
  Loop loop;
  for (int i = 0; i < 100; ++i) loop.reactor->post([] {});
  EXPECT_EQ(loop.reactor->counters().wake_ups.value(), 0U) << "it is not asleep";
  loop.reactor->turn(loop.driven, Duration::max());
  EXPECT_EQ(loop.reactor->counters().mails.value(), 100U);
}

TEST(ReactorLoop, PostersFromManyThreadsLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  LoopThread loop;
  int done = 0;
  std::array<int, kThreads> last{};
  bool in_order = true;
  {
    std::vector<std::jthread> posters;
    for (std::size_t t = 0; t < kThreads; ++t) {
      posters.emplace_back([&, t] {
        for (int i = 1; i <= kEach; ++i) {
          loop.reactor().post([&, t, i] {
            ++done;
            in_order = in_order && std::exchange(last[t], i) == i - 1;
          });
        }
      });
    }
  }
  ASSERT_TRUE(loop.until([&] { return done == kThreads * kEach; }));
  loop.run([&] { EXPECT_TRUE(in_order); });
}

TEST(ReactorLoop, PingPongBetweenTwoLoops) {
  LoopThread one;
  LoopThread two;
  std::promise<void> done;
  std::function<void(int)> bounce = [&](int left) {
    if (left == 0) return done.set_value();
    Reactor& next = left % 2 == 0 ? one.reactor() : two.reactor();
    next.post([&bounce, left] { bounce(left - 1); });
  };
  bounce(2000);
  EXPECT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(ReactorLoop, UndoneMailIsDestroyed) {
  auto token = std::make_shared<int>(0);
  {
    Loop loop;
    loop.reactor->post([token] { FAIL(); });
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(ReactorLoop, MailMayOwnWhatOnlyMoves) {
  Loop loop;
  int got = 0;
  loop.reactor->post([&got, owned = std::make_unique<int>(7)] { got = *owned; });
  loop.reactor->turn(loop.driven, Duration::zero());
  EXPECT_EQ(got, 7);
}

TEST(ReactorLoop, EntropyDiffers) {
  Loop loop;
  std::string one(1000, '\0');
  std::string two(1000, '\0');
  loop.reactor->entropy(one);
  loop.reactor->entropy(two);
  EXPECT_NE(one, two);
  EXPECT_NE(one.substr(900), std::string(100, '\0'));
}

}  // namespace
}  // namespace forebay::net::test
