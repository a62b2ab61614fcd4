#include <atomic>

#include "unit/core/relay_bench.hpp"

// currval and lastval: a client is told its own numbers, or that they are not known.
namespace forebay::core {
namespace {

SequenceUse use(std::string_view text) {
  static StatementReader reader{{1 << 20, {1, 2}}};
  return sequence_use(reader.texts.facts(text, sql::StandardStrings::on));
}

TEST(SequenceUse, is_none_of_what_only_reads_or_frames) {
  for (const char* text :
       {"select * from t", "select now(), random(), count(*) from t where n = $1", "begin",
        "commit", "rollback to x", "set work_mem = '1MB'", "select currval('s'), lastval()",
        "select pg_sleep(1), pg_advisory_lock(1)", "discard plans",
        "explain insert into t values (1)", "prepare p as insert into t values (1)",
        "copy t to stdout", "select 1 for update"}) {
    EXPECT_EQ(use(text), text == std::string_view("select 1 for update") ? kMayTake : 0) << text;
  }
}

TEST(SequenceUse, is_possible_where_triggers_may_run) {
  for (const char* text : {"update t set n = 1", "delete from t", "alter table t add n serial",
                           "fetch c", "create table u as select * from t"}) {
    EXPECT_EQ(use(text), kMayTake) << text;
  }
}

TEST(SequenceUse, is_certain_enough_of_what_inserts_or_hides_what_it_does) {
  for (const char* text :
       {"insert into t values (1)", "copy t from stdin", "call p()", "do 'begin end'", "execute p",
        "select my_function()", "with x as (insert into t values (1) returning n) select * from x",
        "merge into t using u on t.n = u.n when not matched then insert values (1)",
        "explain analyze insert into t values (1)", "discard all", "discard sequences",
        "this is no SQL", "insert into u values (currval('s'))"}) {
    EXPECT_EQ(use(text), kTakes) << text;
  }
}

TEST(SequenceUse, comes_first_where_the_text_itself_gives_what_it_asks_for) {
  EXPECT_EQ(use("select nextval('s'), currval('s')"), kTakes | kTakesFirst);
  EXPECT_EQ(use("insert into t values (1); select lastval()"), kTakes | kTakesFirst);
  EXPECT_EQ(use("select lastval(); insert into t values (1)"), kTakes);
}

class RelaySequences : public ::testing::Test {
 protected:
  RelaySequences() {
    bench_.rules.reader = &reader_;
    for (auto* link : {one_.get(), two_.get()}) link->state.sequences.asked = &asked_;
  }
  using Client = RelayBench::Client;
  using Link = RelayBench::Link;

  // The client gets the link, as at the start of a transaction; what is sent ahead.
  std::string comes(Client& client, Link& link) {
    link.state.sequences.cleaned = asked_;
    const std::string sent = bench_.link_up(client, link).server;
    if (!sent.empty()) bench_.server_says(link, &client, "CommandComplete \"x\" ; ReadyForQuery I");
    EXPECT_TRUE(link.state.at_rest());
    return sent;
  }
  // A Query that succeeds; false where it is refused.
  bool runs(Client& client, Link& link, std::string_view text, std::string_view status = "I") {
    const std::string query = "Query " + test::quote(std::string(text));
    const std::string sent = bench_.client_says(client, &link, query).server;
    if (sent == query) {
      bench_.server_says(link, &client,
                         "CommandComplete \"x\" ; ReadyForQuery " + std::string(status));
      return true;
    }
    EXPECT_EQ(sent, "Query \"refused_by_forebay\"");
    told_ = bench_
                .server_says(link, &client,
                             "ErrorResponse ERROR 42601 \"syntax error\" ; ReadyForQuery I")
                .client;
    EXPECT_TRUE(told_.starts_with("ErrorResponse ERROR 55000 \"currval and lastval are not"))
        << told_;
    return false;
  }
  bool in_turn(Client& client, Link& link, std::string_view text) {
    comes(client, link);
    return runs(client, link, text);
  }

