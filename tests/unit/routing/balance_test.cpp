#include "forebay/routing/cluster/balance.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace forebay::routing {
namespace {

std::vector<Candidate> hosts(const std::vector<std::uint32_t>& weights) {
  std::vector<Candidate> all;
  for (const std::uint32_t weight : weights) all.push_back({all.size(), weight, 0});
  return all;
}

// Each host's share of so many reads must be that of its weight, within 10%.
void expect_shares(const std::vector<std::uint32_t>& weights, std::size_t in_flight) {
  std::vector<Candidate> all = hosts(weights);
  std::vector<int> got(all.size());
  std::deque<std::size_t> running;
  constexpr int kReads = 10'000;
  for (int turn = 0; turn < kReads; ++turn) {
    const std::size_t host = choose(all, static_cast<std::uint64_t>(turn));
    ++got[host];
    if (in_flight == 0) continue;
    ++all[host].in_flight;
    running.push_back(host);
    if (running.size() <= in_flight) continue;
    --all[running.front()].in_flight;
    running.pop_front();
  }
  double total = 0;
  for (const std::uint32_t weight : weights) total += weight;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double wanted = kReads * weights[i] / total;
    EXPECT_NEAR(got[i], wanted, wanted / 10) << "host " << i << ", in flight " << in_flight;
  }
}

TEST(Balance, ReadsSpreadByWeight) {
  for (const std::size_t in_flight : {0, 1, 7, 64}) {
    expect_shares({1, 1}, in_flight);
    expect_shares({1, 3}, in_flight);
    expect_shares({2, 3, 5}, in_flight);
    expect_shares({1, 10}, in_flight);
    expect_shares({1, 1, 1, 1, 1}, in_flight);
    expect_shares({10, 0, 10}, in_flight);
  }
}

HostView behind(std::optional<Duration> lag, std::optional<Lsn> bytes) {
  HostView host;
  host.no_reads = Why::nothing;
  if (lag) host.complete_until = Instant{std::chrono::seconds(100)} - *lag;
  host.bytes_behind = bytes;
  return host;
}

TEST(Balance, ReplicasThatAreLate) {
  using namespace std::chrono_literals;
  const auto late = [](const HostView& host, const LagLimits& limits, bool was = false) {
    return lateness(host, limits, Instant{100s}, was);
  };
  const LagLimits time{10s, 0};
  EXPECT_EQ(late(behind(10s, 0), time), Late::no);
  EXPECT_EQ(late(behind(11s, 0), time), Late::time);
  EXPECT_EQ(late(behind(std::nullopt, 0), time), Late::time) << "not known";
  // Who was late comes back at half of the limit.
  EXPECT_EQ(late(behind(6s, 0), time, true), Late::time);
  EXPECT_EQ(late(behind(5s, 0), time, true), Late::no);
  const LagLimits bytes{0s, 1000};
  EXPECT_EQ(late(behind(50s, 1000), bytes), Late::no);
  EXPECT_EQ(late(behind(0s, 1001), bytes), Late::bytes);
  EXPECT_EQ(late(behind(0s, std::nullopt), bytes), Late::bytes) << "not known";
  EXPECT_EQ(late(behind(0s, 501), bytes, true), Late::bytes);
  EXPECT_EQ(late(behind(0s, 500), bytes, true), Late::no);
  EXPECT_EQ(late(behind(std::nullopt, std::nullopt), {}), Late::no) << "no limit";
}

TEST(Balance, SoManyReplicasAreReadFromHoweverLate) {
  using namespace std::chrono_literals;
  const auto kept = [](std::uint32_t least, const std::vector<std::pair<Late, Duration>>& hosts) {
    LagFloor floor(least);
    for (const auto& [late, lag] : hosts) floor.add(late, lag);
    return floor.kept();
  };
  EXPECT_EQ(kept(1, {}), std::nullopt);
  EXPECT_EQ(kept(0, {{Late::time, 9s}}), std::nullopt);
  EXPECT_EQ(kept(1, {{Late::time, 9s}, {Late::no, 1s}}), std::nullopt) << "there is one in time";
  EXPECT_EQ(kept(2, {{Late::time, 9s}, {Late::no, 1s}, {Late::bytes, 3s}}), 3s);
  EXPECT_EQ(kept(2, {{Late::time, 9s}, {Late::time, 7s}, {Late::time, 8s}}), 8s);
  EXPECT_EQ(kept(5, {{Late::time, 9s}, {Late::time, Duration::max()}}), Duration::max());
  std::vector<std::pair<Late, Duration>> many;
  for (int i = 100; i > 0; --i) many.emplace_back(Late::time, std::chrono::seconds(i));
  EXPECT_EQ(kept(3, many), 3s);
  EXPECT_EQ(kept(50, many), 16s) << "so many of them are told apart";
}

