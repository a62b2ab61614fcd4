#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "unit/core/monitor_world.hpp"

// A replica that hangs, and databases that nobody is to be in: not even the monitor.
namespace forebay::core {
namespace {

class HungReplica : public MonitorTest {
 protected:
  HungReplica() {
    says[0] = kPrimary;
    says[1] = kReplica;
    world.pass(2s);
  }

  void read(FarEnd& from) {
    from.send(test::frontend("Query \"select 1\""));
    world.settle();
  }
  static bool answered(FarEnd& by) {
    return test::backend_text(by.read()).find("CommandComplete") != std::string::npos;
  }
};

TEST_F(HungReplica, is_not_waited_for_by_who_logs_in_there) {
  hung = 1;
  EXPECT_EQ(run("select 1"), SIZE_MAX);
  world.pass(3s);
  EXPECT_EQ(world.journal.count("host_down"), 1u);
  EXPECT_EQ(ran, 0u) << "long before server_connect_timeout";
  EXPECT_TRUE(answered(client));
}

TEST_F(HungReplica, is_not_waited_for_where_a_connection_was_there) {
  EXPECT_EQ(run("select 1"), 1u);
  EXPECT_TRUE(answered(client));
  FarEnd other = world.connect();
  other.send(test::encode_startup(test::split(R"(Startup 3.0 user="u" database="app")").front()));
  world.settle();
  other.read();
  hung = 1;
  EXPECT_EQ(run("select 1"), SIZE_MAX);
  read(other);
  world.pass(3s);
  EXPECT_TRUE(answered(client));
  EXPECT_TRUE(answered(other));
  EXPECT_EQ(ran, 0u);
}

class Pausing : public HungReplica {
 protected:
  std::size_t connections() {
    return static_cast<std::size_t>(
        std::ranges::count_if(servers, [](Server& server) { return !server.end.closed(); }));
  }
  void tell() {
    world.post(0, mail::Ordered{Order{Order::Kind::free_links, "app"}, WorkerId(0), kNoConsole});
    world.settle();
  }
};

TEST_F(Pausing, leaves_nobody_in_the_database) {
  EXPECT_EQ(run("insert into t values (1)"), 0u);
  EXPECT_GE(connections(), 3u);
  world.shared().pools.pause("app");
  tell();
  EXPECT_EQ(connections(), 0u);
  EXPECT_EQ(run("insert into t values (1)"), SIZE_MAX);
  world.pass(10s);
  EXPECT_EQ(connections(), 0u);
  for (const auto& pool : world.shared().pools.resume("app")) world.engine(0).resume(pool);
  world.pass(200ms);
  EXPECT_EQ(ran, 0u);
  EXPECT_EQ(test::backend_text(client.read()).find("Error"), std::string::npos);
}

TEST_F(Pausing, has_the_monitor_ask_in_another_database) {
  config::Config two = config();
  two.databases["other"] = two.databases["app"];
  world.reload(std::move(two));
  FarEnd other = world.connect();
  other.send(test::encode_startup(test::split(R"(Startup 3.0 user="u" database="other")").front()));
  world.settle();
  world.shared().pools.pause("app");
  tell();
  world.pass(10s);
  EXPECT_EQ(world.journal.count("host_down"), 0u);
  ran = SIZE_MAX;
  read(other);
  EXPECT_EQ(ran, 1u) << "which is the replica is known";
}

// As DROP DATABASE needs it.
TEST_F(Pausing, of_itself_where_a_database_is_to_be_empty) {
  client.send(test::frontend("Terminate"));
  world.settle();
  EXPECT_GE(connections(), 2u);
  const PoolTarget target = world.shared().pools.all().front()->target();
  world.engine(0).vacate(target, target.database, true);
  world.settle();
  EXPECT_EQ(connections(), 0u);
  world.pass(5s);
  EXPECT_EQ(connections(), 0u);
}

}  // namespace
}  // namespace forebay::core
