#include <map>

#include "core/statistics/measures.hpp"
#include "unit/core/relay_bench.hpp"

// What is counted of statements, batches and errors as they pass.
namespace forebay::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RelayMeasures : public ::testing::Test {
 protected:
  RelayMeasures() {
    bench_.rules.reader = &reader_;
    bench_.rules.measures = &measures_;
    measures_.now = Instant(seconds(100));
    measures_.statements.set_max(100);
    a_->state.statistics = &pool_;
    one_->state.meter.pool = &counters_;
    one_->state.meter.slow_after = milliseconds(500);
    one_->state.meter.linked(measures_.now, {});
  }

  void asks(const std::string& asked) { bench_.client_says(*a_, one_.get(), asked); }
  void answers(const std::string& said) { bench_.server_says(*one_, a_.get(), said); }
  void later(int ms) { measures_.now += milliseconds(ms); }
  static std::map<std::string, std::uint64_t> codes(const ErrorCounters& errors) {
    std::map<std::string, std::uint64_t> seen;
    errors.each([&](const std::string& code, std::uint64_t count) { seen[code] = count; });
    return seen;
  }
  /// The only one with this text.
  StatementCounts row(const std::string& text) {
    std::vector<StatementRow> rows;
    StatementCounts other;
    measures_.statements.report(rows, other);
    for (const StatementRow& row : rows) {
      if (row.text == text) return row.counts;
    }
    return {};
  }

  using Codes = std::map<std::string, std::uint64_t>;
  using Texts = std::vector<std::string>;
  /// Of the samples since the last time.
  Texts parameters() {
    Texts all;
    for (const SlowSample& sample : std::exchange(measures_.fresh, {})) {
      all.push_back(sample.parameters);
    }
    return all;
  }
  using Kinds = std::map<std::string, std::uint64_t>;
  /// Those that there were.
  Kinds kinds() {
    Kinds seen;
    for (std::size_t i = 0; i < kKindCounters; ++i) {
      const std::size_t kind = i % kStatementKinds.size();
      const std::string name(kStatementKinds[kind]);
      const std::uint64_t count = counters_.kinds[i].value();
      if (count > 0) seen[i == kind ? name : name + " on a replica"] = count;
    }
    return seen;
  }
  StatementReader reader_{{1 << 20, {1, 2}}};
  PoolStatistics pool_{1, "app", "u"};
  PoolCounters& counters_ = pool_.of(WorkerId(0));
  Measures measures_;
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> one_ = bench_.link();
};

constexpr const char* kSelected = "CommandComplete \"SELECT 1\" ; ReadyForQuery I";
constexpr const char* kBatch = "Parse \"\" \"select 1\" ; Bind \"\" \"\" ; Execute \"\" ; Sync";
constexpr const char* kBatchDone =
    "ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery I";

