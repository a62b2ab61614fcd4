#include <gtest/gtest.h>

#include <map>
#include <string>

#include "core/statistics/pool_statistics.hpp"
#include "core/statistics/statement_meter.hpp"

namespace forebay::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(TimeHistogram, a_bound_belongs_to_its_bucket) {
  TimeHistogram histogram;
  histogram.add(0);
  histogram.add(250);
  histogram.add(251);
  histogram.add(50'000);
  histogram.add(31'000'000);
  EXPECT_EQ(histogram.bucket(0), 2u);
  EXPECT_EQ(histogram.bucket(1), 1u);
  EXPECT_EQ(histogram.bucket(7), 1u);
  EXPECT_EQ(histogram.bucket(TimeHistogram::kBounds.size()), 1u);
  EXPECT_EQ(histogram.count(), 5u);
  EXPECT_EQ(histogram.sum(), 31'050'501u);
}

TEST(ErrorCounters, a_client_that_raises_every_code_fills_no_more_than_there_is) {
  ErrorCounters errors;
  for (int i = 0; i < 5; ++i) errors.add("23505");
  for (int i = 0; i < 1000; ++i) errors.add("Z" + std::to_string(1000 + i));
  errors.add("\"\n\\{}");
  std::map<std::string, std::uint64_t> seen;
  std::uint64_t all = 0;
  errors.each([&](const std::string& code, std::uint64_t count) {
    seen[code] = count;
    all += count;
  });
  EXPECT_EQ(seen.size(), ErrorCounters::kCodesMax + 1);
  EXPECT_EQ(seen["23505"], 5u);
  EXPECT_EQ(all, 1006u);
}

TEST(ErrorCounters, a_code_shows_nothing_but_letters_and_digits) {
  ErrorCounters errors;
  errors.add("\"\n\\{}");
  errors.each([](const std::string& code, std::uint64_t) { EXPECT_EQ(code, "?????"); });
}

TEST(PoolStatistics, workers_are_summed_up) {
  PoolStatistics statistics(3);
  statistics.of(WorkerId(0)).client_bytes.add(1);
  statistics.of(WorkerId(2)).client_bytes.add(2);
  EXPECT_EQ(statistics.sum(&PoolCounters::client_bytes), 3u);
}

TEST(PoolStatistics, are_blank_until_a_client_has_logged_in_or_was_given_a_link) {
  PoolStatistics logged_in(1);
  logged_in.of(WorkerId(0)).server_bytes.add(100);  // a server refused a login
  EXPECT_TRUE(logged_in.blank());
  logged_in.note_client();
  EXPECT_FALSE(logged_in.blank());
  PoolStatistics reader(1);
  reader.of(WorkerId(0)).assignments.add();
  EXPECT_FALSE(reader.blank());
}

class Meter : public testing::Test {
 protected:
  Meter() { meter.pool = &counters; }
  Instant at(int ms) const { return start + milliseconds(ms); }
  /// A Query from `began` to `ended`.
  TimeSplit query(int began, int ended) {
    meter.sent(at(began));
    meter.answered({.began = at(began)}, at(ended));
    const TimeSplit split = meter.close(false);
    return split;
  }
  static std::uint64_t ms(std::uint64_t count) { return 1000 * count; }

