#include "unit/core/relay_bench.hpp"

// Named prepared statements: shared, renamed, put ahead, evicted, undone.
namespace forebay::core {
namespace {

class RelayStatements : public ::testing::Test {
 protected:
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Client> b_ = bench_.client();
  std::unique_ptr<RelayBench::Link> one_ = bench_.link();
  std::unique_ptr<RelayBench::Link> two_ = bench_.link();

  Heard a(std::string_view says) { return bench_.client_says(*a_, one_.get(), says); }
  Heard goes_on() { return bench_.client_goes_on(*a_, one_.get()); }
  Heard server(std::string_view says) { return bench_.server_says(*one_, a_.get(), says); }
};

TEST_F(RelayStatements, renames_a_statement_and_forwards_its_answer) {
  EXPECT_EQ(a("Parse \"s\" \"select $1\" 23 ; Describe S \"s\" ; Bind \"\" \"s\" \"1\" null ; "
              "Execute \"\" ; Sync")
                .server,
            "Parse \"_forebay_1\" \"select $1\" 23 ; Describe S \"_forebay_1\" ; "
            "Bind \"\" \"_forebay_1\" \"1\" null ; Execute \"\" ; Sync");
  EXPECT_EQ(
      server("ParseComplete ; ParameterDescription 23 ; RowDescription \"c\" ; BindComplete ; "
             "DataRow \"1\" ; CommandComplete \"SELECT 1\" ; ReadyForQuery I")
          .client,
      "ParseComplete ; ParameterDescription 23 ; RowDescription \"c\" ; BindComplete ; "
      "DataRow \"1\" ; CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(RelayStatements, shares_a_statement_between_two_clients) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  const Heard heard = bench_.client_says(*b_, one_.get(), "Parse \"mine\" \"select 1\" ; Sync");
  EXPECT_EQ(heard.server, "Sync");
  EXPECT_EQ(heard.client, "ParseComplete");
  EXPECT_EQ(bench_.server_says(*one_, b_.get(), "ReadyForQuery I").client, "ReadyForQuery I");
  EXPECT_EQ(bench_.client_says(*b_, one_.get(), "Bind \"\" \"mine\"").server,
            "Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, tells_texts_and_parameter_types_apart) {
  bench_.prepare(*a_, *one_, "s", "select $1");
  EXPECT_EQ(bench_.client_says(*b_, one_.get(), "Parse \"s\" \"select $1\" 23").server,
            "Parse \"_forebay_2\" \"select $1\" 23");
}

TEST_F(RelayStatements, puts_a_missing_parse_ahead_and_hides_its_answer) {
  bench_.prepare(*a_, *one_, "s", "select $1");
  EXPECT_EQ(
      bench_.client_says(*a_, two_.get(), "Bind \"\" \"s\" \"1\" ; Execute \"\" ; Sync").server,
      "Parse \"_forebay_1\" \"select $1\" ; Bind \"\" \"_forebay_1\" \"1\" ; Execute \"\" ; Sync");
  EXPECT_EQ(bench_
                .server_says(*two_, a_.get(),
                             "ParseComplete ; BindComplete ; "
                             "CommandComplete \"SELECT 0\" ; ReadyForQuery I")
                .client,
            "BindComplete ; CommandComplete \"SELECT 0\" ; ReadyForQuery I");
  EXPECT_EQ(bench_.client_says(*a_, two_.get(), "Describe S \"s\"").server,
            "Describe S \"_forebay_1\"");
}

TEST_F(RelayStatements, gives_the_client_the_error_of_a_parse_that_was_put_ahead) {
  bench_.prepare(*a_, *one_, "s", "select $1");
  bench_.client_says(*a_, two_.get(), "Bind \"\" \"s\" ; Execute \"\" ; Sync");
  EXPECT_EQ(bench_
                .server_says(*two_, a_.get(),
                             "ErrorResponse ERROR 42P01 \"no table\" ; "
                             "ReadyForQuery I")
                .client,
            "ErrorResponse ERROR 42P01 \"no table\" ; ReadyForQuery I");
  // The link does not have it, the client still does.
  EXPECT_EQ(bench_.client_says(*a_, two_.get(), "Bind \"\" \"s\"").server,
            "Parse \"_forebay_1\" \"select $1\" ; Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, supplies_answers_in_order_behind_the_servers_own) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  Heard heard =
      a("Bind \"\" \"s\" ; Execute \"\" ; Close S \"s\" ; Parse \"t\" \"select 1\" ; Sync");
  EXPECT_EQ(heard.server, "Bind \"\" \"_forebay_1\" ; Execute \"\" ; Sync");
  EXPECT_EQ(heard.client, "");
  EXPECT_EQ(server("BindComplete").client, "BindComplete");
  EXPECT_EQ(server("CommandComplete \"SELECT 0\"").client,
            "CommandComplete \"SELECT 0\" ; CloseComplete ; ParseComplete");
  EXPECT_EQ(server("ReadyForQuery I").client, "ReadyForQuery I");
}

TEST_F(RelayStatements, keeps_nothing_of_a_parse_that_failed) {
  a("Parse \"s\" \"selec\" ; Sync");
  EXPECT_EQ(server("ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I").client,
            "ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I");
  EXPECT_EQ(a("Parse \"s\" \"select 1\"").server, "Parse \"_forebay_2\" \"select 1\"");
  EXPECT_EQ(one_->state.statements.size(), 1u);
}

TEST_F(RelayStatements, undoes_what_an_error_skipped_newest_first) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  // Closed, prepared anew under the same name, and the batch fails before all that.
  a("Bind \"\" \"x\" ; Close S \"s\" ; Parse \"s\" \"select 2\" ; Sync");
  EXPECT_EQ(server("ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I").client,
            "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"s\"").server, "Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, a_name_used_twice_gets_the_servers_own_error) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  EXPECT_EQ(a("Parse \"s\" \"select 2\" ; Sync").server,
            "Parse \"_forebay_1\" \"select 2\" ; Sync");
  EXPECT_EQ(
      server("ErrorResponse ERROR 42P05 \"prepared statement \\\"_forebay_1\\\" already exists\" "
             "F=\"prepare.c\" ; ReadyForQuery I")
          .client,
      "ErrorResponse ERROR 42P05 \"prepared statement \\\"s\\\" already exists\" F=\"prepare.c\" ; "
      "ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"s\"").server, "Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, a_name_used_twice_on_a_link_that_lacks_it) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  EXPECT_EQ(bench_.client_says(*a_, two_.get(), "Parse \"s\" \"select 2\"").server,
            "Parse \"_forebay_1\" \"select 1\" ; Parse \"_forebay_1\" \"select 2\"");
}

