#include "app/event_limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forebay::app {
namespace {

using core::Weight;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class EventLimitsTest : public ::testing::Test {
 protected:
  EventLimitsTest() { limits_.set_rate(2); }

  /// How many of so many lines are written.
  unsigned written(const char* event, unsigned lines, Weight weight = Weight::normal) {
    unsigned written = 0;
    for (unsigned i = 0; i < lines; ++i) written += limits_.admit(event, weight, now_) ? 1 : 0;
    return written;
  }
  /// What is said, as "event: lines".
  static std::vector<std::string> words(const std::vector<EventLimits::LeftOut>& all) {
    std::vector<std::string> words;
    for (const auto& left : all) words.push_back(left.event + ": " + std::to_string(left.lines));
    return words;
  }

  EventLimits limits_;
  EventLimits::Time now_{seconds(1000)};
};

TEST_F(EventLimitsTest, a_flood_of_one_event_leaves_the_others_alone) {
  EXPECT_EQ(written("refused", 100'000), 20U) << "ten seconds' worth";
  EXPECT_EQ(written("connected", 20), 20U);
  now_ += milliseconds(500);
  EXPECT_EQ(written("refused", 100), 1U);
  now_ += seconds(3600);
  EXPECT_EQ(written("refused", 100), 20U) << "no more for a long pause";
}

TEST_F(EventLimitsTest, what_is_left_out_is_told_of_when_it_is_over) {
  written("refused", 25);
  written("connected", 3);
  EXPECT_THAT(words(limits_.look()), IsEmpty()) << "more may come";
  written("refused", 5, Weight::warning);
  EXPECT_THAT(words(limits_.look()), IsEmpty());
  const auto told = limits_.look();
  EXPECT_THAT(words(told), ElementsAre("refused: 10"));
  EXPECT_EQ(told.front().weight, Weight::warning) << "that of the most important one";
  EXPECT_THAT(words(limits_.look()), IsEmpty()) << "once";
  written("refused", 1);
  EXPECT_THAT(words(limits_.rest()), ElementsAre("refused: 1"));
  EXPECT_THAT(words(limits_.rest()), IsEmpty());
  EXPECT_THAT(limits_.totals(), ElementsAre(Pair("refused", 11)));
}

TEST_F(EventLimitsTest, a_flood_that_lasts_is_told_of_all_the_same) {
  std::uint64_t told = 0;
  std::uint64_t left_out = 0;
  unsigned times = 0;
  for (unsigned i = 0; i < 3 * EventLimits::kLooksMax; ++i) {
    left_out += 100 - written("refused", 100);
    for (const auto& left : limits_.look()) {
      told += left.lines;
      ++times;
    }
    now_ += seconds(1);
  }
  EXPECT_EQ(told, left_out);
  EXPECT_EQ(times, 3U);
}

TEST_F(EventLimitsTest, no_limit_and_a_new_one_hold_at_once) {
  written("refused", 100);
  limits_.set_rate(0);
  EXPECT_EQ(written("refused", 1000), 1000U);
  limits_.set_rate(3);
  EXPECT_EQ(written("refused", 1000), 30U);
}

TEST_F(EventLimitsTest, words_that_nobody_expected_are_one) {
  for (unsigned i = 0; i < 10'000; ++i) written(("made up " + std::to_string(i)).c_str(), 30);
  EXPECT_EQ(limits_.totals().size(), EventLimits::kEventsMax + 1);
}

TEST_F(EventLimitsTest, a_clock_that_a_thread_read_before_another_takes_nothing_away) {
  written("refused", 10);
  now_ -= seconds(100);
  EXPECT_EQ(written("refused", 100), 10U);
  now_ += seconds(101);
  EXPECT_EQ(written("refused", 100), 2U);
}

}  // namespace
}  // namespace forebay::app
