#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/words.hpp"
#include "support/world.hpp"

// Which hosts the links of a pool lead to, when hosts refuse, fall behind and come back.
namespace forebay::core {
namespace {

using namespace std::chrono_literals;
using test::FarEnd;

const Endpoint kTwo{"db2", 5432};
const Endpoint kThree{"db3", 5432};
constexpr const char* kFull = R"(ErrorResponse FATAL 53300 "too many clients")";
constexpr const char* kNoEntry = R"(ErrorResponse FATAL 28000 "no pg_hba.conf entry")";

class HostsTest : public ::testing::Test {
 protected:
  explicit HostsTest(config::Config configuration = config()) : world(std::move(configuration)) {
    world.on_quiet = [this] { return serve(); };
    primary(0, 1);
    replica(1, 1);
  }

  static config::Config config() {
    config::Config config = test::plain_config();
    config.databases["app"].hosts = {test::kHost, kTwo};
    config.databases["app"].monitor_user = "watch";
    config.server_unavailable_timeout = 10s;
    return config;
  }

  struct Host {
    std::string role;      ///< to the monitor
    std::string recovery;  ///< to everybody who logs in
    std::string refusal;   ///< to everybody but the monitor; empty: all are let in
  };
  struct Server {
    FarEnd end;
    std::size_t host = 0;
    bool in = false;
    bool standby = false;
    bool in_transaction = false;
    bool silent = false;
  };

  void primary(std::size_t host, int timeline) { become(host, "f", timeline, "null", "off"); }
  void replica(std::size_t host, int timeline) { become(host, "t", timeline, "\"0/1000\"", "on"); }
  void become(std::size_t host, const char* replica, int timeline, const char* received,
              const char* recovery) {
    const std::string insert = *replica == 'f' ? "\"0/1000\"" : "null";
    hosts[host].recovery = recovery;
    hosts[host].role = std::string("DataRow \"") + replica + "\" \"7\" \"" +
                       std::to_string(timeline) + "\" \"0/1000\" " + received + " " + insert +
                       R"( "16777216" null null ; CommandComplete "SELECT 1" ; ReadyForQuery I)";
  }

  bool serve() {
    bool any = false;
    for (; !world.accepted.empty(); world.accepted.pop_front()) {
      FarEnd end = world.accepted.front();
      const Endpoint& to = end.channel().endpoint;
      servers.push_back({end, to == kTwo ? 1u : to == kThree ? 2u : 0u});
      if (gone.contains(servers.back().host)) servers.back().end.reset();
    }
    for (Server& server : servers) {
      if (server.end.closed() || server.silent || hang) continue;
      const std::string bytes = server.end.read();
      if (bytes.empty()) continue;
      any = true;
      if (std::exchange(server.in, true)) {
        answer(server, test::frontend_text(bytes));
      } else {
        let_in(server, bytes.find("watch") != std::string::npos);
      }
    }
    return any;
  }

  void let_in(Server& server, bool monitor) {
    const Host& host = hosts[server.host];
    if (!monitor && !host.refusal.empty()) {
      ++refused[server.host];
      server.end.send(test::backend(host.refusal));
      server.end.end();
      return;
    }
    server.standby = host.recovery == "on";
    server.end.send(test::backend(
        R"(AuthenticationOk ; ParameterStatus "server_version" "15.0" ; ParameterStatus )"
        R"("in_hot_standby" ")" +
        host.recovery + R"(" ; BackendKeyData 1 "key1" ; ReadyForQuery I)"));
  }

  void answer(Server& server, const std::string& asked) {
    if (asked.find("pg_control_system") != std::string::npos) {
      server.end.send(test::backend(hosts[server.host].role));
    } else if (asked.find("Query") != std::string::npos) {
      if (server.standby && asked.find("insert") != std::string::npos) {
        ++read_only;
        server.end.send(test::backend(R"(ErrorResponse ERROR 25006 "no" ; ReadyForQuery I)"));
        return;
      }
      ran.push_back(server.host);
      server.in_transaction = asked.find("begin") != std::string::npos;
      server.end.send(test::backend(R"(CommandComplete "SELECT 1" ; ReadyForQuery )" +
                                    std::string(server.in_transaction ? "T" : "I")));
    }
  }

