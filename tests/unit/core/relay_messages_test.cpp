#include "unit/core/relay_bench.hpp"

// What becomes of each message of a client, with a link and without.
namespace forebay::core {
namespace {

using Stop = Relay::ClientStop;

class RelayMessages : public ::testing::Test {
 protected:
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> one_ = bench_.link();

  Heard a(std::string_view says) { return bench_.client_says(*a_, one_.get(), says); }
  Heard alone(std::string_view says) { return bench_.client_says(*a_, nullptr, says); }
  Heard server(std::string_view says) { return bench_.server_says(*one_, a_.get(), says); }
};

TEST_F(RelayMessages, every_message_goes_on_to_a_link) {
  for (const std::string message :
       {"Query \"select 1\"", "Parse \"\" \"select 1\"", "Bind \"p\" \"\" \"v\" null",
        "Describe S \"\"", "Describe P \"p\"", "Execute \"p\" 7", "Close P \"p\"", "Close S \"\"",
        "Flush", "Sync", "FunctionCall 1 \"x\"", "CopyData \"x\"", "CopyDone", "CopyFail \"no\""}) {
    const auto client = bench_.client();
    const auto link = bench_.link();
    const Heard heard = bench_.client_says(*client, link.get(), message);
    EXPECT_EQ(heard.server, message);
    EXPECT_EQ(heard.client, "");
    EXPECT_EQ(heard.stop, Stop::need_bytes);
  }
}

TEST_F(RelayMessages, without_a_link_only_what_does_nothing_is_answered) {
  struct {
    const char* message;
    Stop stop;
    const char* answer;
  } const cases[] = {
      {"Query \"select 1\"", Stop::need_link, ""},
      {"Parse \"s\" \"select 1\"", Stop::need_link, ""},
      {"Parse \"\" \"begin\"", Stop::need_link, ""},
      {"Parse \"s\" \"BEGIN;\"", Stop::need_bytes, "ParseComplete"},
      {"Bind \"\" \"\"", Stop::need_link, ""},
      {"Describe S \"\"", Stop::need_link, ""},
      {"Execute \"\"", Stop::need_link, ""},
      {"FunctionCall 1 \"x\"", Stop::need_link, ""},
      {"Close S \"s\"", Stop::need_bytes, "CloseComplete"},
      {"Close S \"\"", Stop::need_bytes, "CloseComplete"},
      {"Close P \"p\"", Stop::need_bytes, "CloseComplete"},
      {"Sync", Stop::need_bytes, "ReadyForQuery I"},
      {"Flush", Stop::need_bytes, ""},
      {"CopyData \"x\"", Stop::need_bytes, ""},
      {"CopyDone", Stop::need_bytes, ""},
      {"CopyFail \"x\"", Stop::need_bytes, ""},
      {"Terminate", Stop::terminate, ""},
  };
  for (const auto& c : cases) {
    const auto client = bench_.client();
    const Heard heard = bench_.client_says(*client, nullptr, c.message);
    EXPECT_EQ(heard.stop, c.stop) << c.message;
    EXPECT_EQ(heard.client, c.answer) << c.message;
    EXPECT_EQ(heard.server, "") << c.message;
    // What needs a link stays where it is.
    EXPECT_EQ(heard.consumed == 0, c.stop != Stop::need_bytes) << c.message;
  }
}

TEST_F(RelayMessages, in_session_mode_close_and_parse_need_the_link) {
  bench_.rules.share_statements = false;
  EXPECT_EQ(alone("Close S \"s\"").stop, Stop::need_link);
  const auto other = bench_.client();
  EXPECT_EQ(bench_.client_says(*other, nullptr, "Parse \"s\" \"begin\"").stop, Stop::need_link);
}

TEST_F(RelayMessages, knows_the_begin_and_end_of_transactions) {
  for (const std::string text :
       {"begin", "BEGIN", " begin ; ", "begin work", "BEGIN TRANSACTION", "start transaction",
        "commit", "commit work", "end", "end transaction", "rollback", "abort", "abort work"}) {
    const auto client = bench_.client();
    EXPECT_EQ(bench_.client_says(*client, nullptr, "Parse \"s\" " + test::quote(text)).client,
              "ParseComplete")
        << text;
  }
  for (const std::string text :
       {"begi", "begin; commit", "begin isolation level serializable", "commit prepared 'x'",
        "begin work transaction", "begin transaction work", "start", "start work", "transaction",
        "", ";", "; begin", "begin; work", "rollback to s", "begin -- x", "be gin",
        "start transaction transaction"}) {
    const auto client = bench_.client();
    EXPECT_EQ(bench_.client_says(*client, nullptr, "Parse \"s\" " + test::quote(text)).stop,
              Stop::need_link)
        << text;
  }
}

TEST_F(RelayMessages, a_begin_prepared_without_a_link_is_put_ahead_when_it_is_used) {
  alone("Parse \"b\" \"begin\" ; Sync");
  EXPECT_EQ(a("Bind \"\" \"b\" ; Execute \"\" ; Sync").server,
            "Parse \"_forebay_1\" \"begin\" ; Bind \"\" \"_forebay_1\" ; Execute \"\" ; Sync");
}

TEST_F(RelayMessages, what_a_server_of_the_pool_has_accepted_needs_no_link_to_be_prepared_again) {
  a_->state.pool = one_->state.pool = 1;
  bench_.prepare(*a_, *one_, "s", "select 1");
  const auto other = bench_.client();
  other->state.pool = 1;
  EXPECT_EQ(bench_.client_says(*other, nullptr, "Parse \"t\" \"select 1\"").client,
            "ParseComplete");
  // Another pool is another database: there it may be wrong.
  const auto stranger = bench_.client();
  stranger->state.pool = 2;
  EXPECT_EQ(bench_.client_says(*stranger, nullptr, "Parse \"t\" \"select 1\"").stop,
            Stop::need_link);
}

TEST_F(RelayMessages, says_which_message_is_not_of_the_protocol) {
  const Heard unknown = bench_.client_sends(*a_, one_.get(), Bytes("Y\0\0\0\4", 5));
  EXPECT_EQ(unknown.stop, Stop::violation);
  EXPECT_EQ(unknown.complaint, "invalid frontend message type 89");
  const auto b = bench_.client();
  const Heard length = bench_.client_sends(*b, one_.get(), Bytes("Q\0\0\0\3", 5));
  EXPECT_EQ(length.stop, Stop::violation);
  EXPECT_EQ(length.complaint, "invalid message length");
  const auto c = bench_.client();
  const Heard password = bench_.client_says(*c, one_.get(), "Password \"x\"");
  EXPECT_EQ(password.stop, Stop::violation);
  EXPECT_EQ(password.complaint, "invalid frontend message type 112");
}

TEST_F(RelayMessages, what_went_before_a_violation_is_still_sent) {
  const Heard heard =
      bench_.client_sends(*a_, one_.get(), test::frontend("Query \"select 1\"") + "\x01....");
  EXPECT_EQ(heard.server, "Query \"select 1\"");
  EXPECT_EQ(heard.stop, Stop::violation);
}

TEST_F(RelayMessages, malformed_messages_are_the_servers_to_refuse) {
  // A Parse without its parameter types, a Bind without names, a Describe of nothing known.
  for (const std::string& message : {std::string("P\0\0\0\7ab\0", 8), std::string("B\0\0\0\6ab", 7),
                                     std::string("D\0\0\0\7Xa\0", 8), std::string("C\0\0\0\5S", 6),
                                     std::string("E\0\0\0\4", 5)}) {
    const auto client = bench_.client();
    const auto link = bench_.link();
    EXPECT_EQ(bench_.client_sends(*client, link.get(), message).server_bytes, message);
    EXPECT_FALSE(link->state.expected.empty());
  }
}

TEST_F(RelayMessages, waits_when_very_much_is_in_flight) {
  std::string syncs;
  for (std::size_t i = 0; i < kExpectedMax + 5; ++i) syncs += test::frontend("Sync");
  Heard heard = bench_.client_sends(*a_, one_.get(), syncs);
  EXPECT_EQ(heard.stop, Stop::full);
  EXPECT_EQ(one_->state.expected.size(), kExpectedMax);
  server("ReadyForQuery I ; ReadyForQuery I");
  heard = bench_.client_goes_on(*a_, one_.get());
  EXPECT_EQ(heard.server, "Sync ; Sync");
  EXPECT_EQ(heard.stop, Stop::full);
}

TEST_F(RelayMessages, a_large_query_streams_through) {
  const std::string query = "Query " + test::quote(std::string(300'000, 'q'));
  EXPECT_EQ(a(query).server_bytes, test::frontend(query));
  EXPECT_EQ(one_->state.expected.size(), 1u);
}

TEST_F(RelayMessages, a_large_message_that_needs_a_link_waits_with_its_head) {
  const std::string query = "Query " + test::quote(std::string(300'000, 'q'));
  Heard heard = bench_.client_sends(*a_, nullptr, test::frontend(query).substr(0, 80'000));
  EXPECT_EQ(heard.stop, Stop::need_link);
  EXPECT_EQ(heard.consumed, 0u);
  EXPECT_EQ(a_->state.framer.rest(), 0u);
  heard = bench_.client_goes_on(*a_, one_.get());
  EXPECT_EQ(heard.consumed, 80'000u);
}

// ---------------------------------------------------------------- after an error

TEST_F(RelayMessages, what_the_server_skips_is_not_sent) {
  a("Bind \"\" \"x\"");
  server("ErrorResponse ERROR 26000 \"no x\"");
  EXPECT_EQ(a("Execute \"\" ; Parse \"s\" \"select 1\" ; Query \"select 1\" ; Sync").server,
            "Sync");
  EXPECT_EQ(server("ReadyForQuery I").client, "ReadyForQuery I");
  EXPECT_EQ(a("Query \"select 1\"").server, "Query \"select 1\"");
}

TEST_F(RelayMessages, a_large_message_is_skipped_to_its_end) {
  a("Bind \"\" \"x\"");
  server("ErrorResponse ERROR 26000 \"no x\"");
  const std::string value = test::quote(std::string(200'000, 'v'));
  EXPECT_EQ(a("Bind \"\" \"s\" " + value + " ; Parse \"\" " + value + " ; Sync").server, "Sync");
}

TEST_F(RelayMessages, after_an_error_of_ours_all_is_dropped_up_to_sync) {
  a_->state.skip_to_sync = true;
  const Heard heard =
      alone("Bind \"\" \"s\" ; Query \"select 1\" ; Flush ; Sync ; Query \"select 2\"");
  EXPECT_EQ(heard.client, "ReadyForQuery I");
  EXPECT_EQ(heard.stop, Stop::need_link);
  EXPECT_FALSE(a_->state.skip_to_sync);
}

// ---------------------------------------------------------------- COPY

TEST_F(RelayMessages, copy_in_streams_until_it_ends) {
  a("Query \"copy\"");
  EXPECT_EQ(server("CopyInResponse").client, "CopyInResponse");
  EXPECT_EQ(a("CopyData \"x\" ; CopyData \"y\" ; CopyDone").server,
            "CopyData \"x\" ; CopyData \"y\" ; CopyDone");
  server("CommandComplete \"COPY 2\" ; ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(RelayMessages, copy_in_sent_before_its_answer) {
  EXPECT_EQ(a("Query \"copy\" ; CopyData \"x\" ; CopyDone ; Query \"select 1\"").server,
            "Query \"copy\" ; CopyData \"x\" ; CopyDone ; Query \"select 1\"");
  server("CopyInResponse ; CommandComplete \"COPY 1\" ; ReadyForQuery I");
  EXPECT_FALSE(one_->state.at_rest());
  server("CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(RelayMessages, a_sync_during_copy_in_has_no_answer) {
  a("Parse \"\" \"copy\" ; Bind \"\" \"\" ; Execute \"\" ; Sync");
  server("ParseComplete ; BindComplete ; CopyInResponse");
  a("CopyData \"x\" ; CopyDone ; Sync");
  server("CommandComplete \"COPY 1\" ; ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
}

TEST_F(RelayMessages, copy_fail_ends_it_too) {
  a("Query \"copy\"");
  server("CopyInResponse");
  a("CopyData \"x\" ; CopyFail \"no\"");
  server("ErrorResponse ERROR 57014 \"COPY failed\" ; ReadyForQuery I");
  EXPECT_TRUE(one_->state.at_rest());
  EXPECT_FALSE(one_->state.expected.doubtful());
}

TEST_F(RelayMessages, named_statements_are_not_touched_during_copy_in) {
  // The server takes any of these for the end of the copy, and complains.
  for (const std::string message :
       {"Parse \"s\" \"select 1\"", "Bind \"\" \"s\"", "Describe S \"s\"", "Close S \"s\""}) {
    const auto client = bench_.client();
    const auto link = bench_.link();
    bench_.client_says(*client, link.get(), "Query \"copy\"");
    bench_.server_says(*link, client.get(), "CopyInResponse");
    EXPECT_EQ(bench_.client_says(*client, link.get(), message).server, message);
    EXPECT_EQ(link->state.statements.size(), 0u);
    bench_.server_says(*link, client.get(), "ErrorResponse ERROR 08P01 \"x\" ; ReadyForQuery I");
    EXPECT_TRUE(link->state.at_rest()) << message;
  }
}

TEST_F(RelayMessages, a_query_that_aborts_a_copy_does_not_drop_the_unnamed_statement) {
  const auto b = bench_.client();
  bench_.prepare(*a_, *one_, "", "select 'a'");
  a("Parse \"p\" \"copy\" ; Bind \"\" \"p\" ; Execute \"\"");
  server("ParseComplete ; BindComplete ; CopyInResponse");
  a("Query \"select 1\"");
  EXPECT_TRUE(a_->state.unnamed.exists);
}

}  // namespace
}  // namespace forebay::core
