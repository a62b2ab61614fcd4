#include "unit/core/relay_bench.hpp"

// A table changes after a client was told what rows its statement gives.
namespace forebay::core {
namespace {

class RelayChangedResult : public ::testing::Test {
 protected:
  RelayChangedResult() {
    for (auto* client : {a_.get(), b_.get()}) client->state.catalog = &epoch_;
    for (auto* link : {one_.get(), two_.get()}) link->state.catalog = &epoch_;
  }

  /// Prepares and describes, as drivers do.
  void prepare(RelayBench::Client& client, RelayBench::Link& link, std::string_view rows) {
    const Heard heard =
        bench_.client_says(client, &link, "Parse \"s\" \"select 1\" ; Describe S \"s\" ; Sync");
    std::string answer;
    if (heard.server.find("Close") != std::string::npos) answer += "CloseComplete ; ";
    if (heard.server.find("Parse") != std::string::npos) answer += "ParseComplete ; ";
    answer.append("ParameterDescription ; ").append(rows).append(" ; ReadyForQuery I");
    bench_.server_says(link, &client, answer);
    ASSERT_TRUE(link.state.at_rest());
  }
  Heard a_on_two(std::string_view says) { return bench_.client_says(*a_, two_.get(), says); }
  Heard goes_on() { return bench_.client_goes_on(*a_, two_.get()); }
  Heard two(std::string_view says) { return bench_.server_says(*two_, a_.get(), says); }

  static constexpr std::string_view kUse = "Bind \"\" \"s\" ; Execute \"\" ; Sync";
  static constexpr std::string_view kAsked =
      "Parse \"_forebay_1\" \"select 1\" ; Describe S \"_forebay_1\" ; Flush";
  static constexpr std::string_view kUsed = "Bind \"\" \"_forebay_1\" ; Execute \"\" ; Sync";
  static constexpr std::string_view kRefused =
      "Bind \"\" \"_forebay_cached_plan_must_not_change_result_type\" ; Execute \"\" ; Sync";
  static constexpr std::string_view kError =
      "ErrorResponse ERROR 0A000 \"cached plan must not change result type\" "
      "R=\"RevalidateCachedQuery\" ; ReadyForQuery I";

  RelayBench bench_;
  CatalogEpoch epoch_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Client> b_ = bench_.client();
  std::unique_ptr<RelayBench::Link> one_ = bench_.link();
  std::unique_ptr<RelayBench::Link> two_ = bench_.link();
};

TEST_F(RelayChangedResult, a_server_that_prepares_after_the_change_is_asked_first) {
  prepare(*a_, *one_, "RowDescription \"a\"");
  epoch_.advance();
  const Heard heard = a_on_two(kUse);
  EXPECT_EQ(heard.server, kAsked);
  EXPECT_EQ(heard.stop, Relay::ClientStop::full);
  EXPECT_EQ(goes_on().server, "");
  EXPECT_EQ(two("ParseComplete ; ParameterDescription ; RowDescription \"a\" \"b\"").client, "");
  EXPECT_EQ(goes_on().server, kRefused);
  EXPECT_EQ(two("ErrorResponse ERROR 26000 \"prepared statement does not exist\" ; "
                "ReadyForQuery I")
                .client,
            kError);
  EXPECT_TRUE(two_->state.at_rest());
  // It stays so, and the answer is known by now.
  EXPECT_EQ(a_on_two(kUse).server, kRefused);
}

TEST_F(RelayChangedResult, the_same_rows_go_on_and_are_asked_for_once) {
  prepare(*a_, *one_, "RowDescription \"a\"");
  epoch_.advance();
  EXPECT_EQ(a_on_two(kUse).server, kAsked);
  two("ParseComplete ; ParameterDescription ; RowDescription \"a\"");
  EXPECT_EQ(goes_on().server, kUsed);
  EXPECT_EQ(two("BindComplete ; CommandComplete \"SELECT 0\" ; ReadyForQuery I").client,
            "BindComplete ; CommandComplete \"SELECT 0\" ; ReadyForQuery I");
  EXPECT_EQ(a_on_two(kUse).server, kUsed);
}

TEST_F(RelayChangedResult, what_another_client_was_told_need_not_be_asked) {
  prepare(*a_, *one_, "RowDescription \"a\"");
  epoch_.advance();
  prepare(*b_, *two_, "RowDescription \"a\"");
  EXPECT_EQ(a_on_two(kUse).server, kUsed);
  epoch_.advance();
  auto c = bench_.client();
  c->state.catalog = &epoch_;
  prepare(*c, *one_, "RowDescription \"b\"");
  EXPECT_EQ(bench_.client_says(*a_, one_.get(), kUse).server, kRefused);
}

TEST_F(RelayChangedResult, a_server_that_has_it_from_before_says_so_itself) {
  prepare(*a_, *one_, "RowDescription \"a\"");
  epoch_.advance();
  EXPECT_EQ(bench_.client_says(*a_, one_.get(), kUse).server, kUsed);
}

TEST_F(RelayChangedResult, a_describe_of_the_portal_tells_as_well) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  bench_.client_says(*a_, one_.get(), "Bind \"\" \"s\" ; Describe P \"\" ; Execute \"\" ; Sync");
  bench_.server_says(*one_, a_.get(),
                     "BindComplete ; RowDescription \"a\" ; CommandComplete \"SELECT 0\" ; "
                     "ReadyForQuery I");
  epoch_.advance();
  EXPECT_EQ(a_on_two(kUse).server, kAsked);
}

TEST_F(RelayChangedResult, a_describe_of_another_statements_portal_tells_nothing) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  bench_.client_says(
      *a_, one_.get(),
      "Bind \"\" \"s\" ; Parse \"\" \"select 2\" ; Bind \"\" \"\" ; Describe P \"\" ; "
      "Sync");
  bench_.server_says(*one_, a_.get(),
                     "BindComplete ; ParseComplete ; BindComplete ; RowDescription \"b\" ; "
                     "ReadyForQuery I");
  EXPECT_EQ(a_->state.statements->find("s")->shape, kUntold);
}

