#include "core/statistics/pool_leaders.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/world.hpp"

namespace forebay::core {
namespace {

class Leaders : public ::testing::Test {
 protected:
  using Series = std::map<std::string, std::uint64_t>;

  PoolStatistics& pool(const std::string& user) {
    auto& made = pools_[PoolKey{"app", user}];
    if (made == nullptr) made = std::make_shared<PoolStatistics>(2, "app", user);
    made->note_client();
    return *made;
  }
  void work(const std::string& user, std::uint64_t transactions, std::uint32_t worker = 0) {
    auto& counters = pool(user).of(WorkerId(static_cast<std::uint16_t>(worker)));
    counters.transactions.add(transactions);
    counters.statements.add(2 * transactions);
    for (std::uint64_t i = 0; i < transactions; ++i) counters.statement_server.add(300 * i);
  }
  void fail(const std::string& user, const std::string& code, std::uint32_t worker = 0) {
    pool(user).of(WorkerId(static_cast<std::uint16_t>(worker))).server_errors.add(code);
  }
  /// As the directory does with what there is no room for.
  void forget(const std::string& user) {
    const auto found = pools_.find(PoolKey{"app", user});
    if (found == pools_.end() || found->second->shown()) return;
    auto& gone = pools_[PoolKey{"app", "", PoolKey::kGone}];
    if (gone == nullptr) gone = std::make_shared<PoolStatistics>(1, "app");
    gone->absorb(*found->second);
    pools_.erase(found);
  }
  /// Every number that is exported, by its series.
  Series exported(std::size_t max) {
    PoolDirectory::Statistics all;
    std::pair<PoolKey, std::shared_ptr<const PoolStatistics>> gone;
    for (const auto& each : pools_)
      (each.first.reader > 0 ? (gone = each) : all.emplace_back(each));
    if (gone.second != nullptr) all.push_back(gone);
    Series series;
    for (const PoolLeaders::Row& row : leaders_.follow(all, max)) {
      const std::string name = row.others ? "others" : row.key.user;
      for (std::size_t i = 0; i < kPoolCounters.size(); ++i) {
        series[name + " counter " + std::to_string(i)] = row.sums.counters[i];
      }
      const auto& times = row.sums.of(&PoolCounters::statement_server);
      for (std::size_t i = 0; i < times.buckets.size(); ++i) {
        series[name + " bucket " + std::to_string(i)] = times.buckets[i];
      }
      series[name + " sum"] = times.sum;
      for (const auto& [code, count] : row.sums.server_errors) {
        series[name + " error " + code] = count;
      }
    }
    return series;
  }
  static std::uint64_t transactions(const Series& series, const std::string& name) {
    const auto found = series.find(name + " counter 1");
    return found == series.end() ? 0 : found->second;
  }

