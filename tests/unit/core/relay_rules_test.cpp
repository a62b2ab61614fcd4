#include <gmock/gmock.h>

#include "unit/core/relay_bench.hpp"

// Rules for single statements: what holds for what a client says.
namespace forebay::core {
namespace {

using config::Rule;

class StatementRules : public ::testing::Test {
 protected:
  StatementRules() { bench_.rules.reader = &reader_; }

  void rules(const std::vector<Rule>& all) {
    set_ = rules::RuleSet::make(all, set_.get()).value();
    a_->state.rules = std::make_unique<SessionRules>(SessionRules{set_, ~rules::Mask{0}, {}});
  }
  Heard a(std::string_view says) { return bench_.client_says(*a_, link_.get(), says); }
  Heard server(std::string_view says) { return bench_.server_says(*link_, a_.get(), says); }
  /// The server has answered a Query.
  void answered() { server("CommandComplete \"X\" ; ReadyForQuery I"); }
  std::uint64_t hits(std::size_t i) { return set_->hits(i).value(); }

  static constexpr const char* kInPlace = "Query \"refused_by_forebay\"";
  static constexpr const char* kParseInPlace =
      "Parse \"_forebay_refused\" \"refused_by_forebay\" ; Sync";
  static constexpr const char* kFails = "ErrorResponse ERROR 42601 \"syntax error\"";