TEST_F(RelayStatements, an_unknown_name_is_the_servers_to_refuse) {
  EXPECT_EQ(a("Bind \"\" \"nobody\" ; Sync").server, "Bind \"\" \"nobody\" ; Sync");
  EXPECT_EQ(
      server("ErrorResponse ERROR 26000 \"prepared statement \\\"nobody\\\" does not exist\" ; "
             "ReadyForQuery I")
          .client,
      "ErrorResponse ERROR 26000 \"prepared statement \\\"nobody\\\" does not exist\" ; "
      "ReadyForQuery I");
}

TEST_F(RelayStatements, a_name_like_ours_never_reaches_somebody_elses_statement) {
  bench_.prepare(*b_, *one_, "secret", "select 'secret'");
  EXPECT_EQ(a("Bind \"\" \"_forebay_1\" ; Sync").server, "Bind \"\" \"__forebay_1\" ; Sync");
  EXPECT_EQ(server("ErrorResponse ERROR 26000 \"prepared statement \\\"__forebay_1\\\" does not "
                   "exist\" ; ReadyForQuery I")
                .client,
            "ErrorResponse ERROR 26000 \"prepared statement \\\"_forebay_1\\\" does not exist\" ; "
            "ReadyForQuery I");
  EXPECT_EQ(a("Describe S \"_forebay_set\"").server, "Describe S \"__forebay_set\"");
}

TEST_F(RelayStatements, a_clients_own_name_may_look_like_ours) {
  EXPECT_EQ(a("Parse \"_forebay_7\" \"select 1\" ; Bind \"\" \"_forebay_7\"").server,
            "Parse \"_forebay_1\" \"select 1\" ; Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, an_error_that_merely_holds_a_name_like_ours_stays_as_it_is) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  a("Bind \"\" \"x_forebay_1\" ; Sync");
  EXPECT_EQ(server("ErrorResponse ERROR 26000 \"prepared statement \\\"x_forebay_1\\\" does not "
                   "exist\" ; ReadyForQuery I")
                .client,
            "ErrorResponse ERROR 26000 \"prepared statement \\\"x_forebay_1\\\" does not exist\" ; "
            "ReadyForQuery I");
}

