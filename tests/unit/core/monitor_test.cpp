#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "unit/core/monitor_world.hpp"

// The monitor, and who asks what functions do, with servers that say what the test wants.
namespace forebay::core {
namespace {

TEST_F(MonitorTest, who_hangs_before_it_ever_answered_is_fenced) {
  hangs = true;
  EXPECT_EQ(run("insert into t values (1)"), 0u);
  says.clear();
  world.pass(1s);
  EXPECT_EQ(client.read(), "");
  world.pass(2s);
  EXPECT_EQ(test::backend_text(client.read()).find("ErrorResponse ERROR 40003"), 0u);
  EXPECT_EQ(world.journal.count("host_down"), 2u);
}

class FirstAnswers : public MonitorTest {
 protected:
  FirstAnswers() : MonitorTest(forgetful()) {
    // As after a start: nobody has been asked for a while.
    client.send(test::frontend("Terminate"));
    world.pass(10s);
    says.clear();
    client = world.connect();
    client.send(
        test::encode_startup(test::split(R"(Startup 3.0 user="u" database="app")").front()));
    world.settle();
  }

  static config::Config forgetful() {
    config::Config config = MonitorTest::config();
    config.pool.server_idle_timeout = 1s;
    return config;
  }
};

TEST_F(FirstAnswers, are_waited_for) {
  EXPECT_EQ(run("insert into t values (1)"), SIZE_MAX);
  world.pass(1s);
  says[0] = says[1] = kPrimary;
  for (Server& server : servers) {
    if (server.host == 0 && !server.end.closed()) server.end.send(test::backend(kPrimary));
  }
  world.settle();
  EXPECT_EQ(ran, SIZE_MAX) << "the other may be on a newer timeline";
  says[1] = kReplica;
  world.pass(2s);  // and then it has failed
  EXPECT_EQ(ran, 0u);
}

TEST_F(FirstAnswers, need_not_come) {
  EXPECT_EQ(run("insert into t values (1)"), SIZE_MAX);
  world.pass(3s);
  EXPECT_EQ(world.journal.count("no_primary"), 1u);
  EXPECT_EQ(ran, SIZE_MAX) << "a standby may be there first";
  says[1] = kReplica;
  world.pass(2s);
  EXPECT_EQ(ran, SIZE_MAX);
  says[0] = kPrimary;
  world.pass(2s);
  EXPECT_EQ(ran, 0u);
}

TEST_F(MonitorTest, nothing_is_read_from_who_does_not_say_what_it_is) {
  says[0] = says[1] = kRefusal;
  world.pass(1s);
  EXPECT_EQ(run("select 1"), 0u);
  EXPECT_EQ(world.journal.count("host_unwatched"), 2u);
  EXPECT_EQ(world.journal.count("host_down"), 0u);
  says[0] = kPrimary;
  says[1] = kReplica;
  world.pass(2s);
  EXPECT_EQ(run("select 1"), 1u);
  EXPECT_EQ(run("insert into t values (1)"), 0u);
  // A role that is not confirmed any more stands for a while, and nobody is cut off after that.
  says[0] = says[1] = kRefusal;
  for (int i = 0; i < 20; ++i) {
    world.pass(1s);
    // When the lease ends, a statement may wait for the next look at the hosts.
    if (run("insert into t values (1)") != 0u) world.pass(200ms);
    EXPECT_EQ(ran, 0u) << i;
  }
  EXPECT_EQ(run("select 1"), 0u);
  EXPECT_EQ(world.journal.count("host_unwatched"), 4u);
  EXPECT_EQ(test::backend_text(client.read()).find("Error"), std::string::npos);
}

TEST_F(MonitorTest, functions_are_asked_for_at_first_when_they_change_and_now_and_then) {
  says[0] = kPrimary;
  says[1] = kReplica;
  const std::string calm = R"(DataRow "public" "calm" "f" ; )";
  functions = calm + R"(DataRow "public" "wild" "t" ; )";
  world.pass(2s);
  EXPECT_EQ(asked_functions, 1u);
  EXPECT_EQ(run("select calm()"), 1u);
  EXPECT_EQ(run("select public.calm()"), 1u);
  EXPECT_EQ(run("select wild()"), 0u);
  EXPECT_EQ(run("select other()"), 0u);
  functions = calm + R"(DataRow "public" "wild" "f" ; )";
  world.pass(10s);
  EXPECT_EQ(asked_functions, 1u);
  EXPECT_EQ(run("select wild()"), 0u);
  run("create function wild() returns int stable return 1");
  world.pass(2s);
  EXPECT_EQ(asked_functions, 2u);
  EXPECT_EQ(run("select wild()"), 1u);
  // What was prepared before is judged anew.
  client.send(test::frontend("Parse \"p\" \"select calm()\" ; Sync"));
  world.settle();
  EXPECT_EQ(execute("p"), 1u);
  functions = R"(DataRow "public" "calm" "t" ; )";
  world.pass(61s);
  EXPECT_EQ(execute("p"), 0u);
  EXPECT_EQ(asked_functions, 3u);
  EXPECT_EQ(run("select calm()"), 0u);
}

class FunctionsOfNoDatabase : public MonitorTest {
 protected:
  // It goes while it is asked what its functions do.
  void SetUp() override {
    says[0] = kPrimary;
    says[1] = kReplica;
    hangs = true;
    world.pass(2s);
    ASSERT_EQ(asked_functions, 1u);
    client.send(test::frontend("Terminate"));
    world.settle();
    config::Config without = config();
    without.databases["other"] = without.databases["app"];
    without.databases.erase("app");
    world.reload(std::move(without));
    ASSERT_FALSE(functions_from.closed());
  }
};

TEST_F(FunctionsOfNoDatabase, are_not_waited_for) {
  world.pass(3s);
  EXPECT_TRUE(functions_from.closed());
  EXPECT_EQ(world.journal.count("functions_unknown"), 0u);
}

// AddressSanitizer looks on.
TEST_F(FunctionsOfNoDatabase, may_be_told_yet) {
  functions_from.send(
      test::backend(R"(DataRow "public" "f" "f" ; CommandComplete "SELECT 1" ; ReadyForQuery I)"));
  world.settle();
  EXPECT_TRUE(functions_from.closed());
}

class WaitingReadsTest : public MonitorTest {
 protected:
  explicit WaitingReadsTest(config::ReadConsistency consistency = config::ReadConsistency::strong)
      : MonitorTest(waiting(consistency)) {
    says[0] = kPrimary;
    says[1] = kReplica;
    world.pass(2s);
  }

