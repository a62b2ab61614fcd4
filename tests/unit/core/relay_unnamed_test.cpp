#include "unit/core/relay_bench.hpp"

// The unnamed prepared statement belongs to its client, whichever link that gets.
namespace forebay::core {
namespace {

class RelayUnnamed : public ::testing::Test {
 protected:
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Client> b_ = bench_.client();
  std::unique_ptr<RelayBench::Link> one_ = bench_.link();
  std::unique_ptr<RelayBench::Link> two_ = bench_.link();

  using Client = RelayBench::Client;
  using Link = RelayBench::Link;
  std::string sent(Client& client, Link& link, std::string_view says) {
    return bench_.client_says(client, &link, says).server;
  }
  void answer(Client& client, Link& link, std::string_view says) {
    EXPECT_EQ(bench_.server_says(link, &client, says).verdict, ServerRelay::Verdict::fine);
  }
  void prepare(Client& client, Link& link, const std::string& text) {
    bench_.prepare(client, link, "", text);
  }
};

TEST_F(RelayUnnamed, follows_its_client_to_another_link) {
  prepare(*a_, *one_, "select $1");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\" \"1\" ; Execute \"\" ; Sync"),
            "Parse \"\" \"select $1\" ; Bind \"\" \"\" \"1\" ; Execute \"\" ; Sync");
  EXPECT_EQ(bench_
                .server_says(*two_, a_.get(),
                             "ParseComplete ; BindComplete ; "
                             "CommandComplete \"SELECT 0\" ; ReadyForQuery I")
                .client,
            "BindComplete ; CommandComplete \"SELECT 0\" ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *two_, "Describe S \"\""), "Describe S \"\"");
}

TEST_F(RelayUnnamed, is_made_again_where_another_client_has_replaced_it) {
  prepare(*a_, *one_, "select 'a'");
  prepare(*b_, *one_, "select 'b'");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\""), "Parse \"\" \"select 'a'\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, of_another_client_never_answers) {
  prepare(*b_, *one_, "select 'b'");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\" ; Sync"), "Close S \"\" ; Bind \"\" \"\" ; Sync");
  EXPECT_EQ(bench_
                .server_says(*one_, a_.get(),
                             "CloseComplete ; ErrorResponse ERROR 26000 "
                             "\"unnamed prepared statement does not exist\" ; ReadyForQuery I")
                .client,
            "ErrorResponse ERROR 26000 \"unnamed prepared statement does not exist\" ; "
            "ReadyForQuery I");
}

TEST_F(RelayUnnamed, is_made_again_after_another_clients_query_dropped_it) {
  prepare(*a_, *one_, "select 'a'");
  sent(*b_, *one_, "Query \"select 1\"");
  answer(*b_, *one_, "CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\""), "Parse \"\" \"select 'a'\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, is_made_again_after_another_client_closed_it) {
  prepare(*a_, *one_, "select 'a'");
  sent(*b_, *one_, "Close S \"\" ; Sync");
  answer(*b_, *one_, "CloseComplete ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\""), "Parse \"\" \"select 'a'\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, is_gone_after_the_clients_own_query) {
  prepare(*a_, *one_, "select 'a'");
  sent(*a_, *one_, "Query \"select 1\"");
  answer(*a_, *one_, "CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\""), "Bind \"\" \"\"");
  // And not somebody else's: on a link that has one, that one is closed first.
  prepare(*b_, *two_, "select 'b'");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\""), "Close S \"\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, is_gone_after_the_client_closed_it) {
  prepare(*a_, *one_, "select 'a'");
  sent(*a_, *one_, "Close S \"\" ; Sync");
  answer(*a_, *one_, "CloseComplete ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\""), "Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, is_gone_after_a_parse_that_failed) {
  prepare(*a_, *one_, "select 'a'");
  sent(*a_, *one_, "Parse \"\" \"selec\" ; Sync");
  answer(*a_, *one_, "ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I");
  prepare(*b_, *two_, "select 'b'");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\""), "Close S \"\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, a_query_that_was_skipped_does_not_drop_it) {
  prepare(*a_, *one_, "select 'a'");
  sent(*a_, *one_, "Bind \"\" \"x\" ; Query \"select 1\" ; Sync");
  answer(*a_, *one_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  const std::string bound = sent(*a_, *two_, "Bind \"\" \"\"");
  EXPECT_EQ(bound, "Parse \"\" \"select 'a'\" ; Bind \"\" \"\"");
}

