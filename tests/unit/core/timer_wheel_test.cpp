#include "core/engine/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace forebay::core {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{hours(30)};

/// A timer that knows when it went off.
struct Probe {
  explicit Probe(std::function<void()> also = {}) : then(std::move(also)) {}
  static void fire(void* self) {
    auto& probe = *static_cast<Probe*>(self);
    ++probe.fired;
    if (probe.then) probe.then();
  }
  Timer timer{&Probe::fire, this};
  std::function<void()> then;
  int fired = 0;
  std::optional<Instant> at;  ///< of the model
};

TEST(TimerWheel, fires_once_when_the_deadline_has_passed) {
  TimerWheel wheel;
  Probe probe;
  wheel.advance(kStart);
  wheel.arm(probe.timer, kStart + milliseconds(100));
  EXPECT_TRUE(probe.timer.armed());
  wheel.advance(kStart + milliseconds(99));
  EXPECT_EQ(probe.fired, 0);
  wheel.advance(kStart + milliseconds(100) + TimerWheel::kTick);
  EXPECT_EQ(probe.fired, 1);
  EXPECT_FALSE(probe.timer.armed());
  wheel.advance(kStart + hours(1));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, may_be_armed_before_the_first_turn) {
  TimerWheel wheel;
  Probe probe;
  wheel.arm(probe.timer, kStart + milliseconds(5));
  EXPECT_LE(wheel.next(kStart), kStart + milliseconds(5) + 2 * TimerWheel::kTick);
  wheel.advance(kStart);
  EXPECT_EQ(probe.fired, 0);
  wheel.advance(kStart + milliseconds(5) + TimerWheel::kTick);
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, a_cancelled_or_destroyed_timer_does_not_fire) {
  TimerWheel wheel;
  Probe cancelled;
  auto destroyed = std::make_unique<Probe>();
  wheel.arm(cancelled.timer, kStart);
  wheel.arm(destroyed->timer, kStart);
  cancelled.timer.cancel();
  cancelled.timer.cancel();
  destroyed.reset();
  wheel.advance(kStart + seconds(1));
  EXPECT_EQ(cancelled.fired, 0);
  EXPECT_EQ(wheel.next(kStart + seconds(1)), kNever);
}

TEST(TimerWheel, arming_again_moves_the_deadline) {
  TimerWheel wheel;
  wheel.advance(kStart);
  Probe probe;
  wheel.arm(probe.timer, kStart + seconds(1));
  wheel.arm(probe.timer, kStart + seconds(3));
  wheel.advance(kStart + seconds(2));
  EXPECT_EQ(probe.fired, 0);
  wheel.advance(kStart + seconds(4));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, while_firing_timers_may_be_armed_and_cancelled) {
  TimerWheel wheel;
  Probe victim;
  int rounds = 0;
  Probe again;
  again.then = [&] {
    victim.timer.cancel();
    if (++rounds < 3) wheel.arm(again.timer, kStart);  // due already: at the next visit
  };
  wheel.advance(kStart);
  wheel.arm(again.timer, kStart + milliseconds(1));
  wheel.arm(victim.timer, kStart + milliseconds(1));
  for (int i = 1; i < 10; ++i) wheel.advance(kStart + i * TimerWheel::kTick);
  EXPECT_EQ(again.fired, 3);
  EXPECT_EQ(victim.fired, 0);
}

TEST(TimerWheel, knows_that_nothing_is_armed) {
  TimerWheel wheel;
  EXPECT_EQ(wheel.next(kStart), kNever);
  wheel.advance(kStart);
  EXPECT_EQ(wheel.next(kStart), kNever);
}

// Against a plain list: nothing early, nothing later than a tick, next() never too late.
TEST(TimerWheel, agrees_with_a_list_of_deadlines) {
  std::cout << "seeds 1 to 150\n";
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    std::mt19937_64 random(seed);
    TimerWheel wheel;
    Instant now = kStart;
    std::vector<std::unique_ptr<Probe>> probes;
    for (int i = 0; i < 40; ++i) probes.push_back(std::make_unique<Probe>());
    for (int step = 0; step < 300; ++step) {
      Probe& probe = *probes[random() % probes.size()];
      switch (random() % 4) {
        case 0: {
          constexpr std::int64_t kFar[] = {1, 30, 900, 11'000, 60'000, 3'600'000};
          const auto in = microseconds(random() % (1000 * kFar[random() % 6] + 1));
          probe.at = now + in;
          wheel.arm(probe.timer, *probe.at);
          break;
        }
        case 1:
          probe.timer.cancel();
          probe.at.reset();
          break;
        default: {
          // Sometimes just to where the wheel wants its next visit, sometimes anywhere.
          const Instant next = wheel.next(now);
          for (const auto& other : probes) {
            if (other->at) {
              ASSERT_LE(next, std::max(*other->at, now) + 2 * TimerWheel::kTick) << "seed " << seed;
            }
          }
          if (random() % 2 == 0 && next != kNever) {
            ASSERT_GT(next, now) << "seed " << seed;
            now = next;
          } else {
            now += milliseconds(random() % (random() % 10 == 0 ? 30'000 : 50));
          }
          wheel.advance(now);
        }
      }
      for (const auto& other : probes) {
        if (other->fired > 0) {
          ASSERT_EQ(other->fired, 1) << "seed " << seed;
          ASSERT_TRUE(other->at && *other->at <= now) << "early; seed " << seed;
          other->fired = 0;
          other->at.reset();
        } else if (other->at) {
          ASSERT_GT(*other->at + 2 * TimerWheel::kTick, now) << "late; seed " << seed;
        }
      }
    }
  }
}

}  // namespace
}  // namespace forebay::core
