#include "unit/core/relay_bench.hpp"

// What a server says: to its client, to nobody, or out of turn.
namespace forebay::core {
namespace {

using Verdict = ServerRelay::Verdict;

class ServerRelayTest : public ::testing::Test {
 protected:
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Client> b_ = bench_.client();
  std::unique_ptr<RelayBench::Link> one_ = bench_.link();

  Heard a(std::string_view says) { return bench_.client_says(*a_, one_.get(), says); }
  Heard server(std::string_view says) { return bench_.server_says(*one_, a_.get(), says); }
  Heard unlinked(std::string_view says) { return bench_.server_says(*one_, nullptr, says); }
};

TEST_F(ServerRelayTest, all_parts_of_an_answer_reach_the_client) {
  a("Query \"x\"");
  const std::string all =
      "RowDescription \"a\" \"b\" ; DataRow \"1\" null ; NoticeResponse NOTICE 00000 \"hm\" ; "
      "DataRow \"2\" \"x\" ; CommandComplete \"SELECT 2\" ; EmptyQueryResponse ; "
      "CopyOutResponse ; CopyData \"l\" ; CopyDone ; CommandComplete \"COPY 1\" ; "
      "NotificationResponse 7 \"c\" \"p\" ; ParameterStatus \"TimeZone\" \"UTC\" ; ReadyForQuery I";
  EXPECT_EQ(server(all).client, all);
  EXPECT_TRUE(one_->state.at_rest());
  EXPECT_EQ(bench_.counters.statements.value(), 1u);
  EXPECT_EQ(bench_.counters.transactions.value(), 1u);
}

TEST_F(ServerRelayTest, a_notification_names_its_sender_as_clients_know_it) {
  CatalogEpoch catalog;
  one_->state.catalog = &catalog;
  one_->state.process_id = 7;
  a_->state.process_id = 1007;
  a("Query \"notify c\"");
  EXPECT_EQ(server("NotificationResponse 7 \"c\" \"p\" ; NotificationResponse 8 \"c\" \"\"").client,
            "NotificationResponse 1007 \"c\" \"p\" ; NotificationResponse 8 \"c\" \"\"");
  catalog.notifiers.note(8, 1008);
  EXPECT_EQ(server("NotificationResponse 8 \"c\" \"\"").client,
            "NotificationResponse 1008 \"c\" \"\"");
  // What came through another connection was not sent by one that keeps its own while it listens.
  catalog.notifiers.note(8, 1007);
  EXPECT_EQ(server("NotificationResponse 8 \"c\" \"\"").client,
            "NotificationResponse 8 \"c\" \"\"");
}

TEST_F(ServerRelayTest, an_answer_may_arrive_byte_by_byte) {
  a("Query \"x\"");
  const std::string all =
      "RowDescription \"a\" ; DataRow \"1\" ; CommandComplete \"SELECT 1\" ; "
      "ReadyForQuery I";
  std::string got;
  for (const char byte : test::backend(all)) {
    got += bench_.server_sends(*one_, a_.get(), Bytes(&byte, 1)).client_bytes;
  }
  EXPECT_EQ(test::backend_text(got), all);
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, a_transaction_keeps_the_link_from_rest) {
  a("Query \"begin\"");
  server("CommandComplete \"BEGIN\" ; ReadyForQuery T");
  EXPECT_FALSE(one_->state.at_rest());
  EXPECT_EQ(bench_.counters.transactions.value(), 0u);
  a("Query \"error\"");
  server("ErrorResponse ERROR 22012 \"x\" ; ReadyForQuery E");
  EXPECT_FALSE(one_->state.at_rest());
  a("Query \"rollback\"");
  server("CommandComplete \"ROLLBACK\" ; ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
  EXPECT_EQ(bench_.counters.transactions.value(), 1u);
}

TEST_F(ServerRelayTest, portals_that_are_suspended_go_on) {
  a("Execute \"p\" 2 ; Flush");
  server("DataRow \"1\" ; DataRow \"2\" ; PortalSuspended");
  EXPECT_FALSE(one_->state.at_rest());
  a("Execute \"p\" 2 ; Sync");
  EXPECT_EQ(server("DataRow \"3\" ; CommandComplete \"SELECT 1\" ; ReadyForQuery I").verdict,
            Verdict::fine);
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, what_nobody_asked_for_is_a_violation) {
  for (const std::string message : {"ParseComplete",
                                    "BindComplete",
                                    "CloseComplete",
                                    "CommandComplete \"SELECT 1\"",
                                    "NoData",
                                    "ParameterDescription 25",
                                    "RowDescription \"a\"",
                                    "DataRow \"1\"",
                                    "CopyData \"x\"",
                                    "CopyDone",
                                    "CopyInResponse",
                                    "CopyOutResponse",
                                    "CopyBothResponse",
                                    "EmptyQueryResponse",
                                    "PortalSuspended",
                                    "FunctionCallResponse null",
                                    "ReadyForQuery I",
                                    "AuthenticationOk",
                                    "BackendKeyData 1 \"abcd\"",
                                    "NegotiateProtocolVersion 3.0"}) {
    const auto link = bench_.link();
    const Heard heard = bench_.server_says(*link, a_.get(), message);
    EXPECT_EQ(heard.verdict, Verdict::violation) << message;
    EXPECT_EQ(heard.client, "") << message;
    EXPECT_TRUE(link->state.poisoned) << message;
    EXPECT_NE(heard.complaint, "") << message;
  }
}

TEST_F(ServerRelayTest, the_wrong_answer_is_a_violation) {
  struct {
    const char* asked;
    const char* said;
  } const cases[] = {
      {"Parse \"\" \"x\"", "BindComplete"},
      {"Bind \"\" \"\"", "ParseComplete"},
      {"Describe P \"\"", "ParameterDescription 1"},
      {"Describe S \"\"", "CommandComplete \"X\""},
      {"Execute \"\"", "ReadyForQuery I"},
      {"Execute \"\"", "RowDescription \"a\""},
      {"Close P \"\"", "ParseComplete"},
      {"Sync", "CommandComplete \"X\""},
      {"FunctionCall 1 \"x\"", "CommandComplete \"X\""},
      {"Query \"x\"", "ParseComplete"},
      {"Query \"x\"", "PortalSuspended"},
      {"Query \"x\"", "CopyBothResponse"},
  };
  for (const auto& c : cases) {
    const auto client = bench_.client();
    const auto link = bench_.link();
    bench_.client_says(*client, link.get(), c.asked);
    EXPECT_EQ(bench_.server_says(*link, client.get(), c.said).verdict, Verdict::violation)
        << c.asked << " / " << c.said;
  }
}

TEST_F(ServerRelayTest, messages_that_cannot_be_are_violations) {
  for (const std::string& bytes :
       {std::string("\0\0\0\0\4", 5), std::string("Z\0\0\0\4", 5), std::string("Z\0\0\0\5X", 6),
        std::string("E\0\0\0\4", 5), std::string("1\0\0\0\3", 5), std::string("y\0\0\0\4", 5)}) {
    const auto client = bench_.client();
    const auto link = bench_.link();
    bench_.client_says(*client, link.get(), "Query \"x\"");
    EXPECT_EQ(bench_.server_sends(*link, client.get(), bytes).verdict, Verdict::violation);
  }
}

TEST_F(ServerRelayTest, parameters_without_end_are_a_violation) {
  std::string said;
  const std::size_t known = one_->state.reported.parameters.size();
  for (std::size_t i = known; i < Welcome::kParametersMax; ++i) {
    said = "ParameterStatus \"p" + std::to_string(i) + "\" \"1\"";
    ASSERT_EQ(unlinked(said).verdict, Verdict::fine) << i;
  }
  EXPECT_EQ(unlinked(said).verdict, Verdict::fine);
  const Heard heard = unlinked("ParameterStatus \"one more\" \"1\"");
  EXPECT_EQ(heard.verdict, Verdict::violation);
  EXPECT_EQ(heard.complaint, "the server reports more than 200 parameters, or 65536 bytes of them");
  EXPECT_TRUE(one_->state.poisoned);
}

TEST_F(ServerRelayTest, parameters_without_measure_are_a_violation) {
  const std::string half(Welcome::kParameterBytesMax / 2, 'x');
  EXPECT_EQ(unlinked("ParameterStatus \"a\" \"" + half + "\"").verdict, Verdict::fine);
  EXPECT_EQ(unlinked("ParameterStatus \"a\" \"" + half + "\"").verdict, Verdict::fine);
  EXPECT_EQ(unlinked("ParameterStatus \"b\" \"" + half + "\"").verdict, Verdict::violation);
}

TEST_F(ServerRelayTest, copy_both_is_for_replication_only) {
  one_->state.replication = true;
  a("Query \"START_REPLICATION\"");
  EXPECT_EQ(server("CopyBothResponse ; CopyData \"w\"").client,
            "CopyBothResponse ; CopyData \"w\"");
  EXPECT_EQ(a("CopyData \"r\" ; CopyDone").server, "CopyData \"r\" ; CopyDone");
  server(
      "CopyDone ; CommandComplete \"COPY 0\" ; CommandComplete \"START_STREAMING\" ; "
      "ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, function_calls) {
  a("FunctionCall 1 \"x\" ; FunctionCall 2 \"x\" ; FunctionCall 3 \"x\"");
  const std::string all =
      "FunctionCallResponse \"v\" ; ReadyForQuery I ; "
      "FunctionCallResponse null ; ReadyForQuery I ; "
      "ErrorResponse ERROR 42883 \"none\" ; ReadyForQuery I";
  EXPECT_EQ(server(all).client, all);
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, half_an_answer_is_not_rest) {
  a("Query \"x\"");
  const std::string row = test::backend("DataRow \"" + std::string(1000, 'r') + "\"");
  bench_.server_sends(*one_, a_.get(), Bytes(row).substr(0, 500));
  EXPECT_GT(one_->state.framer.rest(), 0u);
  EXPECT_EQ(one_->state.rest, Disposition::forward);
}

// ---------------------------------------------------------------- errors and notices

TEST_F(ServerRelayTest, an_error_in_a_batch_voids_what_follows_up_to_sync) {
  a("Parse \"\" \"x\" ; Bind \"\" \"\" ; Execute \"\" ; Sync ; Query \"select 1\"");
  const std::string all =
      "ParseComplete ; ErrorResponse ERROR 22P02 \"bad\" D=\"detail\" H=\"hint\" ; "
      "ReadyForQuery I ; CommandComplete \"SELECT 1\" ; ReadyForQuery I";
  EXPECT_EQ(server(all).client, all);
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, an_error_at_sync_is_of_the_sync) {
  a("Execute \"\" ; Sync");
  const std::string all =
      "CommandComplete \"INSERT 0 1\" ; ErrorResponse ERROR 23503 \"late\" ; "
      "ReadyForQuery I";
  EXPECT_EQ(server(all).client, all);
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, a_query_amid_a_failed_batch_is_skipped) {
  a("Bind \"\" \"x\" ; Query \"select 1\" ; Sync");
  server("ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, a_query_amid_a_batch_is_answered_with_its_own_end) {
  a("Parse \"\" \"x\" ; Query \"select 1\" ; Bind \"\" \"\" ; Sync");
  server(
      "ParseComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery I ; BindComplete ; "
      "ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, fatal_errors_end_the_link_and_reach_the_client) {
  a("Query \"x\"");
  const Heard heard = server("ErrorResponse FATAL 57P01 \"terminating\"");
  EXPECT_EQ(heard.verdict, Verdict::ending);
  EXPECT_EQ(heard.client, "");  // it goes on elsewhere
  const auto own_fault = bench_.link();
  EXPECT_EQ(bench_.server_says(*own_fault, a_.get(), "ErrorResponse FATAL 08P01 \"lost\"").client,
            "ErrorResponse FATAL 08P01 \"lost\"");
  const auto idle = bench_.link();
  EXPECT_EQ(bench_.server_says(*idle, nullptr, "ErrorResponse FATAL 57P01 \"terminating\"").verdict,
            Verdict::ending);
  const auto panic = bench_.link();
  EXPECT_EQ(bench_.server_says(*panic, a_.get(), "ErrorResponse PANIC XX000 \"oh\"").client,
            "ErrorResponse PANIC XX000 \"oh\"");
}

TEST_F(ServerRelayTest, an_error_out_of_the_blue_poisons_the_link) {
  EXPECT_EQ(server("ErrorResponse ERROR XX000 \"oh\"").client, "ErrorResponse ERROR XX000 \"oh\"");
  EXPECT_TRUE(one_->state.poisoned);
}

TEST_F(ServerRelayTest, an_error_without_any_field_is_taken_as_it_is) {
  a("Query \"x\"");
  const std::string bytes("E\0\0\0\5\0", 6);
  EXPECT_EQ(bench_.server_sends(*one_, a_.get(), bytes).client_bytes, bytes);
  server("ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, a_large_error_streams_through) {
  a("Query \"x\"");
  const std::string error = "ErrorResponse ERROR 22000 \"" + std::string(200'000, 'm') + "\"";
  EXPECT_EQ(server(error).client, error);
  EXPECT_EQ(server("ReadyForQuery I").client, "ReadyForQuery I");
}

TEST_F(ServerRelayTest, notices_that_announce_the_end_poison_the_link) {
  for (const char* code : {"57P01", "57P02"}) {
    const auto link = bench_.link();
    const std::string notice = std::string("NoticeResponse WARNING ") + code + " \"terminating\"";
    EXPECT_EQ(bench_.server_says(*link, a_.get(), notice).client, notice);
    EXPECT_TRUE(link->state.poisoned);
  }
  const auto link = bench_.link();
  bench_.server_says(*link, a_.get(), "NoticeResponse NOTICE 57P01 \"only a function's\"");
  bench_.server_says(*link, a_.get(), "NoticeResponse WARNING 01000 \"usual\"");
  EXPECT_FALSE(link->state.poisoned);
}

TEST_F(ServerRelayTest, nobody_hears_what_is_said_for_ourselves) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  const auto two = bench_.link();
  bench_.client_says(*a_, two.get(), "Bind \"\" \"s\"");
  EXPECT_EQ(bench_
                .server_says(*two, a_.get(),
                             "NoticeResponse WARNING 01000 \"of ours\" ; "
                             "ParseComplete ; BindComplete")
                .client,
            "BindComplete");
}

TEST_F(ServerRelayTest, what_is_supplied_behind_an_error_is_not_said) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  a("Bind \"\" \"x\" ; Close S \"s\" ; Parse \"t\" \"select 1\" ; Sync ; Close S \"u\"");
  EXPECT_EQ(server("ErrorResponse ERROR 26000 \"no x\"").client,
            "ErrorResponse ERROR 26000 \"no x\"");
  EXPECT_EQ(server("ReadyForQuery I").client, "ReadyForQuery I ; CloseComplete");
}

// ---------------------------------------------------------------- parameters

TEST_F(ServerRelayTest, what_the_client_sets_is_remembered_on_both_sides) {
  a("Query \"set timezone\"");
  server("CommandComplete \"SET\" ; ParameterStatus \"TimeZone\" \"CET\" ; ReadyForQuery I");
  ASSERT_NE(a_->state.settings->find("timezone"), nullptr);
  EXPECT_EQ(*a_->state.settings->find("timezone"), "CET");
  EXPECT_EQ(a_->state.settings, one_->state.settings);
}

TEST_F(ServerRelayTest, a_link_gets_the_settings_of_its_next_client_ahead_of_its_message) {
  a("Query \"set timezone\"");
  server("ParameterStatus \"TimeZone\" \"CET\" ; CommandComplete \"SET\" ; ReadyForQuery I");
  EXPECT_EQ(bench_.link_up(*b_, *one_).server,
            "Parse \"_forebay_set\" \"SELECT pg_catalog.set_config($1, $2, false)\" ; "
            "Bind \"\" \"_forebay_set\" \"timezone\" null ; Execute \"\" ; Sync");
  bench_.client_says(*b_, one_.get(), "Query \"select 1\"");
  EXPECT_EQ(
      bench_
          .server_says(*one_, b_.get(),
                       "ParseComplete ; BindComplete ; DataRow \"UTC\" ; "
                       "CommandComplete \"SELECT 1\" ; ParameterStatus \"TimeZone\" \"UTC\" ; "
                       "ReadyForQuery I ; CommandComplete \"SELECT 1\" ; ReadyForQuery I")
          .client,
      "CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_EQ(b_->state.settings, bench_.sets.empty());
  // And back again: the statement is there by now.
  EXPECT_EQ(bench_.link_up(*a_, *one_).server,
            "Bind \"\" \"_forebay_set\" \"timezone\" \"CET\" ; Execute \"\" ; Sync");
}

TEST_F(ServerRelayTest, a_client_is_never_linked_to_settings_that_were_refused) {
  a("Query \"set timezone\"");
  server("ParameterStatus \"TimeZone\" \"CET\" ; CommandComplete \"SET\" ; ReadyForQuery I");
  const auto two = bench_.link();
  bench_.link_up(*a_, *two);
  bench_.client_says(*a_, two.get(), "Query \"select 1\"");
  const Heard heard = bench_.server_says(*two, a_.get(),
                                         "ParseComplete ; BindComplete ; "
                                         "ErrorResponse ERROR 22023 \"no such zone\"");
  EXPECT_EQ(heard.verdict, Verdict::violation);
  EXPECT_EQ(heard.client, "");
  EXPECT_TRUE(two->state.poisoned);
}

TEST_F(ServerRelayTest, facts_about_the_server_are_no_settings) {
  server("ParameterStatus \"in_hot_standby\" \"on\"");
  EXPECT_EQ(a_->state.settings, bench_.sets.empty());
  EXPECT_EQ(*one_->state.welcome->find("in_hot_standby"), "on");
  // The next client is told when it comes to this server.
  EXPECT_EQ(bench_.link_up(*b_, *one_).client, "ParameterStatus \"in_hot_standby\" \"on\"");
}

// The server keeps it, so the link must not be noted as another's to use unchanged.
TEST_F(ServerRelayTest, an_error_takes_nothing_back_that_an_earlier_statement_set) {
  a("Query \"select sets_timezone()\"");
  server("CommandComplete \"SELECT 1\" ; ParameterStatus \"TimeZone\" \"CET\" ; ReadyForQuery I");
  EXPECT_EQ(a_->state.undo, nullptr);
  a("Query \"error\"");
  server("ErrorResponse ERROR 42601 \"x\" ; ReadyForQuery I");
  ASSERT_NE(a_->state.settings->find("timezone"), nullptr);
  EXPECT_EQ(*a_->state.settings->find("timezone"), "CET");
  EXPECT_NE(bench_.link_up(*b_, *one_).server.find("\"timezone\" null"), std::string::npos);
}

TEST_F(ServerRelayTest, a_client_hears_what_differs_on_its_next_server) {
  const auto two = bench_.link();
  two->state.welcome = std::make_shared<const Welcome>(
      Welcome{{{"server_version", "16.0"}, {"application_name", ""}, {"TimeZone", "UTC"}}});
  EXPECT_EQ(bench_.link_up(*a_, *two).client, "ParameterStatus \"server_version\" \"16.0\"");
  EXPECT_EQ(bench_.link_up(*a_, *two).client, "");
}

TEST_F(ServerRelayTest, a_client_does_not_hear_what_the_last_one_was_by_its_role) {
  const auto welcome = [](const char* superuser) {
    return std::make_shared<const Welcome>(
        Welcome{{{"server_version", "15.0"}, {"is_superuser", superuser}}});
  };
  a_->state.welcome = welcome("on");
  const auto two = bench_.link();
  two->state.welcome = welcome("off");
  two->state.settings = bench_.sets.make({{"role", "nobody"}});
  const Heard heard = bench_.link_up(*a_, *two);
  EXPECT_EQ(heard.client, "");
  EXPECT_NE(heard.server.find("\"role\" null"), std::string::npos) << heard.server;
  EXPECT_EQ(bench_
                .server_says(*two, a_.get(),
                             "ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\" ; "
                             "ParameterStatus \"is_superuser\" \"on\" ; ReadyForQuery I")
                .client,
            "");
  // What it is itself is told.
  a_->state.settings = bench_.sets.make({{"role", "nobody"}});
  bench_.link_up(*a_, *two);
  EXPECT_EQ(bench_
                .server_says(*two, a_.get(),
                             "BindComplete ; CommandComplete \"SELECT 1\" ; "
                             "ParameterStatus \"is_superuser\" \"off\" ; ReadyForQuery I")
                .client,
            "ParameterStatus \"is_superuser\" \"off\"");
}

TEST_F(ServerRelayTest, after_discard_all_the_settings_are_sent_again) {
  a_->state.settings = bench_.sets.make({{"statement_timeout", "5s"}});
  bench_.link_up(*a_, *one_);
  server("ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_EQ(bench_.link_up(*a_, *one_).server, "");
  for (const std::string reset : {"DISCARD ALL", "RESET"}) {
    a("Query \"x\"");
    server("CommandComplete \"" + reset + "\" ; ReadyForQuery I");
    const std::string sent = bench_.link_up(*a_, *one_).server;
    EXPECT_NE(
        sent.find("Bind \"\" \"_forebay_set\" \"statement_timeout\" \"5s\" ; Execute \"\" ; Sync"),
        std::string::npos)
        << reset << ": " << sent;
    const std::string parsed = sent.starts_with("Parse") ? "ParseComplete ; " : "";
    server(parsed + "BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery I");
    EXPECT_EQ(bench_.link_up(*a_, *one_).server, "");
  }
}

TEST_F(ServerRelayTest, after_a_reset_the_next_client_gets_rid_of_what_may_be_left) {
  a_->state.settings = bench_.sets.make({{"statement_timeout", "5s"}, {"work_mem", "1MB"}});
  bench_.link_up(*a_, *one_);
  server(
      "ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\" ; BindComplete ; "
      "CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  a("Query \"reset work_mem\"");
  server("CommandComplete \"RESET\" ; ReadyForQuery I");
  b_->state.settings = bench_.sets.make({{"work_mem", "1MB"}});
  EXPECT_EQ(bench_.link_up(*b_, *one_).server,
            "Bind \"\" \"_forebay_set\" \"statement_timeout\" null ; Execute \"\" ; "
            "Bind \"\" \"_forebay_set\" \"work_mem\" \"1MB\" ; Execute \"\" ; Sync");
}

// ---------------------------------------------------------------- a client that is gone

TEST_F(ServerRelayTest, answers_for_a_client_that_is_gone_go_nowhere) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  a("Query \"x\" ; Close S \"s\" ; Bind \"\" \"x\" ; Sync");
  one_->state.expected.abandon_all();
  const Heard heard = unlinked(
      "RowDescription \"a\" ; DataRow \"1\" ; CommandComplete \"SELECT 1\" ; "
      "ReadyForQuery I ; ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(heard.client, "");
  EXPECT_EQ(heard.verdict, Verdict::fine);
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(ServerRelayTest, what_was_voided_is_undone_without_its_client_too) {
  bench_.prepare(*b_, *one_, "", "select 'b'");
  a("Bind \"\" \"x\" ; Parse \"\" \"select 'a'\" ; Parse \"s\" \"select 1\" ; Sync");
  one_->state.expected.abandon_all();
  unlinked("ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  EXPECT_EQ(one_->state.statements.size(), 0u);
  const auto c = bench_.client();
  EXPECT_EQ(bench_.client_says(*c, one_.get(), "Bind \"\" \"\"").server,
            "Close S \"\" ; Bind \"\" \"\"");
}

}  // namespace
}  // namespace forebay::core
