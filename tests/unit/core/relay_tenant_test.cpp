#include "unit/core/relay_bench.hpp"

// What a tenant is not to say: what the server gets in its place, and what the client is told.
namespace forebay::core {
namespace {

class RelayTenant : public ::testing::Test {
 protected:
  RelayTenant() {
    auto policy = std::make_shared<tenant::Policy>();
    policy->column = "t";
    policy->type = tenant::ColumnType::integer;
    policy->firewall = tenant::Mode::enforce;
    policy->tables = {"*"};
    bench_.rules.reader = &reader_;
    a_->state.tenant = std::make_unique<SessionTenant>(SessionTenant{"1", policy});
    policy_ = std::move(policy);
  }

  Heard a(std::string_view says) { return bench_.client_says(*a_, link_.get(), says); }
  Heard server(std::string_view says) { return bench_.server_says(*link_, a_.get(), says); }

  static constexpr const char* kBad = "Query \"select * from x\"";
  static constexpr const char* kInPlace = "Query \"refused_by_forebay\"";
  /// The server's answer to it, and the client's.
  static constexpr const char* kError = "ErrorResponse ERROR 42601 \"syntax error\"";
  static constexpr const char* kTold =
      "ErrorResponse ERROR 42501 \"table \\\"x\\\" refused for tenants: it is not restricted to "
      "the "
      "tenant by \\\"t\\\" = value, joined by AND, in WHERE or ON\"";

  StatementReader reader_{{1 << 20, {1, 2}}};
  RelayBench bench_;
  std::shared_ptr<const tenant::Policy> policy_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> link_ = bench_.link();
};

TEST_F(RelayTenant, says_what_is_bound) {
  const std::string good = "Query \"select * from x where t = 1\"";
  EXPECT_EQ(a(good).server, good);
}

TEST_F(RelayTenant, has_something_that_fails_in_the_place_of_the_rest) {
  EXPECT_EQ(a(kBad).server, kInPlace);
  EXPECT_EQ(server(std::string(kError) + " ; ReadyForQuery I").client,
            std::string(kTold) + " ; ReadyForQuery I");
  EXPECT_TRUE(link_->state.at_rest());
}

TEST_F(RelayTenant, is_told_that_the_server_ends) {
  a(kBad);
  const std::string fatal = "ErrorResponse FATAL 57P01 \"bye\"";
  EXPECT_EQ(server(fatal).client.find("42501"), std::string::npos);
}

// A condition may be evaluated for rows that are another's.
TEST_F(RelayTenant, is_not_told_what_a_replica_quotes) {
  link_->state.reader = true;
  a("Query \"select * from x where t = 1\"");
  const std::string told =
      server("ErrorResponse ERROR 0A000 \"no such references: foreign\" ; ReadyForQuery E").client;
  EXPECT_NE(told.find("40001"), std::string::npos) << told;
  EXPECT_EQ(told.find("foreign"), std::string::npos) << told;
}

// Its words are the operator's own, whatever code that has given them.
TEST_F(RelayTenant, is_told_what_is_raised) {
  const std::string raised =
      "ErrorResponse ERROR U0001 \"order 7 is closed\" D=\"since May\" W=\"PL/pgSQL function "
      "f()\" ";
  for (const bool does : {true, false}) {
    a("Query \"select * from x where t = 1\"");
    const std::string routine = does ? "R=\"exec_stmt_raise\"" : "R=\"int4in\"";
    const std::string told = server(raised + routine + " ; ReadyForQuery E").client;
    EXPECT_EQ(told.find("order 7 is closed") != std::string::npos, does) << told;
    EXPECT_EQ(told.find("since May") != std::string::npos, does) << told;
    EXPECT_NE(told.find("U0001"), std::string::npos) << told;
  }
}

TEST_F(RelayTenant, has_no_statement_of_a_refused_name) {
  EXPECT_EQ(a("Parse \"s\" \"select * from x\" ; Bind \"\" \"s\" ; Sync").server,
            "Parse \"_forebay_refused\" \"refused_by_forebay\" ; Bind \"\" \"s\" ; Sync");
  EXPECT_EQ(server(std::string(kError) + " ; ReadyForQuery I").client,
            std::string(kTold) + " ; ReadyForQuery I");
  EXPECT_TRUE(a_->state.statements == nullptr || a_->state.statements->find("s") == nullptr);
}

// One whose transactions say whose they are: comment_users.
class RelayTenants : public RelayTenant {
 protected:
  RelayTenants() {
    auto tenant = std::make_unique<SessionTenant>(SessionTenant{"1", policy_});
    tenant->says = {.comment = true};
    a_->state.tenant = std::move(tenant);
    bench_.rules.reader = &small_;
  }

