#include "unit/core/relay_bench.hpp"

// What the server is asked behind code that nobody saw, and what becomes of the answer.
namespace forebay::core {
namespace {

class RelayInventory : public ::testing::Test {
 protected:
  RelayInventory() {
    bench_.rules.reader = &reader_;
    link_->state.catalog = &catalog_;
    bench_.prepare(*a_, *link_, "s", "select 5");
  }

  Heard a(std::string_view says) { return bench_.client_says(*a_, link_.get(), says); }
  Heard server(std::string_view says) { return bench_.server_says(*link_, a_.get(), says); }
  /// The server is asked, and answers with so many rows.
  std::string look(unsigned rows) {
    const std::string question = bench_.take_inventory(*a_, *link_).server;
    server("CommandComplete \"SELECT " + std::to_string(rows) + "\" ; ReadyForQuery I");
    return question;
  }
  std::string bound() {
    const std::string said = a("Bind \"\" \"s\" ; Sync").server;
    server("CloseComplete ; ParseComplete ; BindComplete ; ReadyForQuery I");
    return said;
  }
  void set(const std::string& name) {
    a_->state.settings = bench_.sets.with(*a_->state.settings, name, "1");
  }

  CatalogEpoch catalog_;
  StatementReader reader_{{1 << 20, {1, 2}}};
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> link_ = bench_.link();
};

constexpr unsigned kOthersByProtocol = 16;
constexpr unsigned kOthersBySql = 32;

TEST_F(RelayInventory, names_that_are_there_stay) {
  const std::string question = look(0);
  EXPECT_NE(question.find("(WHERE NOT from_sql) <> 1)"), std::string::npos) << question;
  EXPECT_NE(question.find("(WHERE from_sql) <> 0)"), std::string::npos) << question;
  EXPECT_EQ(a("Bind \"\" \"s\" ; Sync").server, "Bind \"\" \"_forebay_1\" ; Sync");
  EXPECT_FALSE(link_->state.poisoned);
}

TEST_F(RelayInventory, others_are_prepared_anew) {
  look(kOthersByProtocol);
  EXPECT_EQ(bound(),
            "Close S \"_forebay_1\" ; Parse \"_forebay_1\" \"select 5\" ; "
            "Bind \"\" \"_forebay_1\" ; Sync");
  EXPECT_FALSE(link_->state.poisoned);
}

TEST_F(RelayInventory, the_statement_that_sets_is_made_anew) {
  set("a.b");
  EXPECT_EQ(bench_.link_up(*a_, *link_).server.find("Parse \"_forebay_set\""), 0u);
  server("ParseComplete ; BindComplete ; CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_NE(look(kOthersByProtocol).find("(WHERE NOT from_sql) <> 2)"), std::string::npos);
  set("a.c");
  EXPECT_EQ(
      bench_.link_up(*a_, *link_).server.find("Close S \"_forebay_set\" ; Parse \"_forebay_set\""),
      0u);
}

TEST_F(RelayInventory, names_that_prepare_took_end_the_link) {
  look(kOthersBySql);
  EXPECT_TRUE(link_->state.poisoned);
}

// Which text they have now, nobody knows.
TEST_F(RelayInventory, what_prepare_made_is_made_anew_behind_hidden_code) {
  a("Query \"prepare q as select 6\"");
  server("CommandComplete \"PREPARE\" ; ReadyForQuery I");
  EXPECT_NE(look(0).find("(WHERE from_sql) <> 1)"), std::string::npos);
  EXPECT_EQ(a("Query \"execute q\"").server, "Query \"execute _forebay_2\"");
  server("CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  a("Query \"do 'x'\"");
  server("CommandComplete \"DO\" ; ReadyForQuery I");
  look(0);
  EXPECT_EQ(a("Query \"execute q\"").server.find("Close S \"_forebay_2\" ; "), 0u);
}

TEST_F(RelayInventory, what_a_failure_leaves_is_looked_at) {
  for (const char* text : {"select pg_advisory_lock(1), f()", "do 'x'", "call f()"}) {
    a("Query " + test::quote(text));
    server("ErrorResponse ERROR 22012 \"no\" ; ReadyForQuery I");
    EXPECT_TRUE(std::exchange(a_->state.look, false)) << text;
  }
  a("Query \"select f()\"");
  server("ErrorResponse ERROR 22012 \"no\" ; ReadyForQuery I");
  EXPECT_FALSE(a_->state.look);
}

// Whether a long text came in one piece or in several makes no difference.
TEST_F(RelayInventory, words_of_texts_that_nobody_reads_count_in_short_ones_only) {
  for (const bool shorter : {true, false}) {
    const std::string text = "select pg_advisory_lock(1) from (select 1) /* " +
                             std::string(shorter ? 1000 : 70'000, 'x') + " */";
    const sql::Facts& facts = reader_.texts.facts(text, Reading{}.standard);
    const SessionWorkRef work = session_work(facts, reader_.texts.shape(), text);
    ASSERT_NE(work, nullptr);
    EXPECT_TRUE(work->unknown);
    EXPECT_EQ(work->steps.empty(), !shorter);
  }
}

// As asyncpg says when a connection goes back to its pool.
TEST_F(RelayInventory, what_can_only_go_is_looked_at_where_something_is_there) {
  const std::string text = "select pg_advisory_unlock_all(); close all; unlisten *; reset all";
  const std::string answer =
      "CommandComplete \"SELECT 1\" ; CommandComplete \"CLOSE CURSOR ALL\" ; "
      "CommandComplete \"UNLISTEN\" ; CommandComplete \"RESET\" ; ReadyForQuery I";
  a("Query " + test::quote(text));
  server(answer);
  EXPECT_FALSE(a_->state.look);
  a("Query " + test::quote(text));
  server("ErrorResponse ERROR 57014 \"canceled\" ; ReadyForQuery I");
  EXPECT_FALSE(a_->state.look);
  for (const PinReason reason :
       {PinReason::advisory_lock, PinReason::held_cursor, PinReason::listen}) {
    a_->state.pin(reason);
    a("Query " + test::quote(text));
    server(answer);
    EXPECT_TRUE(std::exchange(a_->state.look, false));
    a_->state.unpin(reason);
  }
}

TEST_F(RelayInventory, asks_again_when_it_was_cancelled) {
  const auto fails = [&] {
    a_->state.pin(PinReason::looking);
    bench_.take_inventory(*a_, *link_);
    server("ErrorResponse ERROR 57014 \"canceled\" ; ReadyForQuery I");
    return std::exchange(a_->state.look, false);
  };
  EXPECT_TRUE(fails());   // at once
  EXPECT_FALSE(fails());  // not for ever
  EXPECT_EQ(a_->state.pins, bit(PinReason::looking));
  a("Query \"select 1\"");
  server("CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_TRUE(std::exchange(a_->state.look, false));
  look(0);
  EXPECT_EQ(a_->state.pins, 0);
  a("Query \"select 1\"");
  server("CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_FALSE(a_->state.look);
}

}  // namespace
}  // namespace forebay::core
