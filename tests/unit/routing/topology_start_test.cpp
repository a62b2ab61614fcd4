#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "forebay/routing/cluster/topology.hpp"

// Which cluster and which servers the hosts lead to, from the first answers on.
namespace forebay::routing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLease = 2s;
constexpr Instant kStart{1000s};

HostSample answer(Role role, std::uint64_t system) {
  HostSample sample;
  sample.asked = kStart;
  sample.role = role;
  sample.system_identifier = system;
  sample.timeline = 1;
  return sample;
}

const HostSample kPrimary = answer(Role::primary, 7);
const HostSample kReplica = answer(Role::replica, 7);
const HostSample kForeign = answer(Role::primary, 8);

// Who answers first says nothing about which cluster this is.
TEST(Topology, MostHostsSayWhichClusterThisIs) {
  Topology topology(3, kLease);
  topology.begin();
  topology.answered(0, kForeign);
  ClusterView view = topology.judge(kStart);
  EXPECT_TRUE(view.asking);
  EXPECT_FALSE(view.hosts[0].fenced);
  EXPECT_FALSE(view.primary.has_value());
  topology.answered(1, kPrimary);
  topology.answered(2, kReplica);
  view = topology.judge(kStart);
  EXPECT_EQ(view.primary, 1u);
  EXPECT_EQ(view.hosts[0].no_writes, Why::other_system);
  EXPECT_EQ(view.system_identifier, 7u);
  EXPECT_EQ(explain(view.hosts[0], view.hosts[0].no_writes, kStart),
            "it belongs to another cluster: its system identifier is 8");
}

TEST(Topology, NobodyIsThePrimaryWhereAsManyAreOfEachCluster) {
  Topology topology(2, kLease);
  topology.begin();
  topology.answered(0, kForeign);
  topology.answered(1, kPrimary);
  ClusterView view = topology.judge(kStart);
  EXPECT_TRUE(view.mixed && view.watched && !view.primary);
  // That one is gone does not make the other the right one.
  topology.failed(1, "refused");
  view = topology.judge(kStart);
  EXPECT_TRUE(view.mixed && !view.primary);
}

// Who was there alone is the cluster for as long as most of all hosts do not say another one.
TEST(Topology, MostOfAllHostsOutvoteWhoWasThereAlone) {
  Topology topology(5, kLease);
  topology.begin();
  topology.answered(0, kForeign);
  for (std::size_t host = 1; host < 5; ++host) topology.failed(host, "refused");
  EXPECT_EQ(topology.judge(kStart).primary, 0u);
  topology.answered(1, kReplica);
  topology.answered(2, kPrimary);
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.primary, 0u) << "two of five are not most of all";
  EXPECT_EQ(view.hosts[2].no_writes, Why::other_system);
  topology.answered(3, kReplica);
  view = topology.judge(kStart);
  EXPECT_EQ(view.system_identifier, 7u);
  EXPECT_EQ(view.primary, 2u);
  EXPECT_TRUE(view.hosts[0].fenced);
  EXPECT_EQ(view.hosts[0].no_writes, Why::other_system);
  EXPECT_TRUE(view.hosts[1].may_read() && view.hosts[3].may_read());
  // That was most of all: now it stays, whatever names lead to.
  for (const std::size_t host : {1u, 3u}) topology.answered(host, kForeign);
  view = topology.judge(kStart);
  EXPECT_EQ(view.system_identifier, 7u);
  EXPECT_EQ(view.primary, 2u);
}

TEST(Topology, WhoIsGoneOutvotesNobody) {
  Topology topology(3, kLease);
  topology.begin();
  topology.answered(0, kForeign);
  for (const std::size_t host : {1u, 2u}) topology.failed(host, "refused");
  EXPECT_EQ(topology.judge(kStart).primary, 0u);
  topology.answered(1, kPrimary);
  topology.failed(1, "gone");
  topology.answered(2, kReplica);
  EXPECT_EQ(topology.judge(kStart).primary, 0u);
  topology.answered(1, kPrimary);
  EXPECT_EQ(topology.judge(kStart).primary, 1u);
}

// A server has one vote, however many names.
TEST(Topology, AServerWithTwoNamesHasOneVote) {
  Topology topology(3, kLease);
  topology.begin();
  topology.answered(0, kForeign);
  for (const std::size_t host : {1u, 2u}) topology.failed(host, "refused");
  EXPECT_EQ(topology.judge(kStart).primary, 0u);
  HostSample same = kPrimary;
  same.started = 4711;
  for (const std::size_t host : {1u, 2u}) topology.answered(host, same);
  EXPECT_EQ(topology.judge(kStart).primary, 0u);
}