  static config::Config waiting(config::ReadConsistency consistency) {
    config::Config config = MonitorTest::config();
    config.pool.read_consistency = consistency;
    config.pool.read_wait_timeout = 100ms;
    config.monitor_interval = 1s;
    return config;
  }

  // The primary is further than the replica.
  void fall_behind() {
    says[0] = R"(DataRow "f" "7" "1" "0/2000" null "0/2000" "16777216" null null ;)"
              R"( CommandComplete "SELECT 1" ; ReadyForQuery I)";
  }

  void catch_up() {
    says[1] = R"(DataRow "t" "7" "1" "0/2000" "0/2000" null "16777216" null null ;)"
              R"( CommandComplete "SELECT 1" ; ReadyForQuery I)";
  }

  std::uint64_t waits() { return world.engine(0).counters().replica_waits.value(); }
  std::uint64_t failed() { return world.engine(0).counters().replica_waits_failed.value(); }
};

TEST_F(WaitingReadsTest, are_done_by_a_replica_that_is_asked_at_once) {
  EXPECT_EQ(run("select 1"), SIZE_MAX) << "what was known before counts for nothing";
  world.pass(20ms);
  EXPECT_EQ(ran, 1u);
  EXPECT_EQ(waits(), 1u);
  EXPECT_EQ(failed(), 0u);
}

TEST_F(WaitingReadsTest, see_what_others_have_written) {
  fall_behind();
  EXPECT_EQ(run("select 1"), SIZE_MAX);
  world.pass(20ms);
  EXPECT_EQ(ran, SIZE_MAX);
  catch_up();
  world.pass(20ms);
  EXPECT_EQ(ran, 1u) << "it is asked again and again";
  EXPECT_EQ(failed(), 0u);
}

TEST_F(WaitingReadsTest, go_to_the_primary_when_they_have_waited_long_enough) {
  fall_behind();
  EXPECT_EQ(run("select 1"), SIZE_MAX);
  world.pass(120ms);
  EXPECT_EQ(ran, 0u);
  EXPECT_EQ(failed(), 1u);
}

TEST_F(WaitingReadsTest, wait_for_nobody_where_no_replica_may_be_read_from) {
  says[1] = kRefusal;
  world.pass(20s);
  EXPECT_EQ(run("select 1"), 0u);
  EXPECT_EQ(waits(), 0u);
}

TEST_F(WaitingReadsTest, may_lose_their_client) {
  fall_behind();
  EXPECT_EQ(run("select 1"), SIZE_MAX) << "the clock stands still";
  client.reset();
  world.settle();
  catch_up();
  world.pass(2s);
  EXPECT_EQ(ran, SIZE_MAX);
}

class OwnWritesTest : public WaitingReadsTest {
 protected:
  OwnWritesTest() : WaitingReadsTest(config::ReadConsistency::session) {}
};

TEST_F(OwnWritesTest, are_waited_for) {
  EXPECT_EQ(run("select 1"), 1u) << "it has written nothing";
  EXPECT_EQ(run("insert into t values (1)"), 0u);
  fall_behind();
  EXPECT_EQ(run("select 1"), SIZE_MAX);
  catch_up();
  world.pass(20ms);
  EXPECT_EQ(ran, 1u);
  EXPECT_EQ(run("select 1"), 1u) << "from then on it is known";
  EXPECT_EQ(waits(), 1u);
}

class ZonesTest : public MonitorTest {
 protected:
  ZonesTest() : MonitorTest(zones()) {}

