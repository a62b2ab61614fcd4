#include <gtest/gtest.h>

#include "support/rig.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

// A host's name leads to another address: who is connected to one that is gone goes, when it is
// free. The servers of the rig are at 192.0.2.1.
namespace forebay::test {
namespace {

using core::mail::HostMoved;

const std::string kBegin = frontend(R"(Query "begin")");
const std::string kBegun = backend(R"(CommandComplete "BEGIN" ; ReadyForQuery T)");
const std::string kCommit = frontend(R"(Query "commit")");
const std::string kCommitted = backend(R"(CommandComplete "COMMIT" ; ReadyForQuery I)");

struct Moving : testing::Test {
  Rig rig{plain_config(), 1};
  std::size_t connections() const { return const_cast<Rig&>(rig).io().servers.size(); }
};

TEST_F(Moving, ends_what_is_free_at_once) {
  rig.exchange(0, kBegin, kBegun);
  rig.exchange(0, kCommit, kCommitted);
  ASSERT_EQ(connections(), 1u);
  rig.deliver(HostMoved{"db1", {"192.0.2.7"}});
  EXPECT_EQ(connections(), 0u);
}

TEST_F(Moving, leaves_a_transaction_alone_until_it_is_over) {
  rig.exchange(0, kBegin, kBegun);
  rig.deliver(HostMoved{"db1", {"192.0.2.7"}});
  ASSERT_EQ(connections(), 1u);
  rig.exchange(0, kCommit, kCommitted);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(Moving, keeps_what_leads_to_an_address_that_is_still_there_or_to_another_host) {
  rig.exchange(0, kBegin, kBegun);
  rig.exchange(0, kCommit, kCommitted);
  rig.deliver(HostMoved{"db1", {"192.0.2.7", "192.0.2.1"}});
  rig.deliver(HostMoved{"db2", {"192.0.2.7"}});
  EXPECT_EQ(connections(), 1u);
}

TEST_F(Moving, may_move_back_in_time) {
  rig.exchange(0, kBegin, kBegun);
  rig.deliver(HostMoved{"db1", {"192.0.2.7"}});
  rig.deliver(HostMoved{"db1", {"192.0.2.1"}});
  rig.exchange(0, kCommit, kCommitted);
  EXPECT_EQ(connections(), 1u);
}

TEST(MovingAway, of_who_logs_in_there) {
  Rig rig{plain_config(), 2};
  rig.exchange(0, kBegin, kBegun);
  rig.client_says(1, kBegin);
  ASSERT_EQ(rig.io().servers.size(), 2u);
  ASSERT_EQ(rig.counters().links_opened.value(), 1u);
  rig.deliver(HostMoved{"db1", {"192.0.2.7"}});
  rig.let_servers_in();
  rig.let_servers_in();  // to another address
  EXPECT_EQ(rig.io().servers.size(), 2u);
  EXPECT_EQ(rig.counters().links_opened.value(), 3u);
}

TEST(MovingAway, from_an_address_that_is_not_there_any_more) {
  World world;
  auto reception = Reception::hang;
  world.net.reception = [&](const Endpoint&) { return reception; };
  FarEnd client = world.connect();
  client.send(encode_startup(split(R"(Startup 3.0 user="u" database="app")").front()));
  world.settle();
  ASSERT_TRUE(world.accepted.empty());
  reception = Reception::accept;
  world.settle();
  ASSERT_TRUE(world.accepted.empty());
  world.post(0, HostMoved{"db1", {"192.0.2.7"}});
  world.settle();
  EXPECT_EQ(world.accepted.size(), 1u);
}

}  // namespace
}  // namespace forebay::test