// Likewise where those who were there first have become most of all meanwhile.
TEST(Topology, AClusterThatMostHostsHaveNamedStays) {
  Topology topology(3, kLease);
  topology.begin();
  topology.answered(0, kPrimary);
  topology.failed(1, "refused");
  topology.failed(2, "refused");
  EXPECT_EQ(topology.judge(kStart).primary, 0u);
  topology.answered(1, kReplica);
  for (const std::size_t host : {1u, 2u}) topology.answered(host, kForeign);
  const ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.system_identifier, 7u);
  EXPECT_EQ(view.primary, 0u);
}

TEST(Topology, AServerWithTwoNamesIsOnePrimary) {
  Topology topology(3, kLease);
  topology.begin();
  HostSample sample = kPrimary;
  sample.started = 1'700'000'000'000'000;
  topology.answered(0, sample);
  topology.answered(1, sample);
  topology.answered(2, kReplica);
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.primary, 0u);
  EXPECT_EQ(view.hosts[1].no_writes, Why::same_server);
  EXPECT_FALSE(view.two_primaries);
  topology.failed(0, "refused");
  view = topology.judge(kStart);
  EXPECT_EQ(view.primary, 1u) << "by the name that still works";
  EXPECT_EQ(view.hosts[0].no_writes, Why::same_server);
  // Another one is none of its names.
  ++sample.started;
  topology.answered(0, sample);
  EXPECT_TRUE(topology.judge(kStart).two_primaries);
}

// Patroni knows it by one of its names.
TEST(Topology, TheLeadersOtherNameIsNoRivalOfIts) {
  Topology topology(4, kLease);
  topology.begin();
  HostSample primary = kPrimary;
  primary.started = 1'700'000'000'000'000;
  HostSample replica = kReplica;
  primary.lsn = replica.lsn = static_cast<Lsn>(1000);
  const auto feed = [&] {
    topology.answered(0, primary);
    topology.answered(1, primary);
    topology.answered(2, replica);
  };
  feed();
  topology.failed(3, "refused");
  PatroniWord word;
  word.hosts.resize(4);
  word.leader = 1;
  word.until = kStart + 9s;
  topology.hear(std::make_shared<const PatroniWord>(word));
  static_cast<void>(topology.judge(kStart));
  feed();  // what was known of positions is not forgotten
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.primary, 0u);
  EXPECT_EQ(view.hosts[1].no_writes, Why::same_server);
  EXPECT_FALSE(view.hosts[0].fenced || view.hosts[1].fenced || view.two_primaries);
  EXPECT_TRUE(view.hosts[2].may_read() && view.hosts[2].complete_until);
  // Whoever else is a primary there is the rival, and of this server.
  HostSample rival = primary;
  ++rival.started;
  topology.answered(3, rival);
  view = topology.judge(kStart);
  EXPECT_EQ(view.primary, 0u);
  EXPECT_EQ(view.hosts[3].no_writes, Why::other_leads);
  topology.failed(3, "refused");
  // What is to leave is the server, whatever it is called.
  word.leaving = 1;
  topology.hear(std::make_shared<const PatroniWord>(word));
  EXPECT_TRUE(topology.judge(kStart).leaving);
  word.leaving = 2;
  topology.hear(std::make_shared<const PatroniWord>(word));
  EXPECT_FALSE(topology.judge(kStart).leaving);
}

HostSample on(Role role, std::uint64_t system, std::uint32_t timeline, Instant asked = kStart) {
  HostSample sample = answer(role, system);
  sample.timeline = timeline;
  sample.asked = asked;
  return sample;
}

// Another list of the same servers.
TEST(Topology, WhatIsKnownOfAHostIsInherited) {
  Topology former(2, kLease);
  former.begin();
  former.answered(0, kPrimary);
  former.answered(1, on(Role::primary, 7, 2));
  static_cast<void>(former.judge(kStart));
  Topology topology(3, kLease);
  topology.inherit(std::vector<Topology::Known>{{2, &former, 0}, {1, &former, 1}});
  topology.begin();
  ClusterView view = topology.judge(kStart);
  EXPECT_TRUE(view.asking && !view.primary);
  EXPECT_TRUE(view.hosts[2].fenced);
  topology.answered(2, kPrimary);
  topology.failed(1, "refused");
  topology.failed(0, "refused");
  view = topology.judge(kStart + kLease);
  EXPECT_FALSE(view.asking || view.primary);
  EXPECT_EQ(view.timeline, 2u);
  EXPECT_EQ(view.hosts[2].no_writes, Why::fenced);
  // Not of those that stay no more.
  topology.forget(1);
  view = topology.judge(kStart);
  EXPECT_EQ(view.timeline, 1u);
  EXPECT_EQ(view.primary, 2u);
  topology.forget(2);
  EXPECT_EQ(topology.judge(kStart).system_identifier, 0u);
}