TEST_F(RelayStatements, only_63_bytes_of_a_name_count) {
  const std::string name(63, 'n');
  a("Parse \"" + name + "abc\" \"select 1\" ; Sync");
  server("ParseComplete ; ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"" + name + "xyz\"").server, "Bind \"\" \"_forebay_1\"");
  EXPECT_EQ(a("Close S \"" + name + "\" ; Describe S \"" + name + "\"").server,
            "Describe S \"" + name + "\"");
}

TEST_F(RelayStatements, closing_what_is_not_there_is_no_error) {
  EXPECT_EQ(a("Close S \"nobody\"").client, "CloseComplete");
  EXPECT_EQ(a("Sync").server, "Sync");
}

TEST_F(RelayStatements, close_of_a_portal_goes_to_the_server) {
  EXPECT_EQ(a("Close P \"p\" ; Close P \"\" ; Close S \"\"").server,
            "Close P \"p\" ; Close P \"\" ; Close S \"\"");
  EXPECT_EQ(server("CloseComplete ; CloseComplete ; CloseComplete").client,
            "CloseComplete ; CloseComplete ; CloseComplete");
}

TEST_F(RelayStatements, makes_room_for_new_statements_by_the_one_used_longest_ago) {
  bench_.rules.max_prepared_statements = 2;
  bench_.prepare(*a_, *one_, "s1", "select 1");
  bench_.prepare(*a_, *one_, "s2", "select 2");
  a("Bind \"\" \"s1\" ; Sync");
  server("BindComplete ; ReadyForQuery I");
  EXPECT_EQ(a("Parse \"s3\" \"select 3\" ; Sync").server,
            "Close S \"_forebay_2\" ; Parse \"_forebay_3\" \"select 3\" ; Sync");
  EXPECT_EQ(server("CloseComplete ; ParseComplete ; ReadyForQuery I").client,
            "ParseComplete ; ReadyForQuery I");
  EXPECT_EQ(one_->state.statements.size(), 2u);
  EXPECT_EQ(
      a("Bind \"\" \"s2\"").server,
      "Close S \"_forebay_1\" ; Parse \"_forebay_2\" \"select 2\" ; Bind \"\" \"_forebay_2\"");
}

TEST_F(RelayStatements, an_eviction_that_was_skipped_is_undone) {
  bench_.rules.max_prepared_statements = 1;
  bench_.prepare(*a_, *one_, "s1", "select 1");
  EXPECT_EQ(a("Bind \"\" \"x\" ; Parse \"s2\" \"select 2\" ; Sync").server,
            "Bind \"\" \"x\" ; Close S \"_forebay_1\" ; Parse \"_forebay_2\" \"select 2\" ; Sync");
  server("ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"s1\"").server, "Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, deallocate_all_forgets_them_on_both_sides) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  a("Query \"deallocate all\"");
  server("CommandComplete \"DEALLOCATE ALL\" ; ReadyForQuery I");
  EXPECT_EQ(one_->state.statements.size(), 0u);
  EXPECT_EQ(a("Bind \"\" \"s\"").server, "Bind \"\" \"s\"");
}

TEST_F(RelayStatements, deallocate_all_of_one_client_leaves_the_others_names) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  bench_.client_says(*b_, one_.get(), "Query \"discard all\"");
  bench_.server_says(*one_, b_.get(), "CommandComplete \"DISCARD ALL\" ; ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"s\"").server,
            "Parse \"_forebay_1\" \"select 1\" ; Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, deallocate_all_pipelined_before_a_new_parse_keeps_the_new_name) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  const Heard heard =
      a("Query \"DEALLOCATE ALL\" ; Parse \"t\" \"select 1\" ; "
        "Bind \"\" \"t\" ; Execute \"\" ; Sync");
  // What a statement may be is known only when the server has answered.
  EXPECT_EQ(heard.server, "Query \"DEALLOCATE ALL\"");
  EXPECT_EQ(heard.stop, Relay::ClientStop::full);
  server("CommandComplete \"DEALLOCATE ALL\" ; ReadyForQuery I");
  EXPECT_EQ(goes_on().server,
            "Parse \"_forebay_2\" \"select 1\" ; Bind \"\" \"_forebay_2\" ; Execute \"\" ; Sync");
}

