#include "core/statistics/statement_table.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/statistics/slow_samples.hpp"
#include "core/statistics/statement_leaders.hpp"

namespace forebay::core {
namespace {

using std::chrono::seconds;

TEST(FineHistogram, buckets_are_contiguous_and_a_middle_is_in_its_bucket) {
  std::size_t last = 0;
  for (std::uint64_t us = 0; us < 100'000; ++us) {
    const std::size_t bucket = FineHistogram::bucket_of(us);
    ASSERT_TRUE(bucket == last || bucket == last + 1) << us;
    last = bucket;
    ASSERT_EQ(FineHistogram::bucket_of(FineHistogram::middle_of(bucket)), bucket) << us;
    ASSERT_LE(FineHistogram::middle_of(bucket), us + us / 8 + 1);
  }
  EXPECT_EQ(FineHistogram::bucket_of(~std::uint64_t{0}), FineHistogram::kBuckets - 1);
}

TEST(FineHistogram, quantiles) {
  FineHistogram histogram;
  for (int i = 0; i < 98; ++i) histogram.add(1000);
  histogram.add(1'000'000);
  histogram.add(1'000'000);
  FineHistogram::Values values{};
  EXPECT_EQ(FineHistogram::quantile(values, 0.5), 0u);
  histogram.add_to(values);
  EXPECT_NEAR(static_cast<double>(FineHistogram::quantile(values, 0.5)), 1000, 130);
  EXPECT_NEAR(static_cast<double>(FineHistogram::quantile(values, 0.99)), 1e6, 130'000);
}

class Table : public testing::Test {
 protected:
  StatementEntryRef find(const std::string& text) {
    sql::lex(text, sql::StandardStrings::on, {}, shape);
    return table.find(shape, 1, pool);
  }
  void run(const std::string& text, std::uint64_t microseconds = 10) {
    StatementAnswer answer;
    answer.rows = 2;
    table.count(find(text).get(), {.server = microseconds}, answer, 7, now);
  }
  struct Report {
    std::vector<StatementRow> rows;
    StatementCounts other;
    [[nodiscard]] const StatementRow* row(const std::string& text) const {
      for (const auto& row : rows) {
        if (row.text == text) return &row;
      }
      return nullptr;
    }
    [[nodiscard]] std::uint64_t calls() const {
      std::uint64_t all = other.calls;
      for (const auto& row : rows) all += row.counts.calls;
      return all;
    }
  };
  [[nodiscard]] Report report() const {
    Report made;
    table.report(made.rows, made.other);
    return made;
  }

  const Instant now{seconds(100)};
  PoolStatistics pool{1, "app", "u"};
  sql::Shape shape;
  StatementTable table;
};

TEST_F(Table, literals_make_no_difference_and_are_not_shown) {
  table.set_max(10);
  run("select 1 from t where secret = 'hunter2'");
  run("SELECT  2 from t where secret = 'x' -- y");
  const Report seen = report();
  ASSERT_EQ(seen.rows.size(), 1u);
  EXPECT_EQ(seen.rows[0].counts.calls, 2u);
  EXPECT_EQ(seen.rows[0].counts.rows, 4u);
  EXPECT_EQ(seen.rows[0].counts.received_bytes, 14u);
  EXPECT_EQ(seen.rows[0].database, "app");
  EXPECT_EQ(seen.rows[0].user, "u");
  EXPECT_EQ(seen.rows[0].first_seen, now);
  EXPECT_EQ(seen.rows[0].text.find("hunter2"), std::string::npos);
}

TEST_F(Table, what_is_used_keeps_its_place_against_any_number_that_come_once) {
  table.set_max(20);
  for (int i = 0; i < 100; ++i) run("select often");
  run("select slow", 60'000'000);
  for (int i = 0; i < 20'000; ++i) {
    run("select noise_" + std::to_string(i));
    if (i % 20 == 0) run("select often");
    if (i % 100 == 0) run("select slow", 60'000'000);
  }
  const Report seen = report();
  EXPECT_EQ(seen.rows.size(), 20u);
  ASSERT_NE(seen.row("select often"), nullptr);
  EXPECT_EQ(seen.row("select often")->counts.calls, 1100u);
  ASSERT_NE(seen.row("select slow"), nullptr);
  EXPECT_EQ(seen.row("select slow")->counts.calls, 201u);
  EXPECT_EQ(seen.calls(), 100u + 1 + 20'000 + 1000 + 200);
}

TEST_F(Table, what_takes_most_time_stays_however_many_come_once) {
  table.set_max(50);
  run("select slow", 500'000);
  for (int i = 0; i < 20'000; ++i) run("select noise_" + std::to_string(i), 100);
  for (int i = 0; i < 60; ++i) run("select by_and_by", 9'000);
  for (int i = 0; i < 20'000; ++i) run("select more_" + std::to_string(i), 8'000);
  run("select slow", 500'000);
  const Report seen = report();
  ASSERT_NE(seen.row("select slow"), nullptr);
  EXPECT_EQ(seen.row("select slow")->counts.calls, 2u);
  ASSERT_NE(seen.row("select by_and_by"), nullptr);
  EXPECT_EQ(seen.row("select by_and_by")->counts.calls, 60u);
}

// Each is as heavy as the noise, and comes again before all places are taken.
TEST_F(Table, what_comes_again_gets_a_place_among_what_comes_once) {
  table.set_max(20);
  for (int i = 0; i < 2'000; ++i) {
    run("select noise_" + std::to_string(i), 100);
    if (i % 10 == 0) run("select again", 100);
  }
  ASSERT_NE(report().row("select again"), nullptr);
  EXPECT_EQ(report().row("select again")->counts.calls, 200u);
}

// Places are not kept for ever by what came twice, long ago.
TEST_F(Table, what_is_heavy_now_takes_the_place_of_what_was_light) {
  table.set_max(20);
  for (int i = 0; i < 20; ++i) {
    run("select old_" + std::to_string(i), 1'000);
    run("select old_" + std::to_string(i), 1'000);
  }
  for (int i = 0; i < 10; ++i) run("select now", 1'000);
  ASSERT_NE(report().row("select now"), nullptr);
  EXPECT_EQ(report().row("select now")->counts.calls, 10u);
  EXPECT_EQ(report().rows.size(), 20u);
}

TEST_F(Table, one_that_lost_its_place_comes_back_through_a_reference) {
  table.set_max(1);
  const StatementEntryRef kept = find("select kept");
  table.count(kept.get(), {.server = 1}, {}, 0, now);
  for (int i = 0; i < 5; ++i) run("select other_" + std::to_string(i));
  EXPECT_EQ(report().row("select kept"), nullptr);
  for (int i = 0; i < 3; ++i) table.count(kept.get(), {.server = 1}, {}, 0, now);
  ASSERT_NE(report().row("select kept"), nullptr);
  EXPECT_EQ(report().row("select kept")->counts.calls, 3u);
  EXPECT_EQ(report().calls(), 9u);
}

TEST_F(Table, a_text_that_was_not_understood_counts_with_the_others) {
  table.set_max(10);
  run("select 'open");
  EXPECT_TRUE(report().rows.empty());
  EXPECT_EQ(report().other.calls, 1u);
}

TEST_F(Table, reset_begins_anew) {
  table.set_max(10);
  run("select 1");
  table.reset();
  EXPECT_EQ(report().calls(), 0u);
  run("select 2, 3");
  EXPECT_EQ(report().calls(), 1u);
}

TEST_F(Table, a_long_text_is_cut) {
  table.set_max(10);
  run("select " + std::string(5000, 'x'));
  EXPECT_LE(report().rows[0].text.size(), 1010u);
}

StatementRow leader(std::uint64_t shape, std::uint64_t calls, std::uint64_t server) {
  StatementRow row{shape, "t", "app", "u", {}, {}, {}};
  row.counts.calls = calls;
  row.counts.server = server;
  return row;
}

TEST(StatementLeaders, no_number_goes_back_whatever_the_tables_forget) {
  StatementLeaders leaders;
  leaders.follow({leader(1, 10, 1000), leader(2, 1, 10)}, 1);
  // One worker's part of the first is gone, then all; the second takes more for now.
  leaders.follow({leader(1, 4, 400), leader(2, 2, 500)}, 1);
  leaders.follow({leader(2, 2, 500)}, 1);
  std::vector<StatementRow> seen = leaders.follow({leader(1, 3, 300), leader(2, 2, 600)}, 1);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].shape, 1u);
  EXPECT_EQ(seen[0].counts.calls, 13u);
  seen = leaders.follow({leader(1, 5, 500), leader(2, 2, 600)}, 1);
  EXPECT_EQ(seen[0].counts.calls, 15u);
  EXPECT_EQ(seen[0].counts.server, 1500u);
}

TEST(StatementLeaders, are_no_more_than_some) {
  StatementLeaders leaders;
  for (std::uint64_t i = 1; i < 100; ++i) leaders.follow({leader(i, 1, 1000 - i)}, 2);
  // The tenth was not followed any more: it begins anew, and stands behind the others.
  const auto seen = leaders.follow({leader(10, 1, 990), leader(1, 3, 2000)}, 2);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].counts.calls, 4u);
  EXPECT_EQ(seen[1].shape, 2u);
}

SlowSample sample(std::uint64_t shape, std::uint64_t took, int at) {
  SlowSample made;
  made.shape = shape;
  made.time.server = took;
  made.ended = Instant(seconds(at));
  return made;
}

TEST(SlowSamples, one_noisy_statement_pushes_out_no_other) {
  SlowSamples samples;
  samples.add(sample(1, 5, 0));
  for (int i = 1; i <= 10'000; ++i) samples.add(sample(2, i == 50 ? 9000 : 10, i));
  std::vector<SlowSample> seen;
  samples.report(seen);
  std::size_t noisy = 0;
  bool slowest = false;
  for (const SlowSample& one : seen) {
    noisy += one.shape == 2 ? 1 : 0;
    slowest = slowest || one.time.server == 9000;
  }
  EXPECT_EQ(noisy, SlowSamples::kShapeMax);
  EXPECT_EQ(seen.size(), noisy + 1);
  EXPECT_TRUE(slowest);
}

// Nobody knows whether they are the same statement.
TEST(SlowSamples, without_a_shape_push_out_none) {
  SlowSamples samples;
  for (int i = 0; i < 20; ++i) samples.add(sample(0, 10, i));
  std::vector<SlowSample> seen;
  samples.report(seen);
  EXPECT_EQ(seen.size(), 20u);
}

TEST(SlowSamples, are_so_many_at_most_and_the_oldest_goes) {
  SlowSamples samples;
  samples.keep_unwritten(true);
  for (int i = 0; i < 5000; ++i) samples.add(sample(static_cast<std::uint64_t>(i), 10, i));
  std::vector<SlowSample> seen;
  samples.report(seen);
  EXPECT_EQ(seen.size(), SlowSamples::kMax);
  for (const SlowSample& one : seen) EXPECT_GE(one.shape, 5000 - SlowSamples::kMax);
  std::vector<SlowSample> written;
  EXPECT_EQ(samples.take_unwritten(written), 5000 - SlowSamples::kUnwrittenMax);
  EXPECT_EQ(written.size(), SlowSamples::kUnwrittenMax);
}

}  // namespace
}  // namespace forebay::core
