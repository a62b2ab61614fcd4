#include <gtest/gtest.h>

#include <string>

#include "unit/core/monitor_world.hpp"

// A replica that hangs.
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

}  // namespace
}  // namespace forebay::core
