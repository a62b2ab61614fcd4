#include "unit/core/relay_bench.hpp"

// A transaction whose server connection is lost, as its client hears of it.
namespace forebay::core {
namespace {

class RelayLost : public ::testing::Test {
 protected:
  RelayLost() { bench_.rules.reader = &reader_; }

  StatementReader reader_{{1 << 20, {1, 2}}};
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> one_ = bench_.link();

  std::string answered(std::string_view asked, std::string_view said) {
    bench_.client_says(*a_, one_.get(), asked);
    return bench_.server_says(*one_, a_.get(), said).client;
  }
  void begin() {
    const std::string begun = "CommandComplete \"BEGIN\" ; ReadyForQuery T";
    EXPECT_EQ(answered("Query \"begin\"", begun), begun);
  }
  void set(const std::string& value) {
    answered("Query \"set timezone = '" + value + "'\"",
             "CommandComplete \"SET\" ; ParameterStatus \"TimeZone\" \"" + value +
                 "\" ; ReadyForQuery " + static_cast<char>(one_->state.status));
  }
  std::string lose() { return bench_.lose(*a_, *one_).client; }
  /// What the client hears without a server.
  std::string alone(std::string_view asked) {
    return bench_.client_says(*a_, nullptr, asked).client;
  }
  void expect_refused(const std::string& heard, const std::string& sqlstate,
                      const std::string& behind) {
    EXPECT_TRUE(heard.starts_with("ErrorResponse ERROR " + sqlstate)) << heard;
    EXPECT_TRUE(heard.ends_with(" ; " + behind)) << heard;
    EXPECT_EQ(heard.find("ParameterStatus") == std::string::npos,
              behind.find("ParameterStatus") == std::string::npos)
        << heard;
  }
};

constexpr const char* kRolledBack = "CommandComplete \"ROLLBACK\" ; ReadyForQuery I";

// No statement fails at it, and a ROLLBACK that is prepared first may still come.
TEST_F(RelayLost, a_sync_alone_leaves_the_transaction_open) {
  begin();
  EXPECT_EQ(lose(), "");
  EXPECT_EQ(alone("Sync"), "ReadyForQuery T");
  EXPECT_EQ(alone("Parse \"\" \"rollback\" ; Sync"), "ParseComplete ; ReadyForQuery T");
  expect_refused(alone("Query \"select 1\""), "40001", "ReadyForQuery E");
  EXPECT_EQ(alone("Sync"), "ReadyForQuery E");
  expect_refused(alone("Query \"select 1\""), "25P02", "ReadyForQuery E");
  EXPECT_EQ(alone("Query \"rollback\""), kRolledBack);
  EXPECT_EQ(a_->state.lost, nullptr);
}

TEST_F(RelayLost, a_batch_may_end_what_nobody_was_told_of) {
  begin();
  lose();
  EXPECT_EQ(alone("Sync"), "ReadyForQuery T");
  EXPECT_EQ(alone("Parse \"\" \"rollback\" ; Bind \"\" \"\" ; Execute \"\" ; Sync"),
            "ParseComplete ; BindComplete ; CommandComplete \"ROLLBACK\" ; ReadyForQuery I");
}

TEST_F(RelayLost, a_refused_batch_fails_the_transaction) {
  begin();
  lose();
  expect_refused(alone("Parse \"\" \"select 1\" ; Bind \"\" \"\" ; Execute \"\" ; Sync"), "40001",
                 "ReadyForQuery E");
  EXPECT_EQ(alone("Sync"), "ReadyForQuery E");
}

// Nothing looks like a COMMIT that was done, in whichever words.
TEST_F(RelayLost, the_end_of_what_nobody_was_told_of_is_an_error) {
  for (const char* text : {"commit", "END", "end work"}) {
    SCOPED_TRACE(text);
    begin();
    lose();
    expect_refused(
        alone(std::string("Parse \"\" \"") + text + "\" ; Bind \"\" \"\" ; Execute \"\" ; Sync"),
        "40001", "ReadyForQuery E");
    EXPECT_EQ(alone("Query \"rollback\""), kRolledBack);
  }
}

TEST_F(RelayLost, a_pipelined_commit_ends_the_transaction_for_the_client) {
  begin();
  bench_.client_says(*a_, one_.get(), "Query \"select 1\" ; Query \"commit\"");
  const std::string heard = lose();
  EXPECT_EQ(heard.find("ErrorResponse ERROR 08007"), 0u) << heard;
  expect_refused(heard.substr(heard.find("ReadyForQuery E ; ") + 18), "08007", "ReadyForQuery I");
  EXPECT_EQ(a_->state.lost, nullptr);
}

TEST_F(RelayLost, a_read_of_which_a_replica_has_shown_something_may_be_tried_again) {
  one_->state.reader = true;
  answered("Query \"select 1\"", "RowDescription \"c\" ; DataRow \"1\"");
  expect_refused(lose(), "40001", "ReadyForQuery I");
}

// Too long to be looked at: it may have anything in it.
TEST_F(RelayLost, a_large_text_may_have_committed) {
  begin();
  const std::string large(70'000, 'x');
  bench_.client_says(*a_, one_.get(), "Query \"select '" + large + "'; commit\"");
  expect_refused(lose(), "08007", "ReadyForQuery E");
}

TEST_F(RelayLost, a_transaction_that_had_failed_stays_so) {
  begin();
  answered("Query \"error\"", "ErrorResponse ERROR 42601 \"x\" ; ReadyForQuery E");
  lose();
  EXPECT_EQ(alone("Sync"), "ReadyForQuery E");
  EXPECT_EQ(alone("Query \"rollback\""), kRolledBack);
}

TEST_F(RelayLost, an_error_before_the_sync_has_failed_it_too) {
  begin();
  answered("Bind \"\" \"\" ; Execute \"\"", "ErrorResponse ERROR 42601 \"x\"");
  EXPECT_EQ(lose(), "");
  EXPECT_EQ(alone("Sync"), "ReadyForQuery E");
}

// A client decodes and converts by what it was told last.
TEST_F(RelayLost, a_setting_that_went_with_it_is_told_when_it_ends) {
  begin();
  set("CET");
  EXPECT_EQ(lose(), "");
  EXPECT_EQ(a_->state.settings->find("timezone"), nullptr);
  EXPECT_EQ(alone("Sync"), "ReadyForQuery T");
  EXPECT_EQ(alone("Query \"rollback\""),
            "CommandComplete \"ROLLBACK\" ; ParameterStatus \"TimeZone\" \"UTC\" ; "
            "ReadyForQuery I");
}

TEST_F(RelayLost, a_setting_that_went_with_it_is_told_once_with_the_error) {
  set("EET");
  begin();
  set("CET");
  bench_.client_says(*a_, one_.get(), "Query \"select 1\"");
  expect_refused(lose(), "40001", "ParameterStatus \"TimeZone\" \"EET\" ; ReadyForQuery E");
  EXPECT_EQ(alone("Query \"rollback\""), kRolledBack);
}

TEST_F(RelayLost, a_local_setting_is_told_behind_a_refused_commit) {
  begin();
  answered("Query \"set local timezone = 'CET'\"",
           "CommandComplete \"SET\" ; ParameterStatus \"TimeZone\" \"CET\" ; ReadyForQuery T");
  lose();
  expect_refused(alone("Query \"commit\""), "40001",
                 "ParameterStatus \"TimeZone\" \"UTC\" ; ReadyForQuery I");
}

TEST_F(RelayLost, settings_of_before_are_not_told_again) {
  answered("Query \"select sets_timezone()\"",
           "CommandComplete \"SELECT 1\" ; ParameterStatus \"TimeZone\" \"EET\" ; "
           "ReadyForQuery I");
  begin();
  lose();
  EXPECT_EQ(alone("Query \"rollback\""), kRolledBack);
}

// Reported, but the statement's ReadyForQuery never came: whether it holds is not known, and the
// session goes on without it.
TEST_F(RelayLost, a_statement_alone_is_told_with_its_error) {
  answered("Query \"set timezone = 'CET'\"", "ParameterStatus \"TimeZone\" \"CET\"");
  expect_refused(lose(), "40003", "ParameterStatus \"TimeZone\" \"UTC\" ; ReadyForQuery I");
  EXPECT_EQ(a_->state.lost, nullptr);
}

}  // namespace
}  // namespace forebay::core