TEST_F(RelayChangedResult, who_was_told_nothing_or_of_no_rows_goes_on) {
  bench_.prepare(*a_, *one_, "s", "select 1");
  epoch_.advance();
  EXPECT_EQ(a_on_two(kUse).server, "Parse \"_forebay_1\" \"select 1\" ; " + std::string(kUsed));
  prepare(*b_, *one_, "NoData");
  epoch_.advance();
  auto three = bench_.link();
  three->state.catalog = &epoch_;
  EXPECT_EQ(bench_.client_says(*b_, three.get(), kUse).server,
            "Parse \"_forebay_1\" \"select 1\" ; " + std::string(kUsed));
}

TEST_F(RelayChangedResult, a_statement_that_is_no_more_gets_the_servers_own_error) {
  prepare(*a_, *one_, "RowDescription \"a\"");
  epoch_.advance();
  a_on_two(kUse);
  EXPECT_EQ(two("ErrorResponse ERROR 42P01 \"no table\"").client,
            "ErrorResponse ERROR 42P01 \"no table\"");
  EXPECT_EQ(goes_on().server, "Sync");
  EXPECT_EQ(two("ReadyForQuery I").client, "ReadyForQuery I");
  EXPECT_TRUE(two_->state.at_rest());
}

TEST_F(RelayChangedResult, a_newer_client_does_not_use_what_is_older_than_itself) {
  prepare(*a_, *two_, "RowDescription \"a\"");
  epoch_.advance();
  prepare(*b_, *one_, "RowDescription \"a\" \"b\"");
  epoch_.advance();  // by something else
  EXPECT_EQ(bench_.client_says(*b_, two_.get(), kUse).server,
            "Close S \"_forebay_1\" ; " + std::string(kAsked));
  bench_.server_says(*two_, b_.get(),
                     "CloseComplete ; ParseComplete ; ParameterDescription ; "
                     "RowDescription \"a\" \"b\"");
  EXPECT_EQ(bench_.client_goes_on(*b_, two_.get()).server, kUsed);
}

TEST_F(RelayChangedResult, what_was_answered_without_a_server_is_as_new_as_its_answer) {
  a_->state.pool = b_->state.pool = one_->state.pool = two_->state.pool = 1;
  bench_.prepare(*a_, *two_, "s", "select 1");
  epoch_.advance();
  bench_.prepare(*a_, *one_, "t", "select 1");
  EXPECT_EQ(bench_.client_says(*b_, nullptr, "Parse \"s\" \"select 1\"").client, "ParseComplete");
  EXPECT_EQ(bench_.client_says(*b_, two_.get(), kUse).server,
            "Close S \"_forebay_1\" ; Parse \"_forebay_1\" \"select 1\" ; " + std::string(kUsed));
}

TEST_F(RelayChangedResult, a_close_that_did_not_happen_leaves_all_that_was_known) {
  prepare(*a_, *one_, "RowDescription \"a\"");
  bench_.client_says(*a_, one_.get(), "Bind \"\" \"x\" ; Close S \"s\" ; Sync");
  bench_.server_says(*one_, a_.get(), "ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  epoch_.advance();
  EXPECT_EQ(a_on_two(kUse).server, kAsked);
}

TEST_F(RelayChangedResult, a_close_that_did_not_happen_behind_its_own_parse_leaves_it_certain) {
  bench_.client_says(*a_, one_.get(),
                     "Parse \"s\" \"select 1\" ; Bind \"\" \"x\" ; Close S \"s\" ; Sync");
  bench_.server_says(*one_, a_.get(),
                     "ParseComplete ; ErrorResponse ERROR 26000 \"no x\" ; ReadyForQuery I");
  bench_.client_says(*a_, one_.get(), "Query \"deallocate all\"");
  bench_.server_says(*one_, a_.get(), "CommandComplete \"DEALLOCATE ALL\" ; ReadyForQuery I");
  EXPECT_EQ(a_->state.statements->size(), 0u);
}

}  // namespace
}  // namespace forebay::core