  FarEnd client() {
    FarEnd client = world.connect();
    client.send(
        test::encode_startup(test::split(R"(Startup 3.0 user="u" database="app")").front()));
    world.settle();
    EXPECT_EQ(test::backend_text(client.read()).substr(0, 16), "AuthenticationOk");
    return client;
  }
  void ask(FarEnd& client, const std::string& text) {
    client.send(test::frontend("Query " + test::quote(text)));
    world.settle();
  }
  /// Everything but the monitor's connections goes: a restart.
  void end_links(std::size_t host) {
    for (Server& server : servers) {
      if (server.host == host && !server.end.closed()) server.end.reset();
    }
    world.settle();
  }

  void crash(std::size_t host) {
    gone.insert(host);
    end_links(host);
  }
  void list(std::vector<Endpoint> listed) {
    config::Config other = config();
    other.databases["app"].hosts = std::move(listed);
    world.reload(std::move(other));
  }

  test::World world;
  std::map<std::size_t, Host> hosts;
  std::set<std::size_t> gone;  ///< these are not there
  bool hang = false;           ///< all of them
  std::vector<Server> servers;
  std::map<std::size_t, int> refused;
  std::vector<std::size_t> ran;
  int read_only = 0;  ///< writes that a standby refused
};

TEST_F(HostsTest, a_primary_that_is_full_is_no_reason_to_write_to_an_older_one) {
  FarEnd one = client();
  world.pass(2s);
  primary(1, 2);  // promoted; the old one lives on beside it
  world.pass(2s);
  ask(one, "insert");
  ASSERT_EQ(ran, std::vector<std::size_t>({1}));
  hosts[1].refusal = kFull;
  hosts[0].refusal.clear();
  end_links(1);
  world.pass(2s);
  ask(one, "insert");
  world.pass(2s);
  EXPECT_GT(refused[1], 1);
  EXPECT_EQ(ran, std::vector<std::size_t>({1})) << "held";
  EXPECT_EQ(one.read().find("standby"), std::string::npos);
  hosts[1].refusal.clear();
  world.pass(2s);
  EXPECT_EQ(ran, std::vector<std::size_t>({1, 1}));
}

TEST_F(HostsTest, what_a_replica_says_of_us_means_nothing_while_the_primary_is_full) {
  FarEnd one = client();
  world.pass(2s);
  hosts[0].refusal = kFull;
  hosts[1].refusal = kNoEntry;
  end_links(0);
  one.read();
  ask(one, "insert");
  world.pass(5s);
  EXPECT_EQ(one.read(), "");
  EXPECT_EQ(refused[1], 0);
  world.pass(10s);
  EXPECT_NE(test::backend_text(one.read()).find("too many clients"), std::string::npos);
}

TEST_F(HostsTest, a_timeline_that_the_monitor_may_not_see_is_told) {
  FarEnd one = client();
  std::string& role = hosts[1].role;
  role.replace(role.find("null null ;"), 11, "null \"t\" ;");
  world.pass(2s);
  EXPECT_EQ(world.journal.count("host_timeline_hidden"), 0u) << "it is on the newest";
  primary(0, 2);
  world.pass(2s);
  EXPECT_EQ(world.journal.count("host_timeline_hidden"), 1u);
}

// It is another cluster to us, of the same servers.
TEST_F(HostsTest, the_newest_timeline_outlives_reloads_of_the_list) {
  FarEnd one = client();
  world.pass(2s);
  primary(1, 2);  // promoted; the old one lives on beside it
  world.pass(2s);
  ask(one, "insert");
  ASSERT_EQ(ran, std::vector<std::size_t>({1}));
  crash(1);
  gone.insert(2);
  world.pass(3s);
  ask(one, "insert");
  const std::vector<Endpoint> lists[] = {
      {kTwo, test::kHost}, {test::kHost, kTwo, kThree}, {test::kHost, kTwo}};
  for (const auto& listed : lists) {
    list(listed);
    world.pass(4s);
    EXPECT_EQ(ran, std::vector<std::size_t>({1})) << "held";
  }
  gone.clear();
  world.pass(2s);
  EXPECT_EQ(ran, std::vector<std::size_t>({1, 1}));
  EXPECT_EQ(world.journal.count("host_fenced"), 1u);
}

TEST_F(HostsTest, what_was_known_of_a_host_ends_when_nobody_lists_it) {
  replica(2, 1);
  list({test::kHost, kTwo, kThree});
  FarEnd one = client();
  world.pass(2s);
  primary(1, 2);
  world.pass(2s);
  crash(1);
  list({test::kHost, kThree});  // the operator goes on with the old one
  world.pass(3s);
  ask(one, "insert");
  EXPECT_EQ(ran, std::vector<std::size_t>({0}));
  list({test::kHost, kTwo, kThree});
  world.pass(3s);
  ask(one, "insert");
  EXPECT_EQ(ran, std::vector<std::size_t>({0, 0}));
}

TEST_F(HostsTest, what_is_open_outlives_a_return_to_a_former_list) {
  replica(2, 1);
  const std::vector<Endpoint> all{test::kHost, kTwo, kThree};
  list(all);
  FarEnd one = client();
  world.pass(2s);
  for (int i = 0; i < 2; ++i) {
    ask(one, "begin");
    list({test::kHost, kTwo});
    world.pass(5s);
    list(all);
    world.pass(5s);
    ask(one, "insert");
    EXPECT_EQ(test::backend_text(one.read()).find("Error"), std::string::npos) << i;
  }
  // Who does not answer from then on is fenced all the same.
  list({test::kHost, kTwo});
  world.pass(5s);
  ask(one, "begin");
  hang = true;
  list(all);
  world.pass(5s);
  one.send(test::frontend("Query \"insert\""));
  world.pass(5s);
  EXPECT_NE(test::backend_text(one.read()).find("ErrorResponse"), std::string::npos);
}

// Behind an address that moves.
class OneHost : public HostsTest {
 protected:
  OneHost() : HostsTest(one()) {
    replica(0, 1);
    first = client();
    second = client();
    // Two links, both free in the end.
    ask(first, "begin");
    ask(second, "select");
    ask(first, "commit");
  }
  static config::Config one() {
    config::Config config = test::plain_config();
    config.databases["app"].hosts = {test::kHost};
    return config;
  }
  std::size_t open() {
    return static_cast<std::size_t>(
        std::ranges::count_if(servers, [](const Server& s) { return !s.end.closed(); }));
  }
  FarEnd first;
  FarEnd second;
};

TEST_F(OneHost, links_to_a_standby_that_refuses_writes_are_left) {
  ask(first, "select");
  world.pass(2s);
  ASSERT_EQ(open(), 2u);
  ask(first, "insert");
  EXPECT_EQ(read_only, 1);
  primary(0, 1);  // the address has moved
  ask(first, "begin");
  ask(second, "insert");
  ask(first, "insert");
  EXPECT_EQ(read_only, 1);
  EXPECT_EQ(servers.size(), 4u);
}

TEST_F(OneHost, of_those_that_rested_one_is_asked_for_all) {
  world.pass(1min);
  ASSERT_EQ(open(), 2u);
  for (Server& server : servers) server.silent = true;  // as behind a firewall that forgot them
  ran.clear();
  ask(first, "select");
  world.pass(6s);
  EXPECT_EQ(ran.size(), 1u);
  EXPECT_EQ(open(), 1u);
}

TEST_F(OneHost, not_with_each_write_while_it_stays_one) {
  for (int i = 0; i < 10; ++i) {
    ask(first, "insert");
    ask(second, "select");
  }
  EXPECT_EQ(read_only, 10);
  EXPECT_LE(servers.size(), 4u);
}

}  // namespace
}  // namespace forebay::core