  static config::Config zones() {
    config::Config config = MonitorTest::config();
    config.databases["app"].hosts.push_back(kThree);
    config.databases["app"].zones = {"a", "b", "a"};
    config.zone = "a";
    config.slow_start = 0s;
    config.pool.pool_size = 2;
    return config;
  }

  // How many of ten reads each host runs.
  std::vector<int> reads() {
    std::vector<int> counts(3);
    for (int i = 0; i < 10; ++i) ++counts.at(run("select 1"));
    return counts;
  }
};

TEST_F(ZonesTest, reads_stay_in_our_own_as_long_as_they_can) {
  says[0] = kPrimary;
  says[1] = says[2] = kReplica;
  world.pass(2s);
  EXPECT_EQ(reads(), std::vector<int>({0, 0, 10}));
  says[2] = kRefusal;
  world.pass(15s);
  EXPECT_EQ(reads(), std::vector<int>({0, 10, 0})) << "not to the primary in our zone";
  says[2] = kReplica;
  world.pass(15s);
  EXPECT_EQ(reads(), std::vector<int>({0, 0, 10}));
}

// Where every connection of the near ones is in use.
TEST_F(ZonesTest, others_help_with_reads_that_would_wait) {
  says[0] = kPrimary;
  says[1] = says[2] = kReplica;
  world.pass(2s);
  std::vector<FarEnd> busy;
  inside = true;
  for (int i = 0; i < 2; ++i) {
    busy.push_back(world.connect());
    busy.back().send(
        test::encode_startup(test::split(R"(Startup 3.0 user="u" database="app")").front()));
    world.settle();
    busy.back().send(test::frontend("Query \"begin read only\""));
    world.settle();
    EXPECT_EQ(ran, 2u);
  }
  inside = false;
  EXPECT_EQ(reads(), std::vector<int>({0, 10, 0}));
  busy.front().send(test::frontend("Query \"commit\""));
  world.settle();
  EXPECT_EQ(reads(), std::vector<int>({0, 0, 10}));
}

class HoldTest : public MonitorTest {
 protected:
  HoldTest() : MonitorTest(impatient()) {}

  static config::Config impatient() {
    config::Config config = MonitorTest::config();
    config.pool.query_wait_timeout = 5s;
    config.failover_hold = 20s;
    return config;
  }
};

TEST_F(HoldTest, a_primary_is_waited_for_longer_than_a_connection) {
  says[0] = says[1] = kReplica;
  world.pass(2s);
  EXPECT_EQ(run("insert into t values (1)"), SIZE_MAX);
  world.pass(15s);
  EXPECT_EQ(client.read(), "");
  says[0] = kPrimary;
  world.pass(1s);
  EXPECT_EQ(ran, 0u);
  EXPECT_EQ(test::backend_text(client.read()).find("Error"), std::string::npos);
  says[0] = kReplica;
  world.pass(3s);
  EXPECT_EQ(run("insert into t values (1)"), SIZE_MAX);
  world.pass(25s);
  EXPECT_NE(test::backend_text(client.read()).find("57P03"), std::string::npos);
}

class OrdersTest : public MonitorTest {
 protected:
  OrdersTest() : MonitorTest(three()) {
    says[0] = kPrimary;
    says[1] = says[2] = kReplica;
    world.pass(2s);
  }

  static config::Config three() {
    config::Config config = MonitorTest::config();
    config.databases["app"].hosts.push_back(kThree);
    config.slow_start = 0s;
    return config;
  }

  void order(const Endpoint& host, std::optional<routing::Standing> standing,
             Duration lasts = Duration::zero()) {
    std::shared_ptr<const routing::HostOrder> made;
    if (standing) {
      made = std::make_shared<const routing::HostOrder>(routing::HostOrder{
          *standing, lasts > Duration::zero() ? world.now + lasts : kNever, "new kernel", "ann"});
    }
    Order order{Order::Kind::hosts};
    order.clusters = world.shared().pools.order_host(host, std::move(made));
    world.post(0, mail::Ordered{std::move(order), WorkerId(0), kNoConsole});
    world.settle();
  }

