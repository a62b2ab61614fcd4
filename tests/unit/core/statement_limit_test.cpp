#include "core/engine/statement_limit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "support/words.hpp"
#include "support/world.hpp"

namespace forebay::core {
namespace {

using Entered = StatementLimit::Entered;
using std::chrono::milliseconds;
using std::chrono::seconds;

class StatementLimits : public ::testing::Test {
 protected:
  StatementLimit limit_{"user \"u\"", "[users.u]"};
  Instant now_{std::chrono::hours(1)};
  Ticket tickets_[4];

  void SetUp() override {
    for (std::uint32_t i = 0; i < 4; ++i) tickets_[i].session = {WorkerId(0), i, 1};
  }
  void set(const config::StatementLimits& terms) { limit_.set(terms, "[users.u]"); }
  Instant after(int ms) const { return now_ + milliseconds(ms); }
};

TEST_F(StatementLimits, a_burst_begins_at_once_and_the_rest_one_after_the_other) {
  set({.max_statements_per_second = 10, .statement_burst = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit_.begin(now_), now_) << i;
  EXPECT_EQ(limit_.begin(now_), after(100));
  EXPECT_EQ(limit_.begin(now_), after(200));
  // What was asked at 250 comes behind these, and a second later all of the burst is there again.
  EXPECT_EQ(limit_.begin(after(250)), after(300));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit_.begin(after(1300)), after(1300)) << i;
  EXPECT_EQ(limit_.begin(after(1300)), after(1400));
}

TEST_F(StatementLimits, without_a_burst_a_second_has_its_statements) {
  set({.max_statements_per_second = 2});
  EXPECT_EQ(limit_.begin(now_), now_);
  EXPECT_EQ(limit_.begin(now_), now_);
  EXPECT_EQ(limit_.begin(now_), after(500));
}

TEST_F(StatementLimits, more_may_wait_where_another_limit_says_how_many) {
  set({.max_statements = 1, .max_waiting_statements = 0});
  EXPECT_EQ(limit_.enter(tickets_[0]), Entered::yes);
  EXPECT_EQ(limit_.enter(tickets_[1]), Entered::refused);
  EXPECT_EQ(limit_.enter(tickets_[1], false, true), Entered::waits);
  EXPECT_EQ(limit_.enter(tickets_[2], false, true), Entered::waits);
  EXPECT_EQ(limit_.enter(tickets_[3]), Entered::refused);
  EXPECT_THAT(limit_.leave(), testing::ElementsAre(tickets_[1].session));
  EXPECT_THAT(limit_.leave(), testing::ElementsAre(tickets_[2].session));
}

TEST_F(StatementLimits, nobody_begins_while_it_is_paused) {
  set({.max_statements = 1, .max_waiting_statements = 1});
  EXPECT_EQ(limit_.enter(tickets_[0]), Entered::yes);
  EXPECT_TRUE(limit_.pause(true).empty());
  EXPECT_FALSE(limit_.blank(now_));
  EXPECT_TRUE(limit_.leave().empty());
  // As many as there are, and whatever they keep.
  EXPECT_EQ(limit_.enter(tickets_[1]), Entered::waits);
  EXPECT_EQ(limit_.enter(tickets_[2]), Entered::waits);
  EXPECT_EQ(limit_.enter(tickets_[3], true), Entered::waits);
  // One has the place, and one keeps what others may wait for.
  const std::vector<SessionKey> served = limit_.pause(false);
  EXPECT_THAT(served, testing::ElementsAre(tickets_[1].session, tickets_[3].session));
  EXPECT_TRUE(limit_.leave().empty());
  EXPECT_THAT(limit_.leave(), testing::ElementsAre(tickets_[2].session));
  limit_.leave();
  EXPECT_TRUE(limit_.blank(now_));
}

TEST_F(StatementLimits, so_many_wait_for_the_rate_and_no_more) {
  set({.max_statements_per_second = 10, .statement_burst = 1, .max_waiting_statements = 2});
  EXPECT_EQ(limit_.begin(now_), now_);
  EXPECT_EQ(limit_.begin(now_), after(100));
  EXPECT_EQ(limit_.begin(now_), after(200));
  EXPECT_EQ(limit_.begin(now_), kNever);
  EXPECT_EQ(limit_.begin(after(100)), after(300)) << "what is refused takes nothing";
}

TEST_F(StatementLimits, statements_of_a_transaction_count_against_the_next_for_a_second_at_most) {
  set({.max_statements_per_second = 10, .statement_burst = 1});
  EXPECT_EQ(limit_.begin(now_), now_);
  limit_.count_more(2, now_);
  EXPECT_EQ(limit_.begin(after(50)), after(300));
  limit_.count_more(1'000'000, after(300));
  EXPECT_LE(limit_.begin(after(300)), after(1400));
}

TEST_F(StatementLimits, what_a_second_has_goes_at_once_and_the_rest_is_waited_for) {
  set({.max_bytes_per_second = config::ByteSize(1000)});
  EXPECT_EQ(limit_.move(1000, now_), now_);
  EXPECT_EQ(limit_.move(500, now_), after(500));
  EXPECT_EQ(limit_.move(100, after(500)), after(600));
  EXPECT_FALSE(limit_.blank(after(1500)));
  EXPECT_TRUE(limit_.blank(after(1600)));
  EXPECT_EQ(limit_.move(1000, after(1600)), after(1600));
  EXPECT_EQ(limit_.move(1, after(1600)), after(1601));
}

TEST_F(StatementLimits, bytes_go_on_at_once_where_they_are_not_limited) {
  set({.max_statements = 1});
  EXPECT_EQ(limit_.move(std::size_t{1} << 40, now_), now_);
  EXPECT_TRUE(limit_.blank(now_));
}

TEST_F(StatementLimits, places_go_to_who_waits_for_longest) {
  set({.max_statements = 1});
  EXPECT_EQ(limit_.enter(tickets_[0]), Entered::yes);
  EXPECT_EQ(limit_.enter(tickets_[1]), Entered::waits);
  EXPECT_EQ(limit_.enter(tickets_[2]), Entered::waits);
  EXPECT_THAT(limit_.leave(), ::testing::ElementsAre(tickets_[1].session));
  EXPECT_FALSE(limit_.withdraw(tickets_[1])) << "its place is on its way";
  EXPECT_TRUE(limit_.withdraw(tickets_[2]));
  EXPECT_THAT(limit_.leave(), ::testing::IsEmpty());
  EXPECT_EQ(limit_.counts().running, 0u);
}

// Else those with places would wait for its link, and it for their places.
TEST_F(StatementLimits, who_keeps_its_link_waits_for_nobody) {
  set({.max_statements = 1});
  EXPECT_EQ(limit_.enter(tickets_[0]), Entered::yes);
  EXPECT_EQ(limit_.enter(tickets_[1], true), Entered::yes);
  EXPECT_EQ(limit_.enter(tickets_[2]), Entered::waits);
  EXPECT_THAT(limit_.leave(), ::testing::IsEmpty());
  EXPECT_THAT(limit_.leave(), ::testing::ElementsAre(tickets_[2].session));
}

TEST_F(StatementLimits, a_full_queue_refuses_and_a_raised_limit_lets_in) {
  set({.max_statements = 1, .max_waiting_statements = 2});
  EXPECT_EQ(limit_.enter(tickets_[0]), Entered::yes);
  EXPECT_EQ(limit_.enter(tickets_[1]), Entered::waits);
  EXPECT_EQ(limit_.enter(tickets_[2]), Entered::waits);
  EXPECT_EQ(limit_.enter(tickets_[3]), Entered::refused);
  set({.max_statements = 3});
  EXPECT_EQ(limit_.leave().size(), 2u);
  EXPECT_EQ(limit_.counts().running, 2u);
  EXPECT_EQ(limit_.counts().waiting, 0u);
}

TEST_F(StatementLimits, names_that_nobody_needs_are_forgotten_when_their_bucket_is_full) {
  StatementLimitDirectory directory;
  const config::StatementLimits terms{.max_statements_per_second = 1};
  const auto used = directory.find_or_make("used", "", terms, now_);
  directory.find_or_make("busy", "", terms, now_)->begin(now_ + seconds(10));
  for (std::size_t i = 0; i < StatementLimitDirectory::kForgetAt; ++i) {
    directory.find_or_make(std::to_string(i), "", terms, now_);
  }
  EXPECT_LT(directory.all().size(), 10u);
  EXPECT_EQ(directory.find_or_make("used", "", terms, now_), used);
  EXPECT_GT(directory.find_or_make("busy", "", terms, now_)->begin(now_ + seconds(10)),
            now_ + seconds(10));
}

// Of one user, with places of both: who waits for a link has a place, and who has the link wants
// one.
TEST(StatementLimitsOfPools, nobody_waits_for_a_link_whose_client_waits_for_a_place) {
  config::Config config = test::plain_config();
  config.databases["kept"] = config.databases["app"];
  config.databases["kept"].pool.pool_mode = config::PoolMode::session;
  config.max_host_connections = 1;
  config.users["u"].statements = {.max_statements = 1, .max_waiting_statements = 1};
  test::World world(std::move(config));
  const auto come = [&](const std::string& database) {
    test::FarEnd client = world.connect();
    client.send(test::encode_startup(
        test::split("Startup 3.0 user=\"u\" database=\"" + database + "\"").front()));
    world.settle();
    return client;
  };
  const auto answer = [&](const std::string& what) {
    world.accepted.back().send(test::backend(what));
    world.settle();
  };
  const std::string welcome = "AuthenticationOk ; BackendKeyData 1 \"key1\" ; ReadyForQuery I";
  test::FarEnd other = come("app");
  answer(welcome);
  test::FarEnd keeper = come("kept");  // which takes the place of the other's link
  answer(welcome);
  keeper.send(test::frontend("Query \"select 1\""));
  world.settle();
  answer("CommandComplete \"1\" ; ReadyForQuery I");
  other.send(test::frontend("Query \"select 2\""));
  world.settle();
  ASSERT_EQ(world.shared().statement_limits.all().front()->counts().running, 1u);
  world.accepted.back().read();
  keeper.read();
  keeper.send(test::frontend("Query \"select 3\""));
  world.settle();
  EXPECT_EQ(test::frontend_text(world.accepted.back().read()), "Query \"select 3\"");
}

class BytesOfClients : public ::testing::Test {
 protected:
  static config::Config config(std::uint64_t bytes) {
    config::Config made = test::plain_config();
    made.databases["app"].statements.max_bytes_per_second = config::ByteSize(bytes);
    return made;
  }
  test::FarEnd come() {
    test::FarEnd client = world_.connect();
    client.send(
        test::encode_startup(test::split("Startup 3.0 user=\"u\" database=\"app\"").front()));
    world_.settle();
    if (world_.accepted.size() == 1 && !welcomed_) {
      welcomed_ = true;
      answer("AuthenticationOk ; BackendKeyData 1 \"key1\" ; ReadyForQuery I");
    }
    client.read();
    return client;
  }
  void answer(const std::string& what) {
    world_.accepted.back().read();
    world_.accepted.back().send(test::backend(what));
    world_.settle();
  }
  static std::string large() {
    return "DataRow \"" + std::string(500, 'x') + "\" ; CommandComplete \"1\" ; ReadyForQuery I";
  }

