#include "core/explain/plan_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "core/explain/plan_budget.hpp"
#include "core/relay/relay_state.hpp"

namespace forebay::core {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string_view no_plan(Bytes text, Bytes version = "15.8 (Debian 15.8-0+deb12u1)") {
  sql::Shape shape;
  sql::lex(text, sql::StandardStrings::on, {1, 2}, shape);
  const auto facts = sql::understand(text, sql::StandardStrings::on, shape);
  return no_plan_of_text(*facts, version);
}

TEST(PlanChoice, what_reads_or_changes_rows_has_a_plan) {
  for (const char* text : {
           "SELECT 1",
           "(TABLE t)",
           "VALUES (1)",
           "/* a comment */ SELECT f(1) FROM t FOR UPDATE; -- the end",
           "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone",
           "UPDATE t SET a = 1",
           "DELETE FROM t",
           "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
       }) {
    EXPECT_THAT(no_plan(text), IsEmpty()) << text;
  }
}

TEST(PlanChoice, nothing_else_has_one) {
  for (const char* text : {
           "",
           "SELECT 1 FROM",
           "SELECT 1; SELECT 2",
           "SELECT 1; DROP TABLE t",
           "SELECT * INTO made FROM t",
           "CREATE TABLE made AS SELECT * FROM t",
           "EXPLAIN ANALYZE DELETE FROM t",
           "ANALYZE t",
           "DECLARE c CURSOR FOR SELECT 1",
           "EXECUTE s",
           "CALL p()",
           "DO ''",
           "COPY t TO STDOUT",
           "ROLLBACK",
       }) {
    EXPECT_FALSE(no_plan(text).empty()) << text;
  }
}

TEST(PlanChoice, parameters_need_a_server_that_plans_without_their_values) {
  EXPECT_THAT(no_plan("SELECT $1"), HasSubstr("older than 16"));
  EXPECT_THAT(no_plan("SELECT $1", ""), HasSubstr("older than 16"));
  EXPECT_THAT(no_plan("SELECT $1", "9.6.24"), HasSubstr("older than 16"));
  EXPECT_THAT(no_plan("SELECT $1", "16.0"), IsEmpty());
  EXPECT_THAT(no_plan("SELECT $1", "17beta1"), IsEmpty());
  EXPECT_EQ(explain_text("SELECT $1", true), "EXPLAIN (GENERIC_PLAN) SELECT $1");
  EXPECT_EQ(explain_text("(SELECT 1)", false), "EXPLAIN (ANALYZE OFF) (SELECT 1)");
}

class PlanChoiceSession : public testing::Test {
 protected:
  PlanChoiceSession() { client_.startup = client_.settings = sets_.make({{"search_path", "app"}}); }
  std::string_view no_plan() { return no_plan_in_session(client_, link_); }

  ParameterSets sets_;
  ClientRelayState client_;
  LinkRelayState link_;
};

TEST_F(PlanChoiceSession, as_it_began_it_has_plans) {
  EXPECT_THAT(no_plan(), IsEmpty());
  client_.settings = sets_.with(*client_.startup, "application_name", "b");
  EXPECT_THAT(no_plan(), IsEmpty());
  client_.undo = std::make_unique<SessionUndo>();
  EXPECT_THAT(no_plan(), IsEmpty()) << "a savepoint";
}

TEST_F(PlanChoiceSession, with_other_settings_it_has_none) {
  for (const auto& [name, value] : {std::pair("search_path", "public"), std::pair("role", "app"),
                                    std::pair("work_mem", "64kB"), std::pair("app.user", "1")}) {
    client_.settings = sets_.with(*client_.startup, name, value);
    EXPECT_THAT(no_plan(), HasSubstr("changed its settings")) << name;
  }
  client_.settings = sets_.without(*client_.startup, "search_path");
  EXPECT_THAT(no_plan(), HasSubstr("changed its settings"));
}

TEST_F(PlanChoiceSession, with_settings_of_the_transaction_it_has_none) {
  client_.undo = std::make_unique<SessionUndo>();
  client_.undo->local = sets_.make({{"search_path", "public"}});
  EXPECT_THAT(no_plan(), HasSubstr("changed its settings"));
  client_.undo->local = nullptr;
  client_.undo->hidden_local = true;
  EXPECT_THAT(no_plan(), HasSubstr("changed its settings"));
}

TEST_F(PlanChoiceSession, where_others_do_not_have_what_it_has_it_has_none) {
  client_.pin(PinReason::temporary);
  EXPECT_THAT(no_plan(), StartsWith("the session keeps"));
  client_.unpin(PinReason::temporary);
  client_.tenant = std::make_unique<const SessionTenant>();
  EXPECT_THAT(no_plan(), StartsWith("the client has a tenant"));
}

TEST_F(PlanChoiceSession, where_its_texts_are_read_in_another_way_it_has_none) {
  link_.reading.standard = sql::StandardStrings::off;
  EXPECT_THAT(no_plan(), HasSubstr("how its texts are to be read"));
  link_.reading = {.lexable = false};
  EXPECT_THAT(no_plan(), HasSubstr("how its texts are to be read"));
}

TEST(PlanBudget, gives_so_many_a_minute) {
  PlanBudget budget;
  Instant now{seconds(1000)};
  EXPECT_THAT(budget.take({1, 1}, now, 2), IsEmpty());
  EXPECT_THAT(budget.take({2, 1}, now + seconds(59), 2), IsEmpty());
  EXPECT_THAT(budget.take({3, 1}, now + seconds(59), 2), HasSubstr("per_minute"));
  budget.give_back({2, 1});
  EXPECT_THAT(budget.take({3, 1}, now + seconds(59), 2), IsEmpty());
  EXPECT_THAT(budget.take({4, 1}, now + seconds(60), 2), IsEmpty());
  EXPECT_THAT(budget.take({5, 1}, now + seconds(61), 1), HasSubstr("per_minute")) << "lowered";
}

TEST(PlanBudget, gives_one_of_each_shape_in_a_while) {
  PlanBudget budget;
  const Instant now{seconds(1000)};
  EXPECT_THAT(budget.take({1, 1}, now, 600), IsEmpty());
  EXPECT_THAT(budget.take({1, 2}, now, 600), IsEmpty()) << "of another pool";
  const Instant late = now + PlanBudget::kShapeEvery;
  EXPECT_THAT(budget.take({1, 1}, late - seconds(1), 600), HasSubstr("10 minutes"));
  EXPECT_THAT(budget.take({1, 1}, late, 600), IsEmpty());
}

TEST(PlanBudget, remembers_no_more_than_so_many) {
  PlanBudget budget;
  const Instant now{seconds(1000)};
  for (std::uint64_t i = 0; i <= PlanBudget::kShapesMax; ++i) {
    EXPECT_THAT(budget.take({i, 1}, now, 5000), IsEmpty());
  }
  EXPECT_THAT(budget.take({1, 1}, now, 5000), HasSubstr("10 minutes"));
  EXPECT_THAT(budget.take({0, 1}, now, 5000), IsEmpty()) << "the oldest is forgotten";
}

}  // namespace
}  // namespace forebay::core
