#include "core/statistics/tenant_statistics.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace forebay::core {
namespace {

class Tenants : public ::testing::Test {
 protected:
  void work(const std::string& tenant, std::uint64_t microseconds, std::uint32_t worker = 0) {
    directory_.find_or_make(tenant)
        ->of(WorkerId(static_cast<std::uint16_t>(worker)))
        .count({0, microseconds, 0}, false);
  }
  /// What each has used, by the label.
  std::map<std::string, std::uint64_t> shown(std::size_t max) {
    std::map<std::string, std::uint64_t> all;
    for (const TenantRow& row : directory_.leaders(max)) all[row.tenant] = row.counts.server;
    return all;
  }

  TenantDirectory directory_{2};
};

using Shown = std::map<std::string, std::uint64_t>;

TEST_F(Tenants, a_few_are_shown_whole) {
  EXPECT_TRUE(directory_.leaders(3).empty());
  work("a", 5);
  work("a", 7, 1);
  work("b", 1);
  EXPECT_EQ(shown(3), (Shown{{"a", 12}, {"b", 1}, {"other", 0}}));
  work("c", 2);
  work("a", 1);
  EXPECT_EQ(shown(3), (Shown{{"a", 13}, {"b", 1}, {"c", 2}, {"other", 0}}));
}

TEST_F(Tenants, statements_have_errors_and_times) {
  auto& counters = directory_.find_or_make("a")->of(WorkerId(1));
  counters.count({3, 4, 5}, true);
  counters.count({0, 1, 0}, false);
  counters.received_bytes.add(10);
  counters.sent_bytes.add(20);
  counters.refused.add(2);
  const TenantCounts counts = directory_.report().at(0).counts;
  EXPECT_EQ(counts.statements, 2u);
  EXPECT_EQ(counts.errors, 1u);
  EXPECT_EQ(counts.wait, 3u);
  EXPECT_EQ(counts.server, 5u);
  EXPECT_EQ(counts.received_bytes, 10u);
  EXPECT_EQ(counts.sent_bytes, 20u);
  EXPECT_EQ(counts.refused, 2u);
}

TEST_F(Tenants, who_becomes_noisy_is_shown_and_nothing_counts_backwards) {
  for (const char* name : {"a", "b", "c", "d"}) work(name, 100);
  Shown before = shown(2);
  EXPECT_EQ(before, (Shown{{"a", 100}, {"b", 100}, {"other", 200}}));
  std::uint64_t all = 400;
  for (int i = 0; i < 50; ++i) {
    work("a", 10);
    work("d", 1000);
    all += 1010;
    const Shown now = shown(2);
    std::uint64_t sum = 0;
    for (const auto& [name, value] : now) {
      sum += value;
      if (before.contains(name)) {
        EXPECT_GE(value, before[name]) << name;
      }
    }
    // One that lost its place took its own 100 along.
    EXPECT_EQ(sum + (now.contains("b") ? 0 : 100), all);
    before = now;
  }
  EXPECT_EQ(before.size(), 3u);
  EXPECT_GT(before["d"], 40'000u);
}

TEST_F(Tenants, two_alike_do_not_change_places) {
  work("a", 100);
  work("b", 100);
  shown(1);
  for (int i = 0; i < 20; ++i) {
    work("a", 100);
    work("b", 150);
    EXPECT_TRUE(shown(1).contains("a"));
  }
}

TEST_F(Tenants, one_called_other_is_among_the_others) {
  work("other", 3);
  work("a", 1);
  EXPECT_EQ(directory_.leaders(5).size(), 2u);
  EXPECT_EQ(shown(5), (Shown{{"a", 1}, {"other", 3}}));
}

TEST_F(Tenants, only_so_many_are_told_apart) {
  for (std::size_t i = 0; i < TenantDirectory::kTenantsMax + 50; ++i) work(std::to_string(i), 1);
  EXPECT_EQ(directory_.report().size(), TenantDirectory::kTenantsMax + 1);
  EXPECT_EQ(directory_.find_or_make("yet another")->sum().server, 50u);
  EXPECT_EQ(directory_.leaders(50).size(), 51u);
}

TEST_F(Tenants, clients_are_counted_while_they_are_there) {
  const auto tenant = directory_.find_or_make("a");
  {
    TenantClient one(tenant, WorkerId(0));
    const TenantClient moved(std::move(one));
    EXPECT_EQ(tenant->clients.load(), 1u);
    EXPECT_EQ(moved.counters(), &tenant->of(WorkerId(0)));
    EXPECT_EQ(directory_.leaders(1).at(0).clients, 1u);
    EXPECT_EQ(directory_.leaders(0).at(0).clients, 1u);
  }
  EXPECT_EQ(tenant->clients.load(), 0u);
  EXPECT_EQ(TenantClient().counters(), nullptr);
}

}  // namespace
}  // namespace forebay::core
