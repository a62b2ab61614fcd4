#include "core/server/link_watch.hpp"

#include <gtest/gtest.h>

namespace forebay::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A link over a time that the test tells.
class LinkWatchTest : public ::testing::Test {
 protected:
  void expect(Instant at, TimeLimit limit) {
    const LinkWatch::Due due = watch_.look(facts_, settings_, settings_.statement_timeout, now_);
    EXPECT_EQ(due.at, at);
    EXPECT_EQ(due.limit, limit);
  }
  void expect_never() {
    EXPECT_EQ(watch_.look(facts_, settings_, settings_.statement_timeout, now_).at, kNever);
  }

  Instant now_ = Instant(seconds(1000));
  const Instant start_ = now_;
  LinkWatch::Facts facts_;
  config::PoolSettings settings_;
  LinkWatch watch_;
};

TEST_F(LinkWatchTest, has_nothing_to_say_without_timeouts) {
  watch_.begin(facts_, now_);
  expect_never();
  facts_.busy = facts_.in_transaction = true;
  expect_never();
}

TEST_F(LinkWatchTest, counts_a_statement_from_when_it_was_sent) {
  settings_.statement_timeout = seconds(5);
  watch_.begin(facts_, now_);
  expect_never();
  now_ += seconds(3);
  facts_.busy = true;
  expect(now_ + seconds(5), TimeLimit::statement);
  now_ += seconds(1);
  expect(start_ + seconds(8), TimeLimit::statement);
  // Answered, and the next one sent, in one event.
  ++facts_.statements;
  expect(now_ + seconds(5), TimeLimit::statement);
  ++facts_.statements;
  facts_.busy = false;
  expect_never();
}

TEST_F(LinkWatchTest, counts_a_transaction_over_its_statements_and_rests) {
  settings_.transaction_timeout = seconds(10);
  watch_.begin(facts_, now_);
  facts_.busy = true;
  expect(start_ + seconds(10), TimeLimit::transaction);
  now_ += seconds(4);
  facts_ = {.in_transaction = true, .statements = 1};
  expect(start_ + seconds(10), TimeLimit::transaction);
  now_ += seconds(4);
  facts_.busy = true;
  expect(start_ + seconds(10), TimeLimit::transaction);
  // It ends and the next one begins, in one event.
  facts_ = {.busy = true, .statements = 2, .transactions = 1};
  expect(now_ + seconds(10), TimeLimit::transaction);
  facts_ = {.statements = 3, .transactions = 2};
  expect_never();
}

TEST_F(LinkWatchTest, tells_rest_in_a_transaction_from_rest_outside) {
  settings_.idle_transaction_timeout = seconds(2);
  settings_.client_idle_timeout = seconds(7);
  watch_.begin(facts_, now_);
  expect(now_ + seconds(7), TimeLimit::client_idle);
  facts_.busy = true;
  expect_never();
  now_ += seconds(1);
  facts_ = {.in_transaction = true, .statements = 1};
  expect(now_ + seconds(2), TimeLimit::idle_transaction);
  now_ += seconds(1);
  expect(now_ + seconds(1), TimeLimit::idle_transaction);
  facts_.busy = true;
  expect_never();
  now_ += seconds(1);
  facts_ = {.statements = 2, .transactions = 1};
  expect(now_ + seconds(7), TimeLimit::client_idle);
}

TEST_F(LinkWatchTest, names_the_limit_that_ends_first) {
  settings_.statement_timeout = seconds(5);
  settings_.transaction_timeout = seconds(6);
  watch_.begin(facts_, now_);
  facts_.busy = true;
  expect(start_ + seconds(5), TimeLimit::statement);
  now_ += milliseconds(1500);
  ++facts_.statements;
  expect(start_ + seconds(6), TimeLimit::transaction);
}

TEST_F(LinkWatchTest, who_is_not_listened_to_is_not_idle) {
  settings_.idle_transaction_timeout = seconds(2);
  facts_.in_transaction = true;
  watch_.begin(facts_, now_);
  expect(start_ + seconds(2), TimeLimit::idle_transaction);
  facts_.paced = true;
  expect_never();
  now_ += seconds(10);
  facts_.paced = false;
  expect(now_ + seconds(2), TimeLimit::idle_transaction);
}

}  // namespace
}  // namespace forebay::core