  // How many of ten reads each host runs.
  std::vector<int> reads() {
    std::vector<int> counts(3);
    for (int i = 0; i < 10; ++i) ++counts.at(run("select 1"));
    return counts;
  }

  // Connections to a host, but for the monitor's.
  std::size_t connections(std::size_t host) {
    std::size_t count = 0;
    for (const Server& server : servers) count += server.host == host && !server.end.closed();
    return count - 1;
  }

  // Reads go to both replicas.
  bool both() {
    const std::vector<int> counts = reads();
    return counts[0] == 0 && counts[1] > 2 && counts[2] > 2;
  }
};

TEST_F(OrdersTest, a_drained_replica_is_left_and_its_time_ends) {
  EXPECT_TRUE(both());
  EXPECT_EQ(connections(1), 1u);
  order(kTwo, routing::Standing::drained, 60s);
  EXPECT_EQ(connections(1), 0u);
  EXPECT_EQ(reads(), std::vector<int>({0, 0, 10}));
  order(kThree, routing::Standing::drained);
  EXPECT_EQ(reads(), std::vector<int>({10, 0, 0}));
  world.pass(50s);
  EXPECT_EQ(reads(), std::vector<int>({10, 0, 0}));
  world.pass(12s);
  EXPECT_EQ(reads(), std::vector<int>({0, 10, 0}));
  EXPECT_EQ(world.journal.count("host_order_ended"), 1u);
  order(kThree, std::nullopt);
  EXPECT_TRUE(both());
}

TEST_F(OrdersTest, what_is_open_on_a_drained_primary_ends_by_itself_and_the_next_waits) {
  inside = true;
  EXPECT_EQ(run("begin"), 0u);
  order(test::kHost, routing::Standing::drained);
  EXPECT_EQ(run("insert into t values (1)"), 0u);
  inside = false;
  EXPECT_EQ(run("commit"), 0u);
  EXPECT_EQ(connections(0), 0u);
  EXPECT_EQ(run("insert into t values (2)"), SIZE_MAX);
  client.read();
  order(test::kHost, std::nullopt);
  EXPECT_EQ(test::backend_text(client.read()).find("Error"), std::string::npos);
  EXPECT_EQ(run("insert into t values (3)"), 0u);
}

TEST_F(OrdersTest, who_waits_for_a_drained_primary_is_told_why) {
  order(test::kHost, routing::Standing::drained);
  EXPECT_EQ(run("insert into t values (1)"), SIZE_MAX);
  world.pass(31s);
  const std::string told = test::backend_text(client.read());
  EXPECT_NE(told.find("57P03"), std::string::npos) << told;
  EXPECT_NE(told.find("drained by an operator (ann): new kernel"), std::string::npos) << told;
}

TEST_F(OrdersTest, a_ban_ends_what_is_open) {
  inside = true;
  EXPECT_EQ(run("begin"), 0u);
  client.read();
  order(test::kHost, routing::Standing::banned);
  EXPECT_EQ(connections(0), 0u);
  run("insert into t values (1)");
  const std::string told = test::backend_text(client.read());
  EXPECT_NE(told.find("ErrorResponse ERROR 40001"), std::string::npos) << told;
  EXPECT_NE(told.find("banned by an operator (ann): new kernel"), std::string::npos) << told;
  order(test::kHost, std::nullopt);
  inside = false;
  run("rollback");
  EXPECT_EQ(run("insert into t values (1)"), 0u);
}

TEST_F(OrdersTest, reads_go_first_to_who_is_preferred) {
  order(kThree, routing::Standing::preferred);
  EXPECT_EQ(reads(), std::vector<int>({0, 0, 10}));
  says[2] = kRefusal;
  world.pass(15s);
  EXPECT_EQ(reads(), std::vector<int>({0, 10, 0}));
}

TEST_F(OrdersTest, they_hold_as_long_as_the_configuration_has_the_host) {
  order(kTwo, routing::Standing::banned);
  config::Config other = three();
  std::swap(other.databases["app"].hosts[1], other.databases["app"].hosts[2]);
  world.reload(other);
  world.pass(3s);
  EXPECT_EQ(reads(), std::vector<int>({0, 0, 10})) << "another cluster";
  other.databases["app"].hosts = {test::kHost, kThree};
  world.reload(other);
  world.pass(3s);
  EXPECT_EQ(world.journal.count("host_order_ended"), 1u);
  world.reload(three());
  world.pass(3s);
  EXPECT_TRUE(both());
}

}  // namespace
}  // namespace forebay::core