// The server skips the Parse that was put ahead: another client's statement is still there.
TEST_F(RelayUnnamed, a_parse_put_ahead_and_skipped_is_put_ahead_again) {
  prepare(*a_, *one_, "select 'a'");
  prepare(*b_, *two_, "select 'b'");
  sent(*a_, *two_, "Bind \"\" \"x\" ; Bind \"\" \"\" ; Sync");
  answer(*a_, *two_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\""), "Parse \"\" \"select 'a'\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, a_close_put_ahead_and_skipped_is_put_ahead_again) {
  prepare(*b_, *two_, "select 'b'");
  sent(*a_, *two_, "Bind \"\" \"x\" ; Bind \"\" \"\" ; Sync");
  answer(*a_, *two_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\""), "Close S \"\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, the_clients_own_parse_that_was_skipped_leaves_no_foreign_one) {
  prepare(*b_, *two_, "select 'b'");
  sent(*a_, *two_, "Bind \"\" \"x\" ; Parse \"\" \"select 'a'\" ; Sync");
  answer(*a_, *two_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\""), "Close S \"\" ; Bind \"\" \"\"");
}

TEST_F(RelayUnnamed, a_close_or_query_that_was_skipped_leaves_no_foreign_one) {
  for (const char* dropped : {"Close S \"\"", "Query \"select 1\""}) {
    prepare(*b_, *two_, "select 'b'");
    sent(*a_, *two_, "Bind \"\" \"x\" ; " + std::string(dropped) + " ; Sync");
    answer(*a_, *two_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
    EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\" ; Sync"), "Close S \"\" ; Bind \"\" \"\" ; Sync");
    answer(*a_, *two_, "CloseComplete ; ErrorResponse ERROR 26000 \"none\" ; ReadyForQuery I");
  }
}

// A whole second batch is sent before the first one is known to have failed.
TEST_F(RelayUnnamed, a_batch_behind_a_failed_one_has_its_own_statement) {
  prepare(*a_, *one_, "select 'a'");
  prepare(*b_, *two_, "select 'b'");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"x\" ; Bind \"\" \"\" ; Sync ; Bind \"\" \"\" ; Sync"),
            "Bind \"\" \"x\" ; Parse \"\" \"select 'a'\" ; Bind \"\" \"\" ; Sync");
  answer(*a_, *two_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(bench_.client_goes_on(*a_, two_.get()).server,
            "Parse \"\" \"select 'a'\" ; Bind \"\" \"\" ; Sync");
  EXPECT_EQ(
      bench_.server_says(*two_, a_.get(), "ParseComplete ; BindComplete ; ReadyForQuery I").client,
      "BindComplete ; ReadyForQuery I");
  EXPECT_TRUE(two_->state.at_rest());
}

TEST_F(RelayUnnamed, a_batch_behind_a_failed_one_closes_the_foreign_statement_again) {
  prepare(*b_, *two_, "select 'b'");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"x\" ; Bind \"\" \"\" ; Sync ; Bind \"\" \"\" ; Sync"),
            "Bind \"\" \"x\" ; Close S \"\" ; Bind \"\" \"\" ; Sync");
  answer(*a_, *two_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(bench_.client_goes_on(*a_, two_.get()).server, "Close S \"\" ; Bind \"\" \"\" ; Sync");
}

TEST_F(RelayUnnamed, a_parse_of_an_earlier_batch_may_have_failed) {
  prepare(*b_, *two_, "select 'b'");
  // The client's own Parse is skipped; the Bind behind the Sync must not find b's.
  sent(*a_, *two_, "Bind \"\" \"x\" ; Parse \"\" \"select 'a'\" ; Sync");
  EXPECT_EQ(sent(*a_, *two_, "Bind \"\" \"\" ; Sync"), "");
  answer(*a_, *two_, "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(bench_.client_goes_on(*a_, two_.get()).server, "Close S \"\" ; Bind \"\" \"\" ; Sync");
}

TEST_F(RelayUnnamed, is_not_parsed_again_for_each_batch_of_a_pipeline) {
  prepare(*a_, *one_, "select 'a'");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\" ; Sync ; Bind \"\" \"\" ; Sync"),
            "Bind \"\" \"\" ; Sync ; Bind \"\" \"\" ; Sync");
}

TEST_F(RelayUnnamed, a_large_one_keeps_its_link) {
  const std::string text = "select '" + std::string(100'000, 'x') + "'";
  prepare(*a_, *one_, text);
  EXPECT_NE(a_->state.pins, 0);
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\" ; Sync"), "Bind \"\" \"\" ; Sync");
  answer(*a_, *one_, "BindComplete ; ReadyForQuery I");
  prepare(*a_, *one_, "select 1");
  EXPECT_EQ(a_->state.pins, 0);
}

TEST_F(RelayUnnamed, closing_it_without_a_link_only_forgets_it) {
  prepare(*a_, *one_, "select 'a'");
  EXPECT_EQ(bench_.client_says(*a_, nullptr, "Close S \"\"").client, "CloseComplete");
  EXPECT_EQ(sent(*a_, *one_, "Bind \"\" \"\""), "Close S \"\" ; Bind \"\" \"\"");
}

}  // namespace
}  // namespace forebay::core
