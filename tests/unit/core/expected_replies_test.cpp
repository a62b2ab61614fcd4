#include "core/relay/expected_replies.hpp"

#include <gtest/gtest.h>

namespace forebay::core {
namespace {

using pg::Backend;
using Effect = ExpectedReplies::Effect;

Expected expect(Request request, Disposition disposition = Disposition::forward) {
  Expected expected;
  expected.request = request;
  expected.disposition = disposition;
  return expected;
}

class ExpectedRepliesTest : public ::testing::Test {
 protected:
  bool push(Request request, Disposition disposition = Disposition::forward) {
    return queue_.push(expect(request, disposition));
  }
  Effect take(Backend type) { return queue_.take(type).effect; }

  ExpectedReplies queue_;
};

TEST_F(ExpectedRepliesTest, begins_empty_and_at_rest) {
  EXPECT_TRUE(queue_.empty());
  EXPECT_FALSE(queue_.batch_open());
  EXPECT_FALSE(queue_.skipping());
  EXPECT_FALSE(queue_.doubtful());
  EXPECT_EQ(queue_.disposition(), Disposition::forward);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::unexpected);
}

TEST_F(ExpectedRepliesTest, gives_each_reply_its_disposition) {
  push(Request::parse, Disposition::precede);
  push(Request::bind);
  push(Request::sync, Disposition::discard);
  EXPECT_EQ(queue_.take(Backend::ParseComplete).disposition, Disposition::precede);
  EXPECT_EQ(queue_.take(Backend::BindComplete).disposition, Disposition::forward);
  EXPECT_EQ(queue_.take(Backend::ReadyForQuery).disposition, Disposition::discard);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ExpectedRepliesTest, a_batch_is_open_until_its_sync) {
  push(Request::parse);
  EXPECT_TRUE(queue_.batch_open());
  push(Request::sync);
  EXPECT_FALSE(queue_.batch_open());
  push(Request::query);
  EXPECT_FALSE(queue_.batch_open());
}

TEST_F(ExpectedRepliesTest, counts_batches_by_their_syncs) {
  const std::uint32_t first = queue_.batch();
  push(Request::parse);
  push(Request::query);
  EXPECT_EQ(queue_.batch(), first);
  EXPECT_FALSE(queue_.owes_sync());
  push(Request::sync);
  EXPECT_NE(queue_.batch(), first);
  EXPECT_TRUE(queue_.owes_sync());
  take(Backend::ParseComplete);
  take(Backend::ReadyForQuery);
  EXPECT_TRUE(queue_.owes_sync());
  take(Backend::ReadyForQuery);
  EXPECT_FALSE(queue_.owes_sync());
}

TEST_F(ExpectedRepliesTest, after_a_failed_batch_nothing_is_expected_before_sync) {
  push(Request::bind);
  EXPECT_EQ(take(Backend::ErrorResponse), Effect::batch_failed);
  ASSERT_EQ(queue_.voided().size(), 1u);
  EXPECT_TRUE(queue_.skipping());
  EXPECT_FALSE(push(Request::execute));
  EXPECT_FALSE(push(Request::query));
  EXPECT_TRUE(queue_.batch_open());
  EXPECT_TRUE(push(Request::sync));
  EXPECT_FALSE(queue_.skipping());
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
}

TEST_F(ExpectedRepliesTest, an_error_voids_up_to_sync_and_no_further) {
  push(Request::parse);
  push(Request::close, Disposition::supply);
  push(Request::query);
  push(Request::sync);
  push(Request::bind);
  EXPECT_EQ(take(Backend::ErrorResponse), Effect::batch_failed);
  ASSERT_EQ(queue_.voided().size(), 3u);
  EXPECT_EQ(queue_.voided()[0].request, Request::parse);
  EXPECT_EQ(queue_.voided()[2].request, Request::query);
  EXPECT_FALSE(queue_.skipping());
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  EXPECT_TRUE(queue_.voided().empty());
  EXPECT_EQ(take(Backend::BindComplete), Effect::done);
}

TEST_F(ExpectedRepliesTest, the_error_of_a_query_leaves_its_end_to_come) {
  push(Request::query);
  EXPECT_EQ(take(Backend::ErrorResponse), Effect::error);
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
}

TEST_F(ExpectedRepliesTest, what_is_supplied_waits_for_its_turn) {
  push(Request::bind);
  push(Request::parse, Disposition::supply);
  push(Request::close, Disposition::supply);
  EXPECT_FALSE(queue_.supplied_at_head());
  take(Backend::BindComplete);
  ASSERT_TRUE(queue_.supplied_at_head());
  EXPECT_EQ(queue_.pop_supplied().request, Request::parse);
  EXPECT_EQ(queue_.pop_supplied().request, Request::close);
  EXPECT_FALSE(queue_.supplied_at_head());
}

TEST_F(ExpectedRepliesTest, abandon_all_keeps_the_order_and_forgets_what_is_supplied) {
  for (int i = 0; i < 6; ++i) push(Request::query);
  for (int i = 0; i < 6; ++i) take(Backend::ReadyForQuery);
  push(Request::parse);  // the ring wraps around
  push(Request::close, Disposition::supply);
  push(Request::bind, Disposition::precede);
  push(Request::sync);
  queue_.abandon_all();
  EXPECT_EQ(queue_.size(), 3u);
  EXPECT_TRUE(queue_.owes_sync());
  EXPECT_EQ(queue_.take(Backend::ParseComplete).disposition, Disposition::abandon);
  EXPECT_EQ(queue_.take(Backend::BindComplete).disposition, Disposition::abandon);
  EXPECT_EQ(queue_.take(Backend::ReadyForQuery).disposition, Disposition::abandon);
  EXPECT_FALSE(queue_.owes_sync());
}

TEST_F(ExpectedRepliesTest, grows_while_it_wraps_around) {
  std::uint32_t pushed = 0;
  std::uint32_t taken = 0;
  for (std::uint32_t round = 1; round < 60; ++round) {
    for (std::uint32_t i = 0; i < round; ++i) {
      Expected expected = expect(Request::close);
      expected.unnamed_version = pushed++;
      ASSERT_TRUE(queue_.push(std::move(expected)));
    }
    for (std::uint32_t i = 0; i < round / 2; ++i) {
      ASSERT_EQ(queue_.take(Backend::CloseComplete).effect, Effect::done);
      ASSERT_EQ(queue_.done().unnamed_version, taken++);
    }
  }
  while (!queue_.empty()) {
    ASSERT_EQ(queue_.take(Backend::CloseComplete).effect, Effect::done);
    ASSERT_EQ(queue_.done().unnamed_version, taken++);
  }
  EXPECT_EQ(taken, pushed);
}

// ---------------------------------------------------------------- COPY FROM

TEST_F(ExpectedRepliesTest, copy_in_ends_with_copy_done) {
  push(Request::query);
  EXPECT_EQ(take(Backend::CopyInResponse), Effect::part);
  EXPECT_TRUE(queue_.copying_in());
  queue_.push_copy_end();
  EXPECT_FALSE(queue_.copying_in());
  take(Backend::CommandComplete);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  EXPECT_TRUE(queue_.empty());
}

// Nobody but a server that breaks the protocol says so, and nobody knows what it makes of the next.
TEST_F(ExpectedRepliesTest, copy_in_that_the_server_ends_by_itself) {
  for (const bool completed : {true, false}) {
    push(Request::query);
    take(Backend::CopyInResponse);
    if (completed) EXPECT_EQ(take(Backend::CommandComplete), Effect::part);
    EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
    EXPECT_TRUE(queue_.empty());
    EXPECT_FALSE(queue_.copying_in());
    EXPECT_TRUE(queue_.doubtful());
    EXPECT_TRUE(push(Request::query)) << "its answer is waited for";
    EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  }
}

TEST_F(ExpectedRepliesTest, copy_in_swallows_syncs_sent_before_and_after_it_was_known) {
  push(Request::execute);
  push(Request::sync);
  take(Backend::CopyInResponse);
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_FALSE(queue_.owes_sync());
  EXPECT_TRUE(queue_.batch_open());
  EXPECT_FALSE(push(Request::sync));
  queue_.push_copy_end();
  push(Request::sync);
  EXPECT_EQ(take(Backend::CommandComplete), Effect::done);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  EXPECT_TRUE(queue_.empty());
  EXPECT_FALSE(queue_.doubtful());
}

TEST_F(ExpectedRepliesTest, two_copies_in_one_query_claim_their_ends_in_order) {
  push(Request::query);
  queue_.push_copy_end();
  queue_.push_copy_end();
  push(Request::query);
  take(Backend::CopyInResponse);
  EXPECT_FALSE(queue_.copying_in());
  take(Backend::CommandComplete);
  take(Backend::CopyInResponse);
  EXPECT_FALSE(queue_.copying_in());
  take(Backend::CommandComplete);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  EXPECT_EQ(queue_.size(), 1u);
}

TEST_F(ExpectedRepliesTest, the_end_of_a_copy_that_never_began_is_forgotten) {
  push(Request::query);
  queue_.push_copy_end();
  push(Request::query);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_EQ(queue_.head_request(), Request::query);
}

TEST_F(ExpectedRepliesTest, another_message_aborts_a_copy_and_is_lost) {
  push(Request::query);
  push(Request::query);
  push(Request::query);
  take(Backend::CopyInResponse);
  EXPECT_FALSE(queue_.copying_in());
  EXPECT_EQ(queue_.voided().size(), 1u);
  EXPECT_EQ(take(Backend::ErrorResponse), Effect::error);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  EXPECT_EQ(queue_.size(), 1u);
}

TEST_F(ExpectedRepliesTest, only_the_first_message_that_aborts_a_copy_is_lost) {
  push(Request::query);
  take(Backend::CopyInResponse);
  EXPECT_FALSE(push(Request::query));
  EXPECT_FALSE(queue_.copying_in());
  EXPECT_TRUE(push(Request::query));
  take(Backend::ErrorResponse);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
  EXPECT_EQ(take(Backend::ReadyForQuery), Effect::done);
}

// The error may have come before the server read the Sync, which it then answers, or after.
TEST_F(ExpectedRepliesTest, a_copy_with_a_sync_in_it_that_failed_is_doubtful) {
  push(Request::execute);
  take(Backend::CopyInResponse);
  EXPECT_FALSE(push(Request::sync));
  EXPECT_EQ(take(Backend::ErrorResponse), Effect::batch_failed);
  EXPECT_TRUE(queue_.doubtful());
}

TEST_F(ExpectedRepliesTest, a_copy_with_a_sync_before_its_end_that_failed_is_doubtful) {
  push(Request::execute);
  push(Request::sync);
  queue_.push_copy_end();
  push(Request::sync);
  take(Backend::CopyInResponse);
  EXPECT_EQ(take(Backend::ErrorResponse), Effect::batch_failed);
  EXPECT_TRUE(queue_.doubtful());
}

TEST_F(ExpectedRepliesTest, a_copy_that_succeeded_leaves_no_doubt) {
  push(Request::execute);
  push(Request::sync);
  queue_.push_copy_end();
  push(Request::sync);
  take(Backend::CopyInResponse);
  take(Backend::CommandComplete);
  push(Request::execute);
  take(Backend::ReadyForQuery);
  take(Backend::ErrorResponse);
  EXPECT_FALSE(queue_.doubtful());
}

TEST_F(ExpectedRepliesTest, in_doubt_one_more_ready_for_query_ends_the_skipping) {
  push(Request::execute);
  take(Backend::CopyInResponse);
  EXPECT_FALSE(push(Request::sync));
  take(Backend::ErrorResponse);
  EXPECT_TRUE(queue_.skipping());
  EXPECT_TRUE(queue_.take_ready_in_doubt());
  EXPECT_FALSE(queue_.skipping());
  EXPECT_FALSE(queue_.batch_open());
  EXPECT_TRUE(push(Request::query));
}

TEST_F(ExpectedRepliesTest, without_doubt_there_is_no_further_ready_for_query) {
  EXPECT_FALSE(queue_.take_ready_in_doubt());
}

}  // namespace
}  // namespace forebay::core