  const Instant start{seconds(1000)};
  PoolCounters counters;
  StatementMeter meter;
};

TEST_F(Meter, time_in_the_server_is_the_servers) {
  meter.linked(at(0), {});
  const TimeSplit split = query(0, 300);
  EXPECT_EQ(split.wait, 0u);
  EXPECT_EQ(split.server, ms(300));
  EXPECT_EQ(split.transfer, 0u);
}

TEST_F(Meter, the_wait_is_the_first_statements) {
  meter.linked(at(500), milliseconds(500));
  const TimeSplit first = query(500, 510);
  EXPECT_EQ(first.wait, ms(500));
  EXPECT_EQ(first.server, ms(10));
  EXPECT_EQ(first.total(), ms(510));
  EXPECT_EQ(query(520, 530).wait, 0u);
  EXPECT_EQ(counters.wait.sum(), ms(500));
}

TEST_F(Meter, a_slow_reader_is_blamed_for_what_it_held_up) {
  meter.linked(at(0), {});
  meter.sent(at(0));
  meter.hold(at(20));
  meter.hold(at(30));  // still
  meter.let_go(at(220));
  meter.hold(at(240));
  meter.let_go(at(250));
  meter.answered({.began = at(0)}, at(260));
  const TimeSplit split = meter.close(false);
  EXPECT_EQ(split.transfer, ms(210));
  EXPECT_EQ(split.server, ms(50));
  EXPECT_EQ(counters.transfer_time.value(), ms(210));
  EXPECT_EQ(query(300, 310).transfer, 0u);
}

TEST_F(Meter, one_that_is_still_held_up_counts_until_now) {
  meter.linked(at(0), {});
  meter.sent(at(0));
  meter.hold(at(10));
  meter.answered({.began = at(0)}, at(100));
  EXPECT_EQ(meter.close(false).transfer, ms(90));
}

TEST_F(Meter, what_was_held_up_between_two_statements_is_nobodys) {
  meter.linked(at(0), {});
  query(0, 10);
  meter.quiet();
  meter.hold(at(20));  // the rest of the result
  meter.let_go(at(700));
  EXPECT_EQ(query(800, 1500).transfer, 0u);
  meter.quiet();
  meter.hold(at(1600));
  meter.sent(at(2000));
  meter.let_go(at(2100));
  meter.answered({.began = at(2000)}, at(2500));
  const TimeSplit split = meter.close(false);
  EXPECT_EQ(split.transfer, ms(100));
  EXPECT_EQ(split.server, ms(400));
}

TEST_F(Meter, in_a_pipeline_each_begins_where_the_one_before_ended) {
  meter.linked(at(0), {});
  meter.sent(at(0));
  meter.sent(at(0));
  meter.answered({.began = at(0)}, at(40));
  EXPECT_EQ(meter.close(false).server, ms(40));
  meter.answered({.began = at(0)}, at(50));
  EXPECT_EQ(meter.close(false).server, ms(10));
}

TEST_F(Meter, the_commit_behind_an_execute_is_its_own) {
  meter.linked(at(0), {});
  meter.sent(at(0));
  meter.current.bytes = 10;
  meter.current.rows = 3;
  meter.answered({.began = at(0)}, at(10));
  meter.current.bytes = 6;
  meter.ready(at(35));
  EXPECT_EQ(meter.open().answer.bytes, 16u);
  EXPECT_EQ(meter.open().answer.rows, 3u);
  EXPECT_EQ(meter.close(false).server, ms(35));
}

TEST_F(Meter, a_commit_that_fails_fails_the_statement) {
  meter.linked(at(0), {});
  meter.answered({.began = at(0)}, at(10));
  meter.current.fail("23505");
  meter.ready(at(20));
  EXPECT_TRUE(meter.open().answer.failed);
  EXPECT_EQ(std::string(meter.open().answer.sqlstate.data(), 5), "23505");
}

TEST_F(Meter, a_transaction_has_the_wait_the_servers_time_and_the_pauses) {
  meter.linked(at(100), milliseconds(100));
  query(100, 110);
  query(200, 220);
  meter.transaction_over(at(220));
  meter.transaction_over(at(230));  // over already
  EXPECT_EQ(counters.transactions.value(), 1u);
  EXPECT_EQ(counters.transaction_total.sum(), ms(220));
  EXPECT_EQ(counters.transaction_server.sum(), ms(30));
  EXPECT_EQ(counters.statements.value(), 2u);
  query(1000, 1005);  // on the same link: a transaction of its own
  meter.transaction_over(at(1005));
  EXPECT_EQ(counters.transaction_total.sum(), ms(225));
}

}  // namespace
}  // namespace forebay::core