TEST_F(RelayStatements, passes_untouched_in_session_mode) {
  bench_.rules.share_statements = false;
  const std::string all =
      "Parse \"s\" \"select $1\" ; Bind \"p\" \"s\" \"1\" ; Describe S \"s\" ; Describe P \"p\" ; "
      "Execute \"p\" 5 ; Close S \"s\" ; Close P \"p\" ; Parse \"t\" \"select\" ; Flush ; Sync";
  EXPECT_EQ(a(all).server, all);
}

TEST_F(RelayStatements, names_of_ours_are_others_in_session_mode_too) {
  bench_.rules.share_statements = false;
  EXPECT_EQ(a("Parse \"_forebay_set\" \"select\" ; Bind \"\" \"_forebay_set\" ; Sync").server,
            "Parse \"__forebay_set\" \"select\" ; Bind \"\" \"__forebay_set\" ; Sync");
}

// ---------------------------------------------------------------- what is not decided yet

TEST_F(RelayStatements, a_batch_behind_a_failed_one_has_its_statement) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  // On another link: the first batch fails before the Parse that was put ahead of it.
  bench_.client_says(*a_, two_.get(), "Bind \"\" \"x\" ; Bind \"\" \"s\" ; Sync");
  const Heard second = bench_.client_says(*a_, two_.get(), "Bind \"\" \"s\" ; Sync");
  bench_.server_says(*two_, a_.get(), "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(second.stop, Relay::ClientStop::full);
  EXPECT_EQ(bench_.client_goes_on(*a_, two_.get()).server,
            "Parse \"_forebay_1\" \"select 1\" ; Bind \"\" \"_forebay_1\" ; Sync");
}

TEST_F(RelayStatements, a_batch_behind_a_skipped_eviction_does_not_parse_twice) {
  bench_.rules.max_prepared_statements = 1;
  bench_.prepare(*a_, *one_, "s1", "select 1");
  a("Bind \"\" \"x\" ; Parse \"s2\" \"select 2\" ; Sync");
  const Heard second = a("Bind \"\" \"s1\" ; Sync");
  server("ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  ASSERT_EQ(second.stop, Relay::ClientStop::full);
  EXPECT_EQ(goes_on().server, "Bind \"\" \"_forebay_1\" ; Sync");
}

TEST_F(RelayStatements, a_name_whose_parse_failed_is_free_in_the_next_batch_sent_with_it) {
  a("Parse \"s\" \"selec\" ; Sync");
  const Heard second = a("Parse \"s\" \"select 1\" ; Sync");
  ASSERT_EQ(second.stop, Relay::ClientStop::full);
  server("ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I");
  EXPECT_EQ(goes_on().server, "Parse \"_forebay_2\" \"select 1\" ; Sync");
  server("ParseComplete ; ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"s\"").server, "Bind \"\" \"_forebay_2\"");
}

TEST_F(RelayStatements, a_statement_that_may_fail_is_not_promised_to_the_next_batch) {
  a("Parse \"s\" \"selec\" ; Sync");
  const Heard second = a("Parse \"t\" \"selec\" ; Sync");
  EXPECT_EQ(second.client, "");
  ASSERT_EQ(second.stop, Relay::ClientStop::full);
  server("ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I");
  EXPECT_EQ(goes_on().server, "Parse \"_forebay_2\" \"selec\" ; Sync");
}

TEST_F(RelayStatements, a_pipeline_over_several_batches_does_not_wait_for_its_own_parse) {
  EXPECT_EQ(
      a("Parse \"s\" \"select 1\" ; Sync ; Bind \"\" \"s\" ; Execute \"\" ; Sync").server,
      "Parse \"_forebay_1\" \"select 1\" ; Sync ; Bind \"\" \"_forebay_1\" ; Execute \"\" ; Sync");
  // Nor does one that prepares and uses a statement while an older batch is under way.
  EXPECT_EQ(a("Parse \"t\" \"select 2\" ; Bind \"\" \"t\" ; Execute \"\" ; Sync").server,
            "Parse \"_forebay_2\" \"select 2\" ; Bind \"\" \"_forebay_2\" ; Execute \"\" ; Sync");
}