// Of two replicas the one that is back has a share that grows as time goes by.
TEST(Balance, WhoIsBackBeginsSlowly) {
  using namespace std::chrono_literals;
  const Instant back{100s};
  const auto share_after = [&](Duration since) {
    const std::vector<Candidate> all = {{0, share(2, std::nullopt, 10s, back + since), 0},
                                        {1, share(2, back, 10s, back + since), 0}};
    int got = 0;
    for (std::uint64_t turn = 0; turn < 10'000; ++turn) got += choose(all, turn) == 1 ? 1 : 0;
    return got / 10'000.0;
  };
  EXPECT_NEAR(share_after(0s), 0.5 / 100, 0.01);
  EXPECT_NEAR(share_after(2s), 0.2 / 1.2, 0.02);
  EXPECT_NEAR(share_after(5s), 0.5 / 1.5, 0.02);
  EXPECT_NEAR(share_after(10s), 0.5, 0.02);
  EXPECT_EQ(share(0, back, 10s, back), 0U) << "nothing stays nothing";
  EXPECT_EQ(share(3, back, 0s, back), 3 * kWholeShare) << "no slow start";
}

TEST(Balance, WhoHasLessToDoForItsWeightIsTaken) {
  std::vector<Candidate> all = hosts({1, 3});
  all[0].in_flight = 3;
  all[1].in_flight = 5;
  for (std::uint64_t turn = 0; turn < 100; ++turn) EXPECT_EQ(choose(all, turn), 1u);
  all[1].in_flight = 13;
  for (std::uint64_t turn = 0; turn < 100; ++turn) EXPECT_EQ(choose(all, turn), 0u);
}

TEST(Balance, WeightZeroIsForWhenThereIsNothingElse) {
  std::vector<Candidate> all = hosts({0, 1});
  all[1].in_flight = 1000;
  for (std::uint64_t turn = 0; turn < 100; ++turn) EXPECT_EQ(choose(all, turn), 1u);
  all.pop_back();
  EXPECT_EQ(choose(all, 7), 0u);
  expect_shares({1, 1}, 3);
  int first = 0;
  all = hosts({0, 0});
  for (std::uint64_t turn = 0; turn < 100; ++turn) first += choose(all, turn) == 0 ? 1 : 0;
  EXPECT_NEAR(first, 50, 5);
}

TEST(Balance, WhoIsSlowGetsLessAndIsAskedAgain) {
  using namespace std::chrono_literals;
  Instant now{1000s};
  Latency fast;
  Latency slow;
  EXPECT_EQ(slow.at(now), 0u);
  for (int i = 0; i < 100; ++i) {
    fast.add(1ms, now);
    slow.add(20ms, now);
  }
  EXPECT_EQ(fast.average(), 1000u);
  EXPECT_NEAR(slow.average(), 20'000, 50);
  std::vector<Candidate> all = hosts({1, 1});
  const auto taken = [&] {
    for (Candidate& one : all) {
      const Latency& its = one.host == 0 ? fast : slow;
      one.latency = its.at(now);
      one.average = its.average();
    }
    int got = 0;
    for (std::uint64_t turn = 0; turn < 100; ++turn) got += choose(all, turn) == 1 ? 1 : 0;
    return got;
  };
  EXPECT_EQ(taken(), 0);
  all[0].in_flight = 15;
  EXPECT_EQ(taken(), 0);
  all[0].in_flight = 30;
  EXPECT_EQ(taken(), 100) << "with its one it would still be done sooner";
  all[0].in_flight = 0;
  now += 3s;
  EXPECT_NEAR(taken(), 50, 5) << "it may have become better";
  slow.add(20ms, now);
  EXPECT_EQ(taken(), 0) << "it has not";
  now += 3s;
  slow.add(1ms, now);
  slow.add(1ms, now);
  now += 1s;
  for (int i = 0; i < 64; ++i) slow.add(1ms, now);
  EXPECT_LT(slow.average(), 2000u);
  EXPECT_NEAR(taken(), 50, 5);
}

// What it had first, it had to read from disk.
TEST(Balance, OneSlowReadAtFirstMakesNobodySlow) {
  using namespace std::chrono_literals;
  for (const Duration before : {Duration(0s), Duration(10s)}) {
    Instant now{1000s};
    Latency fast;
    Latency cold;
    fast.add(500us, now);
    if (before > 0s) cold.add(500us, now);
    now += before;
    cold.add(100ms, now);
    std::vector<Candidate> all = hosts({1, 1});
    all[0].average = all[0].latency = fast.average();
    all[1].average = all[1].latency = cold.average();
    int got = 0;
    for (std::uint64_t turn = 0; turn < 100; ++turn) got += choose(all, turn) == 1 ? 1 : 0;
    EXPECT_NEAR(got, 50, 5);
  }
}

// Some reads take long, whoever does them: that is no reason to depart from the weights.
TEST(Balance, WeightsHoldWhereHostsAreAlike) {
  using namespace std::chrono_literals;
  for (const std::vector<std::uint32_t>& weights :
       {std::vector<std::uint32_t>{1, 1}, {1, 3}, {2, 3, 5}}) {
    std::vector<Latency> latencies(weights.size());
    std::vector<Candidate> all = hosts(weights);
    std::vector<int> got(weights.size());
    std::uint64_t random = 1;
    Instant now{1000s};
    constexpr int kReads = 20'000;
    double total = 0;
    for (const std::uint32_t weight : weights) total += weight;
    for (int turn = 0; turn < kReads; ++turn) {
      for (Candidate& one : all) {
        one.latency = latencies[one.host].at(now);
        one.average = latencies[one.host].average();
      }
      const std::size_t host = choose(all, static_cast<std::uint64_t>(turn));
      ++got[host];
      random = random * 6364136223846793005U + 1442695040888963407U;
      const std::uint64_t dice = random >> 33;
      latencies[host].add(dice % 50 == 0 ? Duration(500ms)
                                         : Duration(std::chrono::microseconds(4000 + dice % 4000)),
                          now);
      now += std::chrono::milliseconds(100);
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double wanted = kReads * weights[i] / total;
      EXPECT_NEAR(got[i], wanted, wanted / 10) << "host " << i << " of " << weights.size();
    }
  }
}

TEST(Balance, NobodyFallsBehindAPrimaryThatIsGone) {
  const Instant start{std::chrono::hours(1)};
  const std::chrono::seconds second{1};
  HostSample primary{.asked = start, .role = Role::primary, .system_identifier = 7, .timeline = 1};
  HostSample replica = primary;
  replica.role = Role::replica;
  Topology topology(2, 3 * second);
  topology.answered(0, primary);
  topology.answered(1, replica);
  EXPECT_EQ(lag_ends(topology.judge(start + second), start + second), start + second);
  // It does not answer: at first it is still the primary.
  topology.failed(0, "refused");
  replica.asked = start + 5 * second;
  topology.answered(1, replica);
  for (const auto later : {2 * second, 7 * second}) {
    const ClusterView view = topology.judge(start + later);
    EXPECT_EQ(view.primary.has_value(), later < 3 * second);
    EXPECT_EQ(lag_ends(view, start + later), start);
  }
  // It is a replica now, and nobody is the primary.
  primary = replica;
  primary.asked = start + 6 * second;
  topology.answered(0, primary);
  EXPECT_EQ(lag_ends(topology.judge(start + 8 * second), start + 8 * second), start + 7 * second);
  // Another primary is there.
  replica.role = Role::primary;
  replica.timeline = 2;
  replica.asked = start + 8 * second;
  topology.answered(1, replica);
  EXPECT_EQ(lag_ends(topology.judge(start + 9 * second), start + 9 * second), start + 9 * second);
}

}  // namespace
}  // namespace forebay::routing