  static constexpr const char* kInsert = "insert into t values (1)";
  static constexpr const char* kAsk = "select lastval()";
  StatementReader reader_{{1 << 20, {1, 2}}};
  std::atomic<bool> asked_{false};
  std::string told_;
  RelayBench bench_;
  std::unique_ptr<Client> a_ = bench_.client();
  std::unique_ptr<Client> b_ = bench_.client();
  std::unique_ptr<Link> one_ = bench_.link();
  std::unique_ptr<Link> two_ = bench_.link();
};

TEST_F(RelaySequences, are_the_clients_where_nobody_else_has_taken_any) {
  EXPECT_TRUE(in_turn(*a_, *one_, kInsert));
  EXPECT_TRUE(in_turn(*b_, *one_, "select * from t"));
  EXPECT_TRUE(in_turn(*a_, *one_, kAsk));
  EXPECT_TRUE(asked_);
  EXPECT_EQ(a_->state.pins, bit(PinReason::sequence));
}

TEST_F(RelaySequences, of_another_client_are_not_told) {
  in_turn(*b_, *one_, kInsert);
  EXPECT_FALSE(in_turn(*a_, *one_, kAsk));
  EXPECT_TRUE(asked_);
  EXPECT_NE(told_.find("\"currval and lastval are not yet defined in this session\""),
            std::string::npos)
      << told_;
  EXPECT_EQ(a_->state.pins, 0);
}

TEST_F(RelaySequences, of_a_table_without_any_are_not_another_clients) {
  in_turn(*b_, *one_, kInsert);
  in_turn(*a_, *one_, kInsert);  // perhaps of a table that has no sequence
  EXPECT_FALSE(in_turn(*a_, *one_, kAsk));
  EXPECT_NE(told_.find("INSERT ... RETURNING"), std::string::npos) << told_;
}

TEST_F(RelaySequences, that_another_client_has_replaced_are_not_told) {
  in_turn(*a_, *one_, kInsert);
  in_turn(*b_, *one_, "update t set n = 2");  // its trigger may take one
  EXPECT_FALSE(in_turn(*a_, *one_, kAsk));
}

TEST_F(RelaySequences, of_its_last_statement_but_one_are_not_told) {
  in_turn(*a_, *one_, kInsert);
  in_turn(*a_, *two_, kInsert);
  EXPECT_FALSE(in_turn(*a_, *one_, kAsk));
}

TEST_F(RelaySequences, taken_in_the_transaction_are_told_from_the_first) {
  in_turn(*b_, *one_, kInsert);
  comes(*a_, *one_);
  EXPECT_TRUE(runs(*a_, *one_, "begin", "T"));
  EXPECT_TRUE(runs(*a_, *one_, kInsert, "T"));
  EXPECT_TRUE(runs(*a_, *one_, kAsk, "T"));
}

TEST_F(RelaySequences, taken_by_the_same_text_are_told_from_the_first) {
  in_turn(*b_, *one_, kInsert);
  EXPECT_TRUE(in_turn(*a_, *one_, "select nextval('s'), currval('s')"));
}

TEST_F(RelaySequences, are_cleaned_for_each_client_once_somebody_has_asked) {
  in_turn(*b_, *one_, kInsert);
  asked_ = true;
  EXPECT_EQ(comes(*a_, *one_), "Query \"DISCARD SEQUENCES\"");
  EXPECT_TRUE(runs(*a_, *one_, kAsk));  // PostgreSQL says 55000
  a_->state.pins = 0;
  EXPECT_TRUE(runs(*a_, *one_, kInsert));
  EXPECT_EQ(comes(*a_, *one_), "");
  EXPECT_TRUE(runs(*a_, *one_, kAsk));
  EXPECT_EQ(comes(*b_, *one_), "Query \"DISCARD SEQUENCES\"");
  EXPECT_FALSE(runs(*b_, *one_, kAsk));  // with a hint: it has taken one before
  EXPECT_EQ(comes(*b_, *one_), "");
}

TEST_F(RelaySequences, of_a_client_that_comes_back_too_late_are_cleaned) {
  asked_ = true;
  in_turn(*a_, *one_, kInsert);
  in_turn(*a_, *two_, kInsert);
  EXPECT_EQ(comes(*a_, *one_), "Query \"DISCARD SEQUENCES\"");
  EXPECT_FALSE(runs(*a_, *one_, kAsk));
}

TEST_F(RelaySequences, are_asked_for_by_what_was_prepared) {
  in_turn(*b_, *one_, kInsert);
  comes(*a_, *one_);
  bench_.prepare(*a_, *one_, "ask", kAsk);
  EXPECT_EQ(bench_.client_says(*a_, one_.get(), "Bind \"\" \"ask\" ; Execute \"\" ; Sync").server,
            "Bind \"\" \"_forebay_refused\" ; Execute \"\" ; Sync");
  bench_.server_says(*one_, a_.get(), "ErrorResponse ERROR 26000 \"none\" ; ReadyForQuery I");
  bench_.client_says(*a_, one_.get(), "Query \"prepare p as select currval('s')\"");
  bench_.server_says(*one_, a_.get(), "CommandComplete \"PREPARE\" ; ReadyForQuery I");
  EXPECT_FALSE(runs(*a_, *one_, "execute p"));
}

TEST_F(RelaySequences, taken_by_what_was_prepared_are_told) {
  in_turn(*b_, *one_, kInsert);
  bench_.prepare(*a_, *one_, "take", kInsert);
  bench_.prepare(*a_, *one_, "ask", kAsk);
  EXPECT_EQ(bench_
                .client_says(*a_, one_.get(),
                             "Bind \"\" \"take\" ; Execute \"\" ; Bind \"\" \"ask\" ; Execute \"\" "
                             "; Sync")
                .server.find("refused"),
            std::string::npos);
}

}  // namespace
}  // namespace forebay::core