TEST(Topology, TheNewestIsInheritedAndNothingWhereTheyDisagree) {
  Topology older(1, kLease);
  older.begin();
  older.answered(0, on(Role::primary, 7, 5));
  Topology newer(1, kLease);
  newer.begin();
  newer.answered(0, on(Role::primary, 8, 2, kStart + 1s));
  Topology third(1, kLease);
  third.begin();
  third.answered(0, on(Role::replica, 7, 3, kStart + 1s));
  const std::vector<Topology::Known> one{{0, &older, 0}, {0, &newer, 0}};
  Topology topology(2, kLease);
  topology.inherit(one);
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.system_identifier, 8u);
  EXPECT_EQ(view.timeline, 2u);
  // It knows the newest itself.
  topology.inherit(std::vector<Topology::Known>{{0, &older, 0}});
  EXPECT_EQ(topology.judge(kStart).system_identifier, 8u);
  Topology both(2, kLease);
  both.inherit(std::vector<Topology::Known>{{0, &newer, 0}, {1, &third, 0}});
  both.begin();
  view = both.judge(kStart);
  EXPECT_EQ(view.system_identifier, 0u);
  EXPECT_TRUE(view.asking && !view.primary);
  // An old one that is used again.
  older.inherit(std::vector<Topology::Known>{{0, &newer, 0}});
  EXPECT_EQ(older.judge(kStart).system_identifier, 8u);
}

TEST(Topology, AReplicaWhoseTimelineIsHiddenSaysWhatHelps) {
  Topology topology(2, kLease);
  topology.begin();
  topology.answered(0, on(Role::primary, 7, 2));
  HostSample replica = kReplica;
  replica.timeline_hidden = true;
  topology.answered(1, replica);
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.hosts[1].no_reads, Why::behind);
  EXPECT_NE(explain(view.hosts[1], Why::behind, kStart).find("GRANT pg_monitor"),
            std::string::npos);
  replica.timeline_hidden = false;
  topology.answered(1, replica);
  view = topology.judge(kStart);
  EXPECT_EQ(explain(view.hosts[1], Why::behind, kStart),
            "it is not known to follow the newest timeline");
}

// From snapshots of all of them, or of those that most of all hosts are.
TEST(Topology, ARestoreToAnOlderTimelineIsTaken) {
  constexpr Duration kWait = Topology::kAbandonedLeases * kLease;
  struct Case {
    const char* name;
    std::uint32_t first, second, third;  ///< timelines afterwards; 0: it is not there
    bool one_server;
    bool taken;
  };
  const Case cases[] = {
      {"all", 1, 1, 1, false, true},
      {"one stays stuck on the newer timeline", 1, 1, 2, false, true},
      {"one that was on it is not there", 1, 1, 0, false, false},
      {"most stay on it", 1, 2, 2, false, false},
      {"two names lead to the old server", 1, 1, 1, true, false},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    Topology topology(3, kLease);
    Instant now = kStart;
    const auto feed = [&](std::size_t host, Role role, std::uint32_t timeline) {
      HostSample sample = on(role, 7, timeline, now);
      sample.received = role == Role::replica ? 1 : 0;
      sample.started = test.one_server && role == Role::primary ? 1 : 0;
      if (timeline == 0) return topology.failed(host, "refused");
      topology.answered(host, sample);
    };
    feed(0, Role::primary, 2);
    feed(1, Role::replica, 2);
    feed(2, Role::replica, 2);
    EXPECT_EQ(topology.judge(now).primary, 0u);
    now += 10s;
    const Instant end = now + kWait;
    for (; now <= end; now += 1s) {
      feed(0, Role::primary, test.first);
      feed(1, test.one_server ? Role::primary : Role::replica, test.second);
      feed(2, Role::replica, test.third);
      const ClusterView view = topology.judge(now);
      EXPECT_EQ(view.primary.has_value(), test.taken && now == end);
    }
    if (!test.taken) continue;
    // Whoever is promoted after that counts as ever.
    feed(1, Role::primary, 2);
    const ClusterView view = topology.judge(now);
    EXPECT_EQ(view.primary, 1u);
    EXPECT_TRUE(view.hosts[0].fenced);
  }
}

}  // namespace
}  // namespace forebay::routing