  test::World world_{config(100)};
  bool welcomed_ = false;
};

TEST_F(BytesOfClients, one_that_leaves_in_debt_while_others_limits_come_leaves) {
  test::FarEnd client = come();
  client.send(test::frontend("Query \"select 1\" ; Terminate"));
  world_.settle();
  world_.reload(config(200));
  world_.settle();
  answer(large());
  world_.pass(seconds(10));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(world_.leaks(), "");
}

TEST_F(BytesOfClients, are_listened_to_again_when_there_is_no_limit_any_more) {
  test::FarEnd client = come();
  client.send(test::frontend("Query \"select 1\""));
  world_.settle();
  answer(large());
  client.read();
  client.send(test::frontend("Query \"select 2\""));
  world_.settle();
  EXPECT_EQ(world_.accepted.back().read(), "") << "it is in debt";
  world_.reload(config(0));
  world_.settle();
  EXPECT_EQ(test::frontend_text(world_.accepted.back().read()), "Query \"select 2\"");
}

TEST_F(BytesOfClients, do_not_take_a_link_to_sit_on) {
  test::FarEnd client = come();
  test::FarEnd other = come();
  client.send(test::frontend("Query \"select 1\""));
  world_.settle();
  answer(large());
  other.send(test::frontend("Query \"select 2\""));
  world_.settle();
  EXPECT_EQ(world_.accepted.back().read(), "") << "of a database in debt";
  world_.pass(seconds(10));
  EXPECT_EQ(test::frontend_text(world_.accepted.back().read()), "Query \"select 2\"");
}

}  // namespace
}  // namespace forebay::core
