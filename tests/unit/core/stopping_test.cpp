#include <gtest/gtest.h>

#include <chrono>

#include "support/words.hpp"
#include "support/world.hpp"

// What happens in the turn in which a worker is told to stop.
namespace forebay::test {
namespace {

using std::chrono::milliseconds;

// The server closes the connection of a cancel request when it has read it: at any moment.
TEST(Stopping, while_a_server_answers_a_cancel_request) {
  config::Config config = plain_config();
  config.pool.statement_timeout = milliseconds(300);
  World world(std::move(config));
  FarEnd client = world.connect();
  client.send(encode_startup(split(R"(Startup 3.0 user="u" database="app")").front()));
  world.settle();
  ASSERT_EQ(world.accepted.size(), 1u);
  world.accepted.front().send(
      backend(R"(AuthenticationOk ; BackendKeyData 1 "key1" ; ReadyForQuery I)"));
  world.settle();
  client.send(frontend(R"(Query "select 1")"));
  world.pass(milliseconds(400));
  ASSERT_EQ(world.accepted.size(), 2u);
  FarEnd& cancel = world.accepted.back();
  ASSERT_FALSE(cancel.closed());

  cancel.end();
  world.post(0, core::mail::Stop{});
  world.turn(0, [](const std::vector<MemoryIo::Ready>& ready) {
    return ready.empty() ? std::nullopt : std::optional(World::Pick{ready.front()});
  });
  EXPECT_TRUE(cancel.closed());
  EXPECT_TRUE(client.closed());
}

}  // namespace
}  // namespace forebay::test
