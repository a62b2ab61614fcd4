#include "core/pool/fair_queue.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace forebay::core {
namespace {

using std::chrono::milliseconds;

class FairQueues : public ::testing::Test {
 protected:
  FairQueue queue_;
  std::uint16_t weight_of_b_ = 1;
  Ticket tickets_[32];
  std::string names_;
  std::size_t next_ = 0;

  /// Tickets of these tenants come, in this order; '-' is nobody's.
  void come(const std::string& tenants) {
    for (const char tenant : tenants) {
      Ticket& ticket = tickets_[next_];
      ticket.session.slot = static_cast<std::uint32_t>(next_++);
      ticket.since = Instant{milliseconds(next_)};
      ticket.tenant = tenant == '-' ? 0 : static_cast<std::uint32_t>(tenant);
      ticket.weight = tenant == 'b' ? weight_of_b_ : std::uint16_t{1};
      names_ += tenant;
      queue_.push(ticket);
    }
  }
  /// So many are served; whose they are. Of one tenant the first come is always the first served.
  std::string serve(std::size_t count) {
    std::string served;
    std::uint32_t last[128] = {};
    for (; count > 0; --count) {
      const std::uint32_t slot = queue_.pop().session.slot;
      const char name = names_[slot];
      EXPECT_GE(slot + 1, last[static_cast<unsigned char>(name)]);
      last[static_cast<unsigned char>(name)] = slot + 1;
      served += name;
    }
    return served;
  }
};

TEST_F(FairQueues, without_tenants_who_comes_first_is_served_first) {
  come("-----");
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(queue_.pop().session.slot, i);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(FairQueues, who_floods_waits_behind_itself) {
  come("aaaaaaaab");
  EXPECT_EQ(serve(3), "aba");
  come("bc");
  EXPECT_EQ(serve(7), "abcaaaa");
  EXPECT_EQ(serve(1), "a");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(FairQueues, weights_are_turns_in_a_row) {
  weight_of_b_ = 2;
  come("aaaabbbb-");
  EXPECT_EQ(serve(9), "abb-abbaa");
}

TEST_F(FairQueues, who_leaves_costs_nobody_a_turn) {
  come("aabb");
  queue_.erase(tickets_[2]);
  EXPECT_EQ(queue_.oldest().session.slot, 0u);
  queue_.erase(tickets_[0]);
  EXPECT_EQ(queue_.oldest().session.slot, 1u);
  EXPECT_EQ(serve(2), "ab");
}

TEST_F(FairQueues, a_link_stays_at_its_worker_within_bounds) {
  const WorkerId here(0);
  const WorkerId there(1);
  come("----------------------------");
  for (Ticket& ticket : tickets_) ticket.session.worker = there;
  const auto at_place = [&](std::size_t place) -> Ticket& { return tickets_[place]; };
  const Instant now = at_place(0).since + FairQueue::kOvertaken - milliseconds(1);
  // Behind sixteen others, and behind seventeen.
  at_place(FairQueue::kOvertakes).session.worker = here;
  EXPECT_EQ(&queue_.pop(here, now), &at_place(FairQueue::kOvertakes));
  at_place(FairQueue::kOvertakes + 2).session.worker = here;
  EXPECT_EQ(&queue_.pop(here, now), &at_place(0));
  // The next one is behind sixteen now; but the first has waited for long enough.
  EXPECT_EQ(&queue_.pop(here, at_place(1).since + FairQueue::kOvertaken), &at_place(1));
  EXPECT_EQ(&queue_.pop(here, now), &at_place(FairQueue::kOvertakes + 2));
  EXPECT_EQ(&queue_.pop(there, now), &at_place(2));
  while (!queue_.empty()) queue_.pop();
}

TEST_F(FairQueues, the_oldest_is_told_whoever_is_next) {
  come("ab");
  EXPECT_EQ(serve(1), "a");
  come("a");
  EXPECT_EQ(serve(1), "b");
  come("cb");
  EXPECT_EQ(queue_.oldest().session.slot, 2u);
  EXPECT_EQ(serve(3), "acb");
}

}  // namespace
}  // namespace forebay::core