TEST_F(RelayMeasures, each_transaction_of_a_pipeline_counts) {
  asks("Query \"select 1\" ; Query \"select 2\" ; Query \"select 3\"");
  for (int i = 0; i < 3; ++i) {
    later(100);
    answers(kSelected);
  }
  EXPECT_EQ(counters_.statements.value(), 3u);
  EXPECT_EQ(counters_.transactions.value(), 3u);
  EXPECT_EQ(counters_.transaction_total.sum(), 300'000u);
  EXPECT_EQ(counters_.transaction_server.sum(), 300'000u);
}

TEST_F(RelayMeasures, each_batch_of_a_pipeline_counts) {
  asks(std::string(kBatch) + " ; " + kBatch + " ; Parse \"\" \"select 2\" ; Sync ; " + kBatch);
  answers(std::string(kBatchDone) + " ; " + kBatchDone);
  EXPECT_EQ(counters_.transactions.value(), 2u);
  answers("ParseComplete ; ReadyForQuery I");
  EXPECT_EQ(counters_.transactions.value(), 2u);  // nothing was run
  answers(kBatchDone);
  EXPECT_EQ(counters_.transactions.value(), 3u);
  EXPECT_EQ(counters_.statements.value(), 3u);
}

TEST_F(RelayMeasures, a_block_in_a_pipeline_is_one) {
  asks("Query \"begin\" ; Query \"select 1\" ; Query \"commit\" ; Query \"select 2\"");
  answers("CommandComplete \"BEGIN\" ; ReadyForQuery T");
  answers("CommandComplete \"SELECT 1\" ; ReadyForQuery T");
  answers("CommandComplete \"COMMIT\" ; ReadyForQuery I");
  answers(kSelected);
  EXPECT_EQ(counters_.transactions.value(), 2u);
}

TEST_F(RelayMeasures, statements_are_counted_by_what_the_server_calls_them) {
  EXPECT_EQ(kinds(), Kinds{});
  asks("Query \"select 1\"");
  answers(kSelected);
  asks(kBatch);
  answers("ParseComplete ; BindComplete ; CommandComplete \"INSERT 0 1\" ; ReadyForQuery I");
  asks("Query \"begin; select 1\"");
  answers("CommandComplete \"BEGIN\" ; CommandComplete \"SELECT 1\" ; ReadyForQuery T");
  asks("Query \"\"");
  answers("EmptyQueryResponse ; ReadyForQuery T");
  asks("Query \"comit\"");
  answers("ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery E");
  EXPECT_EQ(kinds(),
            (Kinds{{"select", 1}, {"insert", 1}, {"several", 1}, {"other", 1}, {"failed", 1}}));
  asks("Query \"rollback\"");
  one_->state.reader = true;
  answers("CommandComplete \"ROLLBACK\" ; ReadyForQuery I");
  EXPECT_EQ(kinds()["transaction on a replica"], 1u);
  EXPECT_EQ(counters_.statements.value(), 6u);
}

// What RESET does not take back to where the client began, set_config does.
TEST_F(RelayMeasures, rows_of_what_is_ours_are_nobodys) {
  a_->state.startup = bench_.sets.with(*bench_.sets.empty(), "work_mem", "5MB");
  a_->state.settings = one_->state.settings = a_->state.startup;
  asks(
      "Parse \"\" \"reset work_mem\" ; Bind \"\" \"\" ; Execute \"\" 0 ;"
      " Parse \"\" \"select 1\" ; Bind \"\" \"\" ; Execute \"\" 0 ; Sync");
  answers(
      "ParseComplete ; BindComplete ; CommandComplete \"RESET\" ; ParseComplete ; BindComplete ;"
      " DataRow \"5MB\" ; CommandComplete \"SELECT 1\" ; CloseComplete ; ParseComplete ;"
      " BindComplete ; DataRow \"1\" ; CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_EQ(row("select ?").rows, 1u);
  EXPECT_EQ(counters_.rows.value(), 1u);
}

TEST_F(RelayMeasures, samples_show_what_was_bound) {
  using config::SlowQueryParameters;
  one_->state.meter.sample(milliseconds(500), SlowQueryParameters::full);
  bench_.prepare(*a_, *one_, "s", "select $1");
  measures_.fresh.clear();
  const std::string two =
      "Bind \"\" \"s\" \"one\" ; Execute \"\" ; Bind \"p\" \"s\" \"two\" ; "
      "Bind \"\" \"s\" \"three\" ; Execute \"p\" ; Execute \"\" ; Execute \"q\" ; Sync";
  asks(two);
  answers("BindComplete");
  later(600);
  answers("CommandComplete \"SELECT 1\" ; BindComplete ; BindComplete");
  later(600);
  answers("CommandComplete \"SELECT 1\"");
  later(600);
  answers("CommandComplete \"SELECT 1\"");
  later(600);
  answers("ErrorResponse ERROR 34000 \"no portal q\" ; ReadyForQuery I");
  EXPECT_EQ(parameters(), (Texts{"$1 = 'one'", "$1 = 'two'", "$1 = 'three'", ""}));

  one_->state.meter.sample(milliseconds(500), SlowQueryParameters::redacted);
  const std::string slow = "Bind \"\" \"s\" \"secret\" ; Execute \"\" ; Sync";
  asks(slow);
  later(600);
  answers("BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  asks("Query \"select 1\"");
  later(600);
  answers(kSelected);
  EXPECT_EQ(parameters(), (Texts{"$1 = 6 bytes", ""}));

  one_->state.meter.sample(milliseconds(500), SlowQueryParameters::off);
  asks(slow);
  later(600);
  answers("BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_EQ(parameters(), Texts{""});
}

// A client that binds and binds, and executes what it bound at last, or long ago.
TEST_F(RelayMeasures, samples_of_what_was_bound_long_ago_have_no_values) {
  one_->state.meter.sample(milliseconds(500), config::SlowQueryParameters::full);
  bench_.prepare(*a_, *one_, "s", "select $1");
  measures_.fresh.clear();
  asks("Bind \"old\" \"s\" \"first\" ; Execute \"old\"");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "Bind \"\" \"s\" \"again\" ; ";
  for (int i = 0; i < 50; ++i) asks(many + "Flush");
  asks("Execute \"\" ; Execute \"old\" ; Sync");
  later(600);
  answers("BindComplete ; CommandComplete \"SELECT 1\"");
  for (int i = 0; i < 5000; ++i) answers("BindComplete");
  later(600);
  answers("CommandComplete \"SELECT 1\"");
  later(600);
  answers("CommandComplete \"SELECT 0\" ; ReadyForQuery I");
  EXPECT_EQ(parameters(), (Texts{"", "$1 = 'again'", ""}));
}

TEST(StatementKinds, are_those_of_command_tags) {
  using Kind = StatementKind;
  EXPECT_EQ(kind_of_tag("UPDATE 5"), Kind::update);
  EXPECT_EQ(kind_of_tag("DELETE 0"), Kind::delete_);
  EXPECT_EQ(kind_of_tag("COPY 12"), Kind::copy);
  EXPECT_EQ(kind_of_tag("CREATE TABLE AS"), Kind::ddl);
  EXPECT_EQ(kind_of_tag("PREPARE TRANSACTION"), Kind::transaction);
  EXPECT_EQ(kind_of_tag("PREPARE"), Kind::utility);
  EXPECT_EQ(kind_of_tag("SET"), Kind::utility);
  EXPECT_EQ(kind_of_tag(""), Kind::none);
}

TEST_F(RelayMeasures, shapes_know_who_pins_and_what_replicas_answered) {
  asks("Query \"create temp table t as select 1\"");
  answers("CommandComplete \"SELECT 1\" ; CommandComplete \"DISCARD PLANS\" ; ReadyForQuery I");
  asks("Query \"listen x\"");
  answers("ErrorResponse ERROR 42501 \"no\" ; ReadyForQuery I");
  asks("Query \"select 1\"");
  answers(kSelected);
  EXPECT_EQ(row("create temp table t as select ?").pins, 1u);
  EXPECT_EQ(row("listen x").pins, 0u) << "it failed";
  EXPECT_EQ(row("select ?").pins, 0u);
  EXPECT_EQ(row("select ?").replica_calls, 0u);
  one_->state.reader = true;
  asks("Query \"select 2\"");
  answers(kSelected);
  EXPECT_EQ(row("select ?").calls, 2u);
  EXPECT_EQ(row("select ?").replica_calls, 1u);
}

TEST_F(RelayMeasures, an_error_has_the_code_that_the_client_was_told) {
  asks("Query \"select 1\" ; Query \"select 2\"");
  one_->state.overrun = std::make_unique<LinkRelayState::Overrun>();
  one_->state.overrun->reason = {.sqlstate = "25P04", .message = "too long"};
  answers("ErrorResponse ERROR 57014 \"cancelled\" ; ReadyForQuery I");
  EXPECT_EQ(codes(counters_.own_errors), (Codes{{"25P04", 1}}));
  EXPECT_EQ(codes(counters_.server_errors), Codes{});
  one_->state.overrun.reset();
  answers("ErrorResponse ERROR 57014 \"cancelled\" ; ReadyForQuery I");
  EXPECT_EQ(codes(counters_.server_errors), (Codes{{"57014", 1}}));
}

TEST_F(RelayMeasures, what_goes_with_its_link_is_an_error_and_a_failed_statement) {
  asks("Query \"select 1\" ; Parse \"\" \"select 1, 2\" ; Bind \"\" \"\" ; Execute \"\" ; Sync");
  later(700);
  bench_.lose(*a_, *one_);
  EXPECT_EQ(codes(counters_.own_errors), (Codes{{"40003", 2}}));
  EXPECT_EQ(counters_.statements.value(), 2u);
  EXPECT_EQ(row("select ?").errors, 1u);
  EXPECT_EQ(row("select ?, ?").errors, 1u);
  ASSERT_EQ(measures_.fresh.size(), 1u);  // the other began only then
  EXPECT_EQ(measures_.fresh[0].sqlstate, "40003");
  EXPECT_EQ(measures_.fresh[0].time.server, 700'000u);
}

// What was answered is not committed.
TEST_F(RelayMeasures, the_statement_before_a_lost_sync_has_failed) {
  asks(kBatch);
  answers("ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\"");
  bench_.lose(*a_, *one_);
  EXPECT_EQ(row("select ?").calls, 1u);
  EXPECT_EQ(row("select ?").errors, 1u);
  EXPECT_EQ(counters_.statements.value(), 1u);
}

TEST_F(RelayMeasures, what_a_client_is_told_of_a_lost_transaction_counts) {
  asks("Query \"begin\"");
  answers("CommandComplete \"BEGIN\" ; ReadyForQuery T");
  bench_.lose(*a_, *one_);
  EXPECT_EQ(codes(counters_.own_errors), Codes{});
  bench_.client_says(*a_, nullptr, "Query \"select 1\" ; Query \"select 1\"");
  EXPECT_EQ(codes(counters_.own_errors), (Codes{{"25P02", 1}, {"40001", 1}}));
}

TEST_F(RelayMeasures, a_portal_that_is_read_in_parts_is_one_call_with_all_its_rows) {
  asks("Query \"begin\" ; Parse \"\" \"select 1\" ; Bind \"c\" \"\" ; Execute \"c\" 2 ; Sync");
  answers("CommandComplete \"BEGIN\" ; ReadyForQuery T ; ParseComplete ; BindComplete");
  answers("DataRow \"1\" ; DataRow \"2\" ; PortalSuspended ; ReadyForQuery T");
  // Another stands between the two.
  asks("Parse \"\" \"select 1, 2\" ; Bind \"\" \"\" ; Execute \"\" ; Sync");
  answers("ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery T");
  asks("Execute \"c\" 2 ; Execute \"c\" 0 ; Sync");
  later(20);
  answers("DataRow \"3\" ; DataRow \"4\" ; PortalSuspended");
  answers("DataRow \"5\" ; CommandComplete \"SELECT 1\" ; ReadyForQuery T");
  EXPECT_EQ(row("select ?").calls, 1u);
  EXPECT_EQ(row("select ?").rows, 5u);
  EXPECT_EQ(row("select ?").server, 20'000u);
  EXPECT_EQ(row("select ?, ?").calls, 1u);
  EXPECT_EQ(counters_.rows.value(), 6u);
}

TEST_F(RelayMeasures, a_name_that_is_bound_anew_is_another_portal) {
  const std::string once = "Parse \"\" \"select 1\" ; Bind \"\" \"\" ; Execute \"\" 5 ; Sync";
  for (int i = 0; i < 3; ++i) {
    asks(once);
    answers(kBatchDone);
  }
  asks("Query \"begin\" ; " + once + " ; " + once);
  answers("CommandComplete \"BEGIN\" ; ReadyForQuery T");
  for (int i = 0; i < 2; ++i) {
    answers("ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery T");
  }
  EXPECT_EQ(row("select ?").calls, 5u);
}

TEST_F(RelayMeasures, a_sample_says_which_statement_it_was_though_none_are_counted) {
  measures_.statements.set_max(0);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"Query \"select 7\"", kSelected},
      {kBatch, kBatchDone},
  };
  for (const auto& [said, done] : cases) {
    SCOPED_TRACE(said);
    one_->state.meter.linked(measures_.now, {});
    one_->state.said = test::frontend(said);
    asks(said);
    later(600);
    answers(done);
    asks(said);  // what the link keeps is not about this one
    later(600);
    answers(done);
    ASSERT_EQ(measures_.fresh.size(), 2u);
    EXPECT_EQ(measures_.fresh[0].text, "select ?");
    EXPECT_NE(measures_.fresh[0].shape, 0u);
    EXPECT_EQ(measures_.fresh[1].text, "");
    measures_.fresh.clear();
  }
}

TEST_F(RelayMeasures, one_that_waited_in_vain_is_a_failed_statement) {
  const auto refused = [&](const std::string& said) {
    Conduit to_client;
    Conduit to_server;
    const Relay relay(bench_.rules, a_->state, {to_client, to_server});
    relay.measure_refused(test::frontend(said), counters_, milliseconds(500), "57014", seconds(1));
  };
  refused("Query \"select 7\"");
  refused(kBatch);
  EXPECT_EQ(counters_.wait.sum(), 2'000'000u);
  EXPECT_EQ(counters_.statements.value(), 2u);
  EXPECT_EQ(row("select ?").errors, 2u);
  EXPECT_EQ(row("select ?").wait, 2'000'000u);
  measures_.statements.set_max(0);
  refused("Parse \"\" \"select 1, 2\"");
  ASSERT_EQ(measures_.fresh.size(), 3u);
  EXPECT_EQ(measures_.fresh[2].text, "select ?, ?");
  EXPECT_EQ(measures_.fresh[2].time.wait, 1'000'000u);
}

TEST_F(RelayMeasures, no_client_is_blamed_for_what_it_did_between_two_statements) {
  asks("Query \"select 1\"");
  answers(kSelected);
  one_->state.meter.hold(measures_.now);  // the end of the result
  later(700);
  one_->state.meter.let_go(measures_.now);
  asks("Query \"select 2\"");
  later(700);
  answers(kSelected);
  EXPECT_EQ(counters_.transfer_time.value(), 0u);
  EXPECT_EQ(counters_.statement_server.sum(), 700'000u);
}

}  // namespace
}  // namespace forebay::core