  StatementReader reader_{{1 << 20, {1, 2}}};
  RelayBench bench_;
  std::shared_ptr<const rules::RuleSet> set_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> link_ = bench_.link();
};

Rule no_deletes() {
  return {.name = "no_deletes", .kinds = {"delete"}, .error = "not here", .sqlstate = "ZZ001"};
}

TEST_F(StatementRules, refuse_in_the_operators_words) {
  rules({no_deletes()});
  EXPECT_EQ(a("Query \"delete from t\"").server, kInPlace);
  const std::string told = server(std::string(kFails) + " ; ReadyForQuery I").client;
  EXPECT_EQ(told,
            "ErrorResponse ERROR ZZ001 \"not here\" H=\"The rule \\\"no_deletes\\\" in the "
            "configuration of Forebay refuses it.\" ; ReadyForQuery I");
  EXPECT_EQ(hits(0), 1U);
  EXPECT_EQ(a("Query \"select 1\"").server, "Query \"select 1\"");
  EXPECT_EQ(hits(0), 1U);
}

// The copy may have failed at the server before it is known here: what follows is heard then.
TEST_F(StatementRules, refuse_while_a_copy_may_have_failed) {
  rules({no_deletes()});
  a("Query \"copy t from stdin\"");
  server("CopyInResponse");
  EXPECT_EQ(a("CopyData \"x\" ; Parse \"\" \"delete from t\" ; Sync").server,
            std::string("CopyData \"x\" ; ") + kParseInPlace);
}

// Judged by other rules, a chain of statements that execute one another is not followed for ever.
TEST_F(StatementRules, follow_few_statements_that_execute_another) {
  rules({no_deletes()});
  constexpr int kMany = 50;
  for (int i = 0; i < kMany; ++i) {
    bench_.prepare(*a_, *link_, "p" + std::to_string(i), "execute p" + std::to_string(i + 1));
  }
  rules({no_deletes(), {.name = "another", .kinds = {"update"}, .log = true}});
  EXPECT_THAT(a("Bind \"\" \"p0\" ; Execute \"\" ; Sync").server,
              ::testing::HasSubstr("_forebay_refused"))
      << "who knows what it does";
}

TEST_F(StatementRules, refuse_what_is_prepared_and_count_what_runs) {
  rules({no_deletes(), {.name = "log", .log = true}});
  EXPECT_EQ(a("Parse \"s\" \"delete from t\" ; Sync").server, kParseInPlace);
  server(std::string(kFails) + " ; ReadyForQuery I");
  EXPECT_EQ(hits(0), 1U);
  bench_.prepare(*a_, *link_, "r", "select $1, 'literal'");
  EXPECT_EQ(hits(1), 0U) << "it did not run";
  a("Bind \"\" \"r\" \"1\" ; Execute \"\" ; Sync");
  EXPECT_EQ(hits(1), 1U);
  EXPECT_EQ(reader_.rule_log, std::vector<std::string>({"rule \"log\": select $1, ?"}));
}

TEST_F(StatementRules, hold_for_what_was_prepared_before) {
  bench_.prepare(*a_, *link_, "s", "delete from t where a = $1");
  a("Query \"prepare q as delete from t\"");
  server("CommandComplete \"PREPARE\" ; ReadyForQuery I");
  rules({no_deletes()});
  EXPECT_EQ(a("Bind \"\" \"s\" \"1\" ; Sync").server, "Bind \"\" \"_forebay_refused\" ; Sync");
  server(std::string(kFails) + " ; ReadyForQuery I");
  EXPECT_EQ(a("Query \"execute q\"").server, kInPlace);
  server(std::string(kFails) + " ; ReadyForQuery I");
  EXPECT_EQ(a("Parse \"e\" \"execute q\" ; Sync").server, kParseInPlace);
  server(std::string(kFails) + " ; ReadyForQuery I");
  EXPECT_EQ(a("Query \"create table x as execute q\"").server, kInPlace);
  server(std::string(kFails) + " ; ReadyForQuery I");
  rules({{.name = "other", .kinds = {"insert"}, .error = "x"}});
  EXPECT_EQ(a("Bind \"\" \"s\" \"1\" ; Sync").server, "Bind \"\" \"_forebay_1\" \"1\" ; Sync");
}

TEST_F(StatementRules, hold_for_the_unnamed_statement) {
  a("Parse \"\" \"delete from t\" ; Sync");
  server("ParseComplete ; ReadyForQuery I");
  rules({no_deletes()});
  EXPECT_EQ(a("Bind \"\" \"\" ; Sync").server, "Bind \"\" \"_forebay_refused\" ; Sync");
}

TEST_F(StatementRules, do_not_answer_a_parse_that_they_refuse) {
  bench_.prepare(*a_, *link_, "s", "delete from t");
  rules({no_deletes()});
  EXPECT_EQ(bench_.client_says(*a_, nullptr, "Parse \"z\" \"delete from t\"").stop,
            Relay::ClientStop::need_link);
}

TEST_F(StatementRules, are_taken_in_their_order_and_dry_ones_only_count) {
  Rule dry = no_deletes();
  dry.dry_run = true;
  dry.log = true;
  rules({dry, {.name = "first", .kinds = {"delete"}, .log = true}, no_deletes()});
  EXPECT_EQ(a("Query \"delete from t where a = 'x'\"").server,
            "Query \"delete from t where a = 'x'\"");
  EXPECT_EQ(hits(0), 1U);
  EXPECT_EQ(hits(1), 1U);
  EXPECT_EQ(hits(2), 0U);
  EXPECT_EQ(reader_.rule_log,
            std::vector<std::string>({"rule \"no_deletes\" (dry run): delete from t where a=?",
                                      "rule \"first\": delete from t where a=?"}));
}

TEST_F(StatementRules, ask_what_the_application_is_called_now) {
  Rule rule = no_deletes();
  rule.applications = {"web"};
  rules({rule});
  a("Query \"delete from t\"");
  answered();
  EXPECT_EQ(hits(0), 0U);
  a_->state.settings = bench_.sets.make({{"application_name", "web"}});
  EXPECT_EQ(a("Query \"delete from t\"").server, kInPlace);
}

TEST_F(StatementRules, refuse_what_cannot_be_looked_at) {
  rules({no_deletes()});
  const std::string large = "Query \"select 1 --" + std::string(70'000, ' ') + "\"";
  EXPECT_EQ(a(large).server, kInPlace);
  server(std::string(kFails) + " ; ReadyForQuery I");
  EXPECT_EQ(a("FunctionCall 1234 \"argument\"").server, kInPlace);
  server(std::string(kFails) + " ; ReadyForQuery I");
  EXPECT_EQ(hits(0), 2U);
}

TEST_F(StatementRules, have_a_time_of_their_own) {
  Rule slow{.name = "slow", .tables = {"big"}, .statement_timeout = std::chrono::minutes(5)};
  Rule fast{.name = "fast", .statement_timeout = std::chrono::seconds(1)};
  rules({slow, fast});
  a("Query \"select * from big\"");
  ASSERT_NE(link_->state.rule, nullptr);
  EXPECT_EQ(link_->state.rule->name, "slow");
  answered();
  a("Query \"select 1\"");
  EXPECT_EQ(link_->state.rule->name, "fast");
  answered();
  a("Parse \"\" \"select * from big\" ; Bind \"\" \"\" ; Execute \"\" ; "
    "Parse \"\" \"select 1\" ; Bind \"\" \"\" ; Execute \"\" ; Sync");
  EXPECT_EQ(link_->state.rule->name, "fast") << "the shortest of a batch";
  rules({{.name = "log", .log = true}});
  EXPECT_EQ(link_->state.rule->name, "fast") << "what runs keeps what it has";
}

TEST_F(StatementRules, say_where_reads_go) {
  a_->state.splits = true;
  const auto reads = [&](const std::string& text) {
    const std::string query = test::frontend("Query " + test::quote(text));
    Conduit none;
    return Relay(bench_.rules, a_->state, {none, none}).look_ahead(query).size == query.size();
  };
  EXPECT_TRUE(reads("select 1 from t"));
  EXPECT_FALSE(reads("select f(1)"));
  rules({{.name = "t", .tables = {"t"}, .target = config::RuleTarget::primary},
         {.name = "f", .functions = {"f", "g"}, .target = config::RuleTarget::replica},
         {.name = "e", .tables = {"e"}, .error = "no"}});
  EXPECT_FALSE(reads("select 1 from t"));
  EXPECT_TRUE(reads("select f(1)"));
  EXPECT_FALSE(reads("select f(1) for update")) << "it locks";
  EXPECT_FALSE(reads("insert into x select f(1)"));
  EXPECT_FALSE(reads("select f(1); select 2"));
  EXPECT_FALSE(reads("select f(pg_advisory_lock(1))"));
  EXPECT_FALSE(reads("select 1 from e")) << "it is refused, once";
  EXPECT_TRUE(reads("select 2"));
}

}  // namespace
}  // namespace forebay::core
