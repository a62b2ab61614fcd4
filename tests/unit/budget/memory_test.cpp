#include <gtest/gtest.h>

#include <cstdio>

#include "support/allocations.hpp"
#include "support/rig.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

/// What an idle client keeps. Its socket's part is tested with the sockets.
namespace forebay::test {
namespace {

TEST(Memory, an_idle_client_keeps_little) {
  constexpr std::size_t kMany = 2000;
  const std::string query = frontend(R"(Query "select 1")");
  const std::string reply = backend(R"(CommandComplete "SELECT 1" ; ReadyForQuery I)");
  const auto held_by = [&](std::size_t clients) {
    const std::int64_t before = allocated_bytes();
    Rig rig(plain_config(), clients);
    for (std::size_t i = 0; i < clients; ++i) {
      rig.exchange(i, query, reply);
      rig.client(i).sent.shrink_to_fit();
      std::string().swap(rig.client(i).sent);
    }
    return allocated_bytes() - before;
  };
  const std::int64_t few = held_by(10);
  const std::int64_t many = held_by(10 + kMany);
  const double each = static_cast<double>(many - few) / kMany - sizeof(RigStream);
  std::printf("an idle client holds %.0f bytes in the core\n", each);
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_LT(each, 656);
}

}  // namespace
}  // namespace forebay::test
