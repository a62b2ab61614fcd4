#include "unit/core/relay_bench.hpp"

// on_session_state: what becomes of statements that keep their link.
namespace forebay::core {
namespace {

class RelaySessionState : public ::testing::Test {
 protected:
  RelaySessionState() {
    bench_.rules.reader = &reader_;
    rule(config::OnSessionState::error);
  }

  void rule(config::OnSessionState action) {
    link_->state.state_rule =
        std::make_unique<const SessionStateRule>(SessionStateRule{action, "[databases.app]"});
  }
  Heard a(std::string_view says) { return bench_.client_says(*a_, link_.get(), says); }
  Heard server(std::string_view says) { return bench_.server_says(*link_, a_.get(), says); }
  std::string refused(std::string_view text) {
    const Heard sent = a("Query " + test::quote(std::string(text)));
    if (sent.server != kInPlace) return "sent";
    const std::string told = server(std::string(kError) + " ; ReadyForQuery I").client;
    EXPECT_NE(told.find("ErrorResponse ERROR 0A000 \"statement refused by on_session_state = "
                        "\\\"error\\\" (set in [databases.app])"),
              std::string::npos)
        << told;
    const std::size_t begin = told.find("session (") + 9;
    return told.substr(begin, told.find(')', begin) - begin);
  }

  static constexpr const char* kInPlace = "Query \"refused_by_forebay\"";
  static constexpr const char* kError = "ErrorResponse ERROR 42601 \"syntax error\"";

  StatementReader reader_{{1 << 20, {1, 2}}};
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> link_ = bench_.link();
};

TEST_F(RelaySessionState, refuses_what_would_keep_the_link_and_names_it) {
  EXPECT_EQ(refused("create temp table t (n int)"), "a temporary object");
  EXPECT_EQ(refused("declare c cursor with hold for select 1"), "a cursor WITH HOLD");
  EXPECT_EQ(refused("listen x"), "LISTEN");
  EXPECT_EQ(refused("select pg_advisory_lock(1)"), "an advisory lock of the session");
  EXPECT_EQ(refused("load 'x'"), "LOAD");
  EXPECT_EQ(refused("select 1; select lastval()"), "currval or lastval");
  EXPECT_EQ(refused("prepare p as select pg_advisory_lock(1)"), "an advisory lock of the session");
}

TEST_F(RelaySessionState, lets_pass_what_ends_with_its_transaction) {
  EXPECT_EQ(refused("create temp table t (n int) on commit drop; select pg_advisory_xact_lock(1); "
                    "set work_mem = '1MB'; notify x; unlisten *"),
            "sent");
}

TEST_F(RelaySessionState, refuses_a_batch) {
  EXPECT_EQ(a("Parse \"\" \"listen x\" ; Bind \"\" \"\" ; Execute \"\" ; Sync").server,
            "Parse \"_forebay_refused\" \"refused_by_forebay\" ; Bind \"\" \"\" ; Execute \"\" ; "
            "Sync");
  EXPECT_NE(server(std::string(kError) + " ; ReadyForQuery I").client.find("0A000"),
            std::string::npos);
  EXPECT_TRUE(link_->state.at_rest());
  EXPECT_EQ(a_->state.pins, 0);
}

TEST_F(RelaySessionState, refuses_to_bind_what_was_prepared_before_the_rule) {
  link_->state.state_rule.reset();
  bench_.prepare(*a_, *link_, "s", "select pg_advisory_lock(1)");
  a("Query \"prepare p as select lastval()\"");
  server("CommandComplete \"PREPARE\" ; ReadyForQuery I");
  rule(config::OnSessionState::error);
  EXPECT_EQ(a("Bind \"\" \"s\" ; Sync").server, "Bind \"\" \"_forebay_refused\" ; Sync");
  server("ErrorResponse ERROR 26000 \"none\" ; ReadyForQuery I");
  EXPECT_EQ(refused("execute p"), "currval or lastval");
}

TEST_F(RelaySessionState, warns) {
  rule(config::OnSessionState::warn);
  a("Query \"listen x\"");
  const std::string told = server("CommandComplete \"LISTEN\" ; ReadyForQuery I").client;
  EXPECT_TRUE(
      told.starts_with("NoticeResponse WARNING 01000 \"this session keeps its server "
                       "connection from here on (LISTEN)\""))
      << told;
  EXPECT_NE(told.find("CommandComplete"), std::string::npos);
  EXPECT_EQ(a_->state.pins, bit(PinReason::listen));
  // Once is enough.
  a("Query \"listen x\"");
  EXPECT_EQ(server("CommandComplete \"LISTEN\" ; ReadyForQuery I").client,
            "CommandComplete \"LISTEN\" ; ReadyForQuery I");
}

TEST_F(RelaySessionState, warns_of_what_only_the_server_sees) {
  a("Query \"do $$ begin execute 'listen x'; end $$\"");
  server("CommandComplete \"DO\" ; ReadyForQuery I");
  ASSERT_TRUE(a_->state.look);
  Conduit to_client;
  Conduit to_server;
  Relay(bench_.rules, a_->state, {to_client, to_server}).take_inventory(link_->state);
  to_server.clear();
  const std::string told = server("CommandComplete \"SELECT 4\" ; ReadyForQuery I").client;
  EXPECT_TRUE(told.starts_with("NoticeResponse WARNING 01000")) << told;
}

}  // namespace
}  // namespace forebay::core