TEST_F(RelayStatements, a_name_whose_parse_failed_is_unknown_to_the_next_batch) {
  a("Parse \"s\" \"selec\" ; Sync ; Bind \"\" \"s\" ; Sync");
  server("ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I");
  EXPECT_EQ(
      server("ErrorResponse ERROR 26000 \"prepared statement \\\"_forebay_1\\\" does not exist\" ; "
             "ReadyForQuery I")
          .client,
      "ErrorResponse ERROR 26000 \"prepared statement \\\"s\\\" does not exist\" ; "
      "ReadyForQuery I");
}

// ---------------------------------------------------------------- large ones

std::string large(std::size_t size) {
  return "select '" + std::string(size, 'x') + "'";
}

TEST_F(RelayStatements, a_large_statement_streams_through_under_a_name_of_its_own) {
  const std::string text = test::quote(large(200'000));
  const Heard heard = a("Parse \"big\" " + text + " ; Sync");
  EXPECT_EQ(heard.server_bytes, test::frontend("Parse \"_forebay_1\" " + text + " ; Sync"));
  EXPECT_EQ(server("ParseComplete ; ReadyForQuery I").client, "ParseComplete ; ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"big\"").server, "Bind \"\" \"_forebay_1\"");
  // Nobody else shares it: only its head was seen.
  EXPECT_EQ(bench_.client_says(*b_, one_.get(), "Parse \"big\" " + text).server_bytes,
            test::frontend("Parse \"_forebay_2\" " + text));
}

TEST_F(RelayStatements, a_large_statement_keeps_its_link_until_it_is_closed) {
  bench_.prepare(*a_, *one_, "big", large(100'000));
  EXPECT_NE(a_->state.pins, 0);
  // A small unnamed one must not let go of the link.
  a("Parse \"\" \"select 1\" ; Sync");
  server("ParseComplete ; ReadyForQuery I");
  EXPECT_NE(a_->state.pins, 0);
  a("Close S \"big\" ; Sync");
  server("ReadyForQuery I");
  EXPECT_EQ(a_->state.pins, 0);
}

TEST_F(RelayStatements, a_large_statement_that_failed_lets_go_of_the_link) {
  a("Parse \"big\" " + test::quote(large(100'000)) + " ; Sync");
  server("ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I");
  EXPECT_EQ(a_->state.pins, 0);
}

TEST_F(RelayStatements, a_large_statement_is_not_evicted_because_it_could_not_come_back) {
  bench_.rules.max_prepared_statements = 2;
  bench_.prepare(*a_, *one_, "big", large(100'000));
  bench_.prepare(*a_, *one_, "s2", "select 2");
  EXPECT_EQ(a("Parse \"s3\" \"select 3\" ; Sync").server,
            "Close S \"_forebay_2\" ; Parse \"_forebay_3\" \"select 3\" ; Sync");
  server("CloseComplete ; ParseComplete ; ReadyForQuery I");
  EXPECT_EQ(a("Bind \"\" \"big\"").server, "Bind \"\" \"_forebay_1\"");
}

TEST_F(RelayStatements, a_large_bind_is_understood_by_its_head) {
  bench_.prepare(*a_, *one_, "s", "select $1");
  const std::string value = test::quote(large(150'000));
  EXPECT_EQ(a("Bind \"\" \"s\" " + value).server_bytes,
            test::frontend("Bind \"\" \"_forebay_1\" " + value));
}

TEST_F(RelayStatements, what_is_prepared_in_a_failed_transaction_is_refused_by_the_server) {
  bench_.prepare(*b_, *one_, "s", "select 1");
  bench_.prepare(*b_, *one_, "r", "rollback");
  a("Query \"begin; error\"");
  server("CommandComplete \"BEGIN\" ; ErrorResponse ERROR 22012 \"x\" ; ReadyForQuery E");
  EXPECT_EQ(a("Parse \"mine\" \"select 1\" ; Sync").server,
            "Parse \"_forebay_1\" \"select 1\" ; Sync");
  server("ErrorResponse ERROR 25P02 \"aborted\" ; ReadyForQuery E");
  EXPECT_EQ(a("Bind \"\" \"mine\" ; Sync").server, "Bind \"\" \"mine\" ; Sync");
  server("ErrorResponse ERROR 26000 \"none\" ; ReadyForQuery E");
  EXPECT_EQ(a("Parse \"end\" \"rollback\"").client, "ParseComplete");
  EXPECT_EQ(one_->state.statements.size(), 2u);
}

}  // namespace
}  // namespace forebay::core