  StatementReader small_{{8 << 10, {1, 2}}};
};

TEST_F(RelayTenants, execute_while_the_cache_of_facts_is_full) {
  for (int i = 0; i < 100; ++i) {
    const std::string name = "p" + std::to_string(i % 10);
    if (i < 10) {
      std::string columns = "select 1";
      for (int column = 0; column < 20; ++column) columns += ", " + name + std::to_string(column);
      EXPECT_NE(a("Query \"prepare " + name + " as " + columns + "\"").server.find("_forebay_"),
                std::string::npos);
      server("CommandComplete \"PREPARE\" ; ReadyForQuery I");
    }
    EXPECT_NE(a("Query \"explain execute " + name + "\"").server.find("_forebay_"),
              std::string::npos);
    server("CommandComplete \"EXPLAIN\" ; ReadyForQuery I");
  }
}

TEST_F(RelayTenants, name_no_other_tenant_and_nothing_that_the_protocol_prepared) {
  EXPECT_EQ(a("Query \"/* tenant=2 */ select 1\"").server, kInPlace);
  server(std::string(kError) + " ; ReadyForQuery I");
  const std::string own = "Query \"/* tenant=1 */ select 1\"";
  EXPECT_EQ(a(own).server, own);
  server("CommandComplete \"SELECT 1\" ; ReadyForQuery I");
  EXPECT_EQ(a("Parse \"s\" \"select 1\" ; Sync").server,
            "Parse \"_forebay_1\" \"select 1\" ; Sync");
  server("ParseComplete ; ReadyForQuery I");
  EXPECT_EQ(a("Query \"execute s\"").server, kInPlace);
  server(std::string(kError) + " ; ReadyForQuery I");
  EXPECT_EQ(a("Parse \"e\" \"execute q\"").server,
            "Parse \"_forebay_refused\" \"refused_by_forebay\"");
}

TEST_F(RelayTenants, have_nothing_of_sql_when_they_are_another) {
  a("Query \"prepare p as select 1\"");
  server("CommandComplete \"PREPARE\" ; ReadyForQuery I");
  a("Parse \"s\" \"select 2\" ; Sync");
  server("ParseComplete ; ReadyForQuery I");
  a_->state.statements->pass_on();
  EXPECT_EQ(a_->state.statements->find("p"), nullptr);
  EXPECT_NE(a_->state.statements->find("s"), nullptr);
}

TEST_F(RelayTenant, binds_its_own_value_only) {
  const char* parse = "Parse \"s\" \"select * from x where t = $1\" ; ";
  EXPECT_EQ(a(std::string(parse) + "Bind \"\" \"s\" \"1\"").server,
            "Parse \"_forebay_1\" \"select * from x where t = $1\" ; "
            "Bind \"\" \"_forebay_1\" \"1\"");
  EXPECT_EQ(a("Bind \"\" \"s\" \"2\" ; Sync").server, "Bind \"\" \"_forebay_refused\" ; Sync");
}

TEST_F(RelayTenant, is_judged_by_the_policy_that_holds_when_it_binds) {
  a("Parse \"s\" \"select * from x where t = $1\" ; Bind \"\" \"s\" \"1\"");
  a_->state.tenant = std::make_unique<SessionTenant>(SessionTenant{"2", policy_});
  EXPECT_EQ(a("Bind \"\" \"s\" \"1\"").server, "Bind \"\" \"_forebay_refused\"");
}

TEST_F(RelayTenant, is_not_answered_without_the_server_where_it_is_refused) {
  EXPECT_EQ(bench_.client_says(*a_, nullptr, "Parse \"s\" \"select * from x\"").stop,
            Relay::ClientStop::need_link);
}

}  // namespace
}  // namespace forebay::core
