#include "unit/core/relay_bench.hpp"

// LISTEN through the shared connection, where a whole exchange (tests/scripted/listen_shared*)
// would show no more.
namespace forebay::core {
namespace {

class RelayListen : public ::testing::Test {
 protected:
  RelayListen() {
    bench_.rules.reader = &reader_;
    link_->state.shared_listen = true;
    link_->state.catalog = &catalog_;
    link_->state.process_id = 7;
    a_->state.process_id = 100;
  }

  Heard a(std::string_view says) { return bench_.client_says(*a_, link_.get(), says); }
  Heard server(std::string_view says) { return bench_.server_says(*link_, a_.get(), says); }
  /// The channels that the hub is asked for; it listens to them.
  std::vector<std::string> asked() {
    auto& listening = a_->state.listening;
    if (listening == nullptr || !std::exchange(listening->asks, false)) return {};
    const std::vector<std::string> wanted = std::exchange(listening->wanted, {});
    listening->told.insert(wanted.begin(), wanted.end());
    return wanted;
  }
  void sets(const std::string& client, const std::string& server) {
    Welcome welcome = *link_->state.welcome;
    EXPECT_TRUE(welcome.set("client_encoding", client));
    EXPECT_TRUE(welcome.set("server_encoding", server));
    link_->state.welcome = std::make_shared<const Welcome>(welcome);
    a_->state.welcome = link_->state.welcome;
  }
  using Names = std::vector<std::string>;

  CatalogEpoch catalog_;
  StatementReader reader_{{1 << 20, {1, 2}}};
  RelayBench bench_;
  std::unique_ptr<RelayBench::Client> a_ = bench_.client();
  std::unique_ptr<RelayBench::Link> link_ = bench_.link();
};

TEST_F(RelayListen, asks_by_the_name_that_the_server_takes_it_for) {
  EXPECT_EQ(a("Query \"listen Bell; listen \\\"Bell\\\"; listen BELL\"").server, "");
  EXPECT_EQ(asked(), (Names{"bell", "Bell"}));
  const std::string longest(63, 'n');
  EXPECT_EQ(bench_.client_goes_on(*a_, link_.get()).stop, Relay::ClientStop::need_bytes);
  server(
      "CommandComplete \"LISTEN\" ; CommandComplete \"LISTEN\" ; CommandComplete \"LISTEN\" ; "
      "ReadyForQuery I");
  EXPECT_EQ(a_->state.listening->channels, (Listening::Channels{"Bell", "bell"}));
  a("Query \"listen " + longest + "nnn\"");
  EXPECT_EQ(asked(), Names{longest});
}

TEST_F(RelayListen, listens_itself_to_more_channels_than_are_kept) {
  a("Query \"listen bell\"");
  EXPECT_EQ(asked(), Names{"bell"});
  bench_.client_goes_on(*a_, link_.get());
  server("CommandComplete \"LISTEN\" ; ReadyForQuery I");
  for (std::size_t i = 1; i < Listening::kChannelsMax; ++i) {
    a_->state.listening->told.insert("c" + std::to_string(i));
  }
  EXPECT_EQ(a("Query \"listen more\"").server, "Query \"listen more\"");
  EXPECT_EQ(asked(), Names{});
  server("CommandComplete \"LISTEN\" ; ReadyForQuery I");
  EXPECT_EQ(a_->state.pins, bit(PinReason::listen));
}

TEST_F(RelayListen, listens_itself_to_names_that_the_server_may_read_in_another_way) {
  sets("LATIN1", "LATIN1");
  EXPECT_EQ(a("Query \"listen \xC9\"").server, "Query \"listen \\xc9\"");
  server("CommandComplete \"LISTEN\" ; ReadyForQuery I");
  EXPECT_EQ(a_->state.pins, bit(PinReason::listen));
}

TEST_F(RelayListen, asks_for_names_in_utf8) {
  sets("UTF8", "UTF8");
  EXPECT_EQ(a("Query \"listen \xC3\xA9\"").server, "");
  EXPECT_EQ(asked(), Names{"\xC3\xA9"});
}

// The server refuses these: that is between it and the client.
TEST_F(RelayListen, does_not_ask_for_what_is_no_utf8) {
  sets("UTF8", "UTF8");
  for (const std::string name : {"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3"}) {
    EXPECT_NE(a("Query \"listen \\\"n" + name + "\\\"\"").server, "");
    EXPECT_EQ(asked(), Names{});
    server("ErrorResponse ERROR 22021 \"invalid byte sequence\" ; ReadyForQuery I");
  }
}

TEST_F(RelayListen, hears_by_its_link_what_only_that_listens_to) {
  a("Query \"listen x\"");
  asked();
  bench_.client_goes_on(*a_, link_.get());
  EXPECT_TRUE(link_->state.listens);
  server("CommandComplete \"LISTEN\" ; ReadyForQuery I");
  EXPECT_EQ(server("NotificationResponse 9 \"x\" \"\"").client, "");
  EXPECT_EQ(server("NotificationResponse 9 \"y\" \"\"").client,
            "NotificationResponse 9 \"y\" \"\"");
}

TEST_F(RelayListen, notifies_by_a_link_of_anothers_when_that_has_been_heard) {
  a("Query \"listen x\"");
  asked();
  bench_.client_goes_on(*a_, link_.get());
  server("CommandComplete \"LISTEN\" ; ReadyForQuery I");
  catalog_.notifiers.note(7, 200);
  EXPECT_EQ(a("Query \"notify x\"").server, "");
  EXPECT_TRUE(a_->state.listening->asks);
  asked();
  catalog_.notifiers.forget(7);
  EXPECT_EQ(bench_.client_goes_on(*a_, link_.get()).server, "Query \"notify x\"");
  EXPECT_EQ(server("CommandComplete \"NOTIFY\" ; ReadyForQuery I").client,
            "CommandComplete \"NOTIFY\"");
  EXPECT_TRUE(a_->state.listening->holds_ready);
}

TEST_F(RelayListen, forgets_all_channels_with_discard_all) {
  a("Query \"listen x\"");
  asked();
  bench_.client_goes_on(*a_, link_.get());
  server("CommandComplete \"LISTEN\" ; ReadyForQuery I");
  a("Query \"discard all\"");
  server("CommandComplete \"DISCARD ALL\" ; ReadyForQuery I");
  EXPECT_TRUE(a_->state.listening->channels.empty());
}

TEST(Encodings, have_several_names) {
  EXPECT_TRUE(same_encoding("UTF8", "utf-8"));
  EXPECT_TRUE(same_encoding("UTF8", "unicode"));
  EXPECT_FALSE(same_encoding("UTF8", "LATIN1"));
}

}  // namespace
}  // namespace forebay::core
