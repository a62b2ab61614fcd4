#include <gtest/gtest.h>

#include "core/engine/process_ids.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

// Cancel requests for clients of other nodes behind the same address.
namespace forebay::test {
namespace {

using core::ProcessIds;
using core::SessionKey;
using core::WorkerId;

TEST(ProcessIds, say_where_a_client_is) {
  for (const std::uint32_t peer : {0u, 1u, ProcessIds::kPeersMax}) {
    for (const std::size_t workers : {1u, 2u, 3u, ProcessIds::kWorkersMax}) {
      const ProcessIds ids(workers, peer);
      const auto worker = static_cast<std::uint16_t>(workers - 1);
      for (const std::uint32_t slot : {0u, 1u, ProcessIds::kLastSlot}) {
        for (const std::uint32_t generation : {1u, 77u, 0xffffffffu}) {
          const std::uint32_t id = ids.of(SessionKey{WorkerId(worker), slot, generation});
          EXPECT_LE(id, 0x7fffffffu);
          EXPECT_NE(id, 0u);
          EXPECT_EQ(ids.peer(id), peer);
          EXPECT_EQ(ids.worker(id), worker);
          EXPECT_EQ(ProcessIds::slot(id), slot);
        }
      }
    }
  }
}

TEST(ProcessIds, are_those_of_no_server) {
  for (const std::uint32_t peer : {0u, 1u}) {
    for (const std::size_t workers : {1u, 2u, ProcessIds::kWorkersMax}) {
      const ProcessIds ids(workers, peer);
      SessionKey key{WorkerId(0), 0, 0xfffffff0u};
      for (int turn = 0; turn < 5000; ++turn) {
        const std::uint32_t before = key.generation;
        key.generation = ids.next_generation(key);
        EXPECT_NE(key.generation, before);
        ASSERT_GE(ids.of(key), ProcessIds::kServersEnd);
        ASSERT_LE(ids.of(key), 0x7fffffffu);
      }
    }
  }
}

class Peers : public testing::Test {
 protected:
  static config::Config config() {
    config::Config config = plain_config();
    config.peers = {{"node1", 6432}, {"node2", 6433}};
    config.peer_id = 1;
    return config;
  }
  FarEnd request(std::uint32_t process_id) {
    FarEnd requester = world_.connect(1);
    std::string bytes;
    pg::write_cancel_request(bytes, process_id, "key1");
    requester.send(bytes);
    world_.settle();
    return requester;
  }

  World world_{config(), 2};
  std::uint32_t of_another_ = ProcessIds(2, 2).of(SessionKey{WorkerId(0), 7, 1});
};

TEST_F(Peers, get_requests_for_their_clients) {
  FarEnd requester = request(of_another_);
  ASSERT_EQ(world_.accepted.size(), 1u);
  FarEnd& node = world_.accepted.front();
  EXPECT_EQ(node.channel().endpoint, (Endpoint{"node2", 6433}));
  std::string expected;
  pg::write_cancel_request(expected, of_another_, "key1");
  EXPECT_EQ(node.read(), expected);
  // The requester may go on when the request has been carried out, or could not be.
  EXPECT_FALSE(requester.closed());
  node.end();
  world_.settle();
  EXPECT_TRUE(requester.closed());
  EXPECT_TRUE(node.closed());
}

TEST_F(Peers, that_are_not_there_get_nothing) {
  EXPECT_TRUE(request(ProcessIds(2, 3).of(SessionKey{WorkerId(0), 7, 1})).closed());
  EXPECT_TRUE(request(ProcessIds(2, 0).of(SessionKey{WorkerId(0), 7, 0})).closed());
  EXPECT_TRUE(world_.accepted.empty());
  world_.net.reception = [](const Endpoint&) { return Reception::refuse; };
  EXPECT_TRUE(request(of_another_).closed());
}

TEST_F(Peers, keep_requests_for_their_own_clients) {
  FarEnd client = world_.connect(0);
  client.send(encode_startup(split(R"(Startup 3.0 user="u" database="app")").front()));
  world_.settle();
  world_.accepted.front().send(
      backend(R"(AuthenticationOk ; BackendKeyData 1 "key1" ; ReadyForQuery I)"));
  world_.settle();
  request(ProcessIds(2, 1).of(SessionKey{WorkerId(0), 0, 1}));
  EXPECT_EQ(world_.accepted.size(), 1u) << "the key is wrong";
}

// Two nodes that take a client for each other's.
TEST_F(Peers, are_not_flooded) {
  std::vector<FarEnd> requesters;
  for (int i = 0; i < 100; ++i) requesters.push_back(request(of_another_));
  EXPECT_EQ(world_.accepted.size(), 64u);
  EXPECT_TRUE(requesters.back().closed());
}

}  // namespace
}  // namespace forebay::test