  std::map<PoolKey, std::shared_ptr<PoolStatistics>> pools_;
  PoolLeaders leaders_;
};

TEST_F(Leaders, a_few_are_shown_whole_and_there_are_no_others) {
  work("a", 5);
  work("a", 7, 1);
  work("b", 1);
  pools_[PoolKey{"made", "up"}] = std::make_shared<PoolStatistics>(2);
  const Series series = exported(3);
  EXPECT_EQ(transactions(series, "a"), 12U);
  EXPECT_EQ(transactions(series, "b"), 1U);
  EXPECT_FALSE(series.contains("others counter 1"));
  EXPECT_FALSE(series.contains("up counter 1")) << "no client has got so far";
}

TEST_F(Leaders, who_comes_back_goes_on_and_the_others_do_not_shrink) {
  work("a", 10);
  work("b", 10);
  work("c", 1);
  Series series = exported(2);
  EXPECT_EQ(transactions(series, "others"), 1U);
  work("c", 29);  // 30 are more than twice 10
  series = exported(2);
  EXPECT_EQ(transactions(series, "c"), 0U) << "what it did until now is the others'";
  EXPECT_EQ(transactions(series, "others"), 30U);
  const std::string lost = transactions(series, "a") == 0 ? "a" : "b";
  work("c", 5);
  work(lost, 200);
  series = exported(2);
  EXPECT_EQ(transactions(series, "c"), 5U);
  EXPECT_EQ(transactions(series, "others"), 230U);
  EXPECT_EQ(transactions(series, lost), 10U) << "goes on where it was";
  work(lost, 1);
  EXPECT_EQ(transactions(exported(2), lost), 11U);
}

// Whatever pools do: no series counts backwards, and each statement is in one of them.
TEST_F(Leaders, nothing_counts_backwards) {
  std::mt19937 random(7);
  Series shown;
  std::uint64_t done = 0;
  for (unsigned round = 0; round < 600; ++round) {
    // Now and then one does more than all before it.
    const std::uint64_t burst = round % 15 == 0 ? 30 * round : 0;
    work("u" + std::to_string(round % 40), burst);
    done += burst;
    for (unsigned i = 0; i < 5; ++i) {
      const std::string user = "u" + std::to_string(random() % 40);
      const std::uint64_t more = random() % 20;
      work(user, more, random() % 2);
      done += more;
      fail(user, "E" + std::to_string(1000 + random() % 60), random() % 2);
    }
    if (round % 3 == 0) forget("u" + std::to_string(random() % 40));
    for (const auto& [name, value] : exported(6)) {
      const auto before = shown.find(name);
      ASSERT_TRUE(before == shown.end() || before->second <= value)
          << name << " was " << before->second << ", is " << value << ", round " << round;
      shown[name] = value;
    }
  }
  std::uint64_t sum = 0;
  for (const auto& [name, value] : exported(1000)) {
    if (name.ends_with(" counter 1")) sum += value;
  }
  EXPECT_EQ(sum, done) << "nothing is lost, or counted twice";
}

// There is no room for the numbers of every pool that ever was, but for their sum there is.
TEST(PoolDirectory, what_pools_counted_that_are_forgotten_is_summed_up) {
  config::Config config = test::plain_config();
  config.databases["*"] = config::Database(config.databases.begin()->second);
  const auto runtime = test::make_runtime(std::move(config));
  PoolDirectory directory(1);
  constexpr std::uint64_t kPools = 10'300;
  for (std::uint64_t i = 0; i < kPools; ++i) {
    const std::string number = std::to_string(i);
    const auto pool = directory.find_or_make(*runtime, "d" + number, "u");
    ASSERT_NE(pool, nullptr);
    pool->statistics().note_client();
    pool->statistics().of(WorkerId(0)).transactions.add(i);
    pool->statistics().of(WorkerId(0)).server_errors.add("42P01");
    if (i == 0) pool->statistics().show(true);
  }
  for (unsigned i = 0; i < 2; ++i) {
    directory.drop_unused();
    std::uint64_t sum = 0;
    std::uint64_t errors = 0;
    const auto all = directory.statistics();
    EXPECT_LE(all.size(), 10'000U + 301U) << "and what is gone, by database";
    bool others = false;
    for (const auto& [key, counted] : all) {
      sum += counted->sum(&PoolCounters::transactions);
      others = others || key.reader == PoolKey::kGone;
      counted->each([&](const PoolCounters& its) {
        its.server_errors.each([&](const auto&, std::uint64_t count) { errors += count; });
      });
    }
    EXPECT_TRUE(others);
    EXPECT_EQ(sum, kPools * (kPools - 1) / 2);
    EXPECT_EQ(errors, kPools);
    EXPECT_EQ(all.front().first.database, "d0") << "it would begin anew";
    EXPECT_EQ(all.front().first.reader, 0U);
  }
}

TEST_F(Leaders, a_client_that_raises_every_code_makes_no_more_series_than_there_may_be) {
  for (unsigned i = 0; i < 200; ++i) fail("a", "Z" + std::to_string(1000 + i), i % 2);
  std::uint64_t codes = 0;
  std::uint64_t errors = 0;
  for (const auto& [name, value] : exported(2)) {
    if (!name.starts_with("a error ")) continue;
    ++codes;
    errors += value;
  }
  EXPECT_EQ(codes, PoolLeaders::kCodesMax + 1);
  EXPECT_EQ(errors, 200U);
}

// The second worker's code is told apart only when there was room; the first comes to know it then.
TEST_F(Leaders, a_code_of_the_others_stays_there) {
  for (unsigned i = 0; i < 20; ++i) fail("a", "A" + std::to_string(1000 + i), 0);
  for (unsigned i = 0; i < 20; ++i) fail("a", "B" + std::to_string(1000 + i), 1);
  const std::uint64_t before = exported(2)["a error other"];
  EXPECT_EQ(before, 10U);
  fail("a", "B1019", 0);
  EXPECT_EQ(exported(2)["a error other"], 11U);
}

}  // namespace
}  // namespace forebay::core
