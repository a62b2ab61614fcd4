#include "forebay/routing/cluster/topology.hpp"

#include <gtest/gtest.h>

namespace forebay::routing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLease = 2s;
constexpr Duration kRefused = Topology::kRefusedLeases * kLease;
const Instant kStart{1h};

// "p1" is a primary on timeline 1, "r2" a replica on 2, "f2" one that receives from another server,
// "-" silent, "x" failed, "s" answers with an error, "o1" is a primary of another cluster.
struct Case {
  const char* name;
  std::vector<const char*> steps;  ///< for each host one word, one second apart
  const char* expected;            ///< primary's index or '-', then each host's Why for writes
};

std::shared_ptr<const HostOrder> ordered(Standing standing) {
  return std::make_shared<const HostOrder>(
      HostOrder{standing, kStart + 10s, "new kernel", "admin"});
}

void feed(Topology& topology, std::string_view words, Instant at) {
  for (std::size_t host = 0; !words.empty(); ++host) {
    const std::size_t space = std::min(words.find(' '), words.size());
    const std::string_view word = words.substr(0, space);
    words.remove_prefix(std::min(space + 1, words.size()));
    if (word == "-") continue;
    if (word == "x") {
      topology.failed(host, "refused");
      continue;
    }
    if (word == "s") {
      topology.spoke(host, at, "too many connections");
      continue;
    }
    HostSample sample;
    sample.asked = at;
    sample.role = word[0] == 'r' || word[0] == 'f' ? Role::replica : Role::primary;
    sample.received = word[0] == 'f' ? 1 : 0;
    sample.system_identifier = word[0] == 'o' ? 8 : 7;
    sample.timeline = static_cast<std::uint32_t>(word[1] - '0');
    topology.answered(host, sample);
  }
}

std::string_view word_of(Why why) {
  switch (why) {
    case Why::nothing:
      return "write";
    case Why::no_sample:
      return "unknown";
    case Why::down:
      return "down";
    case Why::silent:
      return "silent";
    case Why::other_system:
      return "other";
    case Why::fenced:
      return "fenced";
    case Why::two_primaries:
      return "two";
    case Why::refuses:
      return "refuses";
    case Why::other_leads:
      return "outdone";
    case Why::replica:
      return "replica";
    case Why::drained:
      return "drained";
    case Why::banned:
      return "banned";
    default:
      return "?";
  }
}

std::string say(const ClusterView& view) {
  std::string text = view.primary ? std::to_string(*view.primary) : "-";
  for (const HostView& host : view.hosts) text.append(" ").append(word_of(host.no_writes));
  return text;
}

TEST(Topology, FindsThePrimary) {
  const Case cases[] = {
      {"nothing is known", {"- -"}, "- unknown unknown"},
      {"primary and replica", {"p1 r1"}, "0 write replica"},
      {"the other way round", {"r1 p1"}, "1 replica write"},
      {"no primary", {"r1 r1"}, "- replica replica"},
      {"one cannot be reached", {"p1 x"}, "0 write down"},
      {"one failed question is not the end of the lease", {"p1 r1", "x r1"}, "0 write replica"},
      {"but two seconds are", {"p1 r1", "x r1", "x r1"}, "- down replica"},
      {"silence", {"p1 r1", "- r1", "- r1"}, "- silent replica"},
      {"promotion", {"p1 r1", "x r1", "x p2"}, "1 fenced write"},
      {"the old one wakes up", {"p1 r1", "- r1", "- p2", "p1 p2"}, "1 fenced write"},
      {"and is alone", {"p1 r1", "- p2", "p1 x", "p1 x"}, "- fenced down"},
      {"it comes back as a replica", {"p1 r1", "x p2", "r2 p2"}, "1 replica write"},
      {"the newest timeline was seen on a replica only", {"p1 r2"}, "- fenced replica"},
      {"two on one timeline", {"p1 r1", "p2 p2"}, "- two two"},
      {"one of the two gives up", {"p2 p2", "p2 r2"}, "0 write replica"},
      {"a replica promoted by mistake", {"p1 f1", "p1 p2"}, "1 fenced write"},
      {"and set back", {"p1 f1", "p1 p2", "p1 x", "p1 f1"}, "0 write replica"},
      {"not known to be set back", {"p1 f1", "p1 p2", "p1 x", "p1 r1"}, "- fenced replica"},
      {"what followed it as well", {"p1 f2", "p1 f1"}, "0 write replica"},
      {"a name leads to another server", {"p2 f2", "p1 f1"}, "- fenced replica"},
      {"another cluster", {"r1 o9"}, "- replica other"},
      {"its timeline means nothing", {"p1 o9"}, "0 write other"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    Topology topology(2, kLease);
    Instant now = kStart;
    ClusterView view;
    for (const char* step : test.steps) {
      feed(topology, step, now);
      view = topology.judge(now);
      now += 1s;
    }
    EXPECT_EQ(say(view), test.expected);
    EXPECT_EQ(view.two_primaries, std::string_view(test.expected).ends_with("two"));
    EXPECT_EQ(view.unwritable_since == kNever, view.primary.has_value());
  }
}

// All were set up anew; then one of the old ones is switched on by mistake.
TEST(Topology, AClusterThatWasMadeAnewIsTaken) {
  constexpr Duration kWait = Topology::kAbandonedLeases * kLease;
  Topology topology(3, kLease);
  feed(topology, "p7 r7 r7", kStart);
  EXPECT_EQ(say(topology.judge(kStart)), "0 write replica replica");
  Instant now = kStart + 3s;
  const auto wait = [&](const char* step) {
    const Instant end = now + kWait;
    for (; now < end; now += 1s) {
      feed(topology, step, now);
      EXPECT_FALSE(topology.judge(now).primary) << step;
    }
    feed(topology, step, now);
  };
  wait("x o9 x");  // no more than one
  EXPECT_EQ(say(topology.judge(now)), "- down other down");
  wait("o9 o9 r7");  // one is of ours
  EXPECT_EQ(say(topology.judge(now)), "- other other replica");
  now += 3s;
  wait("o9 x x");
  wait("x o9 o1");
  const ClusterView view = topology.judge(now);
  EXPECT_EQ(say(view), "1 down write fenced");
  EXPECT_EQ(view.timeline, 9u);
  feed(topology, "p8 o9 o1", now);
  EXPECT_EQ(say(topology.judge(now)), "1 other write fenced");
}

// Names that lead elsewhere by mistake: they are never taken for ours.
TEST(Topology, AClusterThatNeverWasOursIsNotTaken) {
  Topology topology(3, kLease);
  feed(topology, "p7 r7 o1", kStart);
  EXPECT_EQ(say(topology.judge(kStart)), "0 write replica other");
  Instant now = kStart;
  for (; now < kStart + 3 * Topology::kAbandonedLeases * kLease; now += 1s) {
    feed(topology, "x o9 o1", now);
    EXPECT_FALSE(topology.judge(now).primary && now > kStart + kLease);
  }
  feed(topology, "p7 o9 o1", now);
  EXPECT_EQ(say(topology.judge(now)), "0 write other other");
}

// Somebody promoted host 1 by hand; its manager made a replica of it again, but did not rewind it.
TEST(Topology, ATimelineThatOnlyAStuckReplicaKnowsIsForgotten) {
  constexpr Duration kWait = Topology::kAbandonedLeases * kLease;
  Topology topology(3, kLease);
  feed(topology, "p2 f2 f2", kStart);
  EXPECT_EQ(say(topology.judge(kStart)), "0 write replica replica");
  feed(topology, "p2 p3 f2", kStart);
  EXPECT_EQ(say(topology.judge(kStart)), "1 fenced write replica");
  Instant now = kStart;
  for (; now < kStart + kWait; now += 1s) {
    feed(topology, "p2 f3 f2", now);
    EXPECT_EQ(say(topology.judge(now)), "- fenced replica replica");
  }
  feed(topology, "p2 f3 f2", now);
  const ClusterView view = topology.judge(now);
  EXPECT_EQ(say(view), "0 write replica replica");
  EXPECT_EQ(view.hosts[1].no_reads, Why::behind);
  EXPECT_TRUE(view.hosts[2].may_read());
  // Whoever becomes the primary there again counts at once.
  feed(topology, "p2 p3 f2", now);
  EXPECT_EQ(say(topology.judge(now)), "1 fenced write replica");
}

// The old primary wakes up, and whoever may know better is not heard or not outvoted.
TEST(Topology, ATimelineIsNotForgottenOnLessEvidence) {
  for (const char* words : {"p2 x f2", "p2 s f2", "p2 - f2", "p2 f3 f3", "p2 f3 x", "p2 f3 -",
                            "p2 f3 o2", "r2 f3 f2", "p2 p3 f2"}) {
    SCOPED_TRACE(words);
    Topology topology(3, kLease);
    feed(topology, "p2 f2 f2", kStart);
    feed(topology, "- p3 -", kStart);
    for (Instant now = kStart; now < kStart + 60s; now += 1s) {
      feed(topology, words, now);
      EXPECT_NE(topology.judge(now).primary, 0U);
    }
  }
  Topology two(2, kLease);
  feed(two, "p2 p3", kStart);
  for (Instant now = kStart; now < kStart + 60s; now += 1s) {
    feed(two, "p2 f3", now);
    EXPECT_EQ(say(two.judge(now)), "- fenced replica");
  }
}

// What a host said of itself stands while it gives errors, but not for ever. Then it is neither the
// primary nor deposed: logins have to find out.
TEST(Topology, ErrorsKeepARoleForAWhile) {
  Topology topology(2, kLease);
  feed(topology, "p1 r1", kStart);
  Instant now = kStart;
  for (now += 1s; now < kStart + 1s + kRefused; now += 1s) {
    feed(topology, now < kStart + 4s ? "s r1" : "s s", now);
    EXPECT_EQ(say(topology.judge(now)), "0 write replica");
    EXPECT_TRUE(topology.judge(now).hosts[1].may_read());
  }
  for (const char* words : {"x r1", "s r1", "s r1"}) {  // a failure begins nothing anew
    feed(topology, words, now += 1s);
  }
  ClusterView view = topology.judge(now);
  EXPECT_EQ(say(view), "- refuses replica");
  EXPECT_EQ(view.hosts[0].no_reads, Why::refuses);
  EXPECT_FALSE(view.hosts[0].up);
  EXPECT_FALSE(view.watched) << "host 0 may still be the primary";
  feed(topology, "s p2", now);
  view = topology.judge(now);
  EXPECT_EQ(say(view), "1 fenced write");
  EXPECT_TRUE(view.watched);
  feed(topology, "r2 s", now);
  EXPECT_EQ(say(topology.judge(now)), "1 replica write");
}

TEST(Topology, WhoNeverSaidWhatItIsMayBeThePrimary) {
  Topology topology(2, kLease);
  feed(topology, "s -", kStart);
  EXPECT_FALSE(topology.judge(kStart).watched);
  feed(topology, "s r1", kStart);
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(say(view), "- refuses replica");
  EXPECT_FALSE(view.watched);
  // One that cannot be reached may not; nor a replica that says no more.
  feed(topology, "x r1", kStart);
  EXPECT_TRUE(topology.judge(kStart).watched);
  feed(topology, "p1 s", kStart);
  feed(topology, "x s", kStart + 5 * kRefused);
  feed(topology, "x s", kStart + 10 * kRefused);
  view = topology.judge(kStart + 10 * kRefused);
  EXPECT_EQ(say(view), "- down refuses");
  EXPECT_TRUE(view.watched);
}

TEST(Topology, TheLeaseRunsFromTheQuestion) {
  Topology topology(1, kLease);
  feed(topology, "p1", kStart);
  const ClusterView view = topology.judge(kStart + 500ms);
  EXPECT_EQ(view.writable_until, kStart + kLease);
  EXPECT_TRUE(view.writable(kStart + kLease - 1ns));
  EXPECT_FALSE(view.writable(kStart + kLease));
}

TEST(Topology, KnowsSinceWhenAReplicaIsBack) {
  Topology topology(3, kLease);
  const auto since = [&](std::size_t host, Instant now) {
    return topology.judge(now).hosts[host].reads_again_since;
  };
  feed(topology, "- - -", kStart);
  EXPECT_FALSE(since(1, kStart));
  feed(topology, "p1 r1 x", kStart);
  EXPECT_FALSE(since(1, kStart)) << "it was never away";
  EXPECT_FALSE(since(2, kStart));
  feed(topology, "p1 r1 r1", kStart + 1s);
  EXPECT_EQ(since(2, kStart + 1s), kStart + 1s) << "it was, when we began";
  feed(topology, "p1 x r1", kStart + 2s);
  EXPECT_FALSE(since(1, kStart + 2s));
  feed(topology, "p1 r1 r1", kStart + 3s);
  EXPECT_EQ(since(1, kStart + 3s), kStart + 3s);
  EXPECT_EQ(since(1, kStart + 4s), kStart + 3s);
  topology.order(1, ordered(Standing::banned));
  EXPECT_EQ(since(1, kStart + 4s), kStart + 3s);
  topology.order(1, nullptr);
  EXPECT_EQ(since(1, kStart + 4500ms), kStart + 4500ms);
}

TEST(Topology, ADrainedPrimaryStaysWhoItIsAndTakesNothingNew) {
  Topology topology(3, kLease);
  feed(topology, "p1 r1 r1", kStart);
  topology.order(0, ordered(Standing::drained));
  topology.order(2, ordered(Standing::drained));
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(say(view), "0 drained replica replica");
  EXPECT_FALSE(view.writable(kStart));
  EXPECT_EQ(view.unwritable_since, kStart);
  EXPECT_EQ(view.hosts[0].no_reads, Why::primary);
  EXPECT_EQ(view.hosts[2].no_writes, Why::replica);
  EXPECT_EQ(view.hosts[2].no_reads, Why::drained);
  EXPECT_EQ(explain(view.hosts[2], Why::drained, kStart),
            "drained by an operator (admin) for 10 s more: new kernel");
  EXPECT_EQ(explain(view.hosts[1], Why::replica, kStart), "it is a replica");
  // What is worse than that is said first.
  feed(topology, "p1 r1 x", kStart + 1s);
  EXPECT_EQ(topology.judge(kStart + 1s).hosts[2].no_reads, Why::down);
  feed(topology, "p1 p1 r1", kStart + 2s);
  EXPECT_TRUE(topology.judge(kStart + 2s).two_primaries) << "a word against it is none for another";
  feed(topology, "p1 r1 r1", kStart + 3s);
  topology.order(0, nullptr);
  topology.order(1, ordered(Standing::preferred));
  view = topology.judge(kStart + 3s);
  EXPECT_TRUE(view.writable(kStart + 3s));
  EXPECT_TRUE(view.hosts[1].may_read());
  EXPECT_TRUE(view.hosts[1].ordered(Standing::preferred));
}

TEST(Topology, ABannedPrimaryTakesNoWrites) {
  Topology topology(2, kLease);
  feed(topology, "p1 r1", kStart);
  topology.order(0, ordered(Standing::banned));
  EXPECT_EQ(say(topology.judge(kStart)), "- banned replica");
  topology.order(0, nullptr);
  EXPECT_EQ(say(topology.judge(kStart)), "0 write replica");
}

TEST(Topology, ABannedPrimaryIsFencedAllTheSameWhenThereIsANewerOne) {
  Topology topology(2, kLease);
  feed(topology, "p1 r1", kStart);
  topology.order(0, ordered(Standing::banned));
  feed(topology, "p1 p2", kStart + 1s);
  const ClusterView view = topology.judge(kStart + 1s);
  EXPECT_EQ(say(view), "1 banned write");
  EXPECT_TRUE(view.hosts[0].fenced);
}

TEST(Topology, ReadsNeedAReplicaOfTheNewestTimeline) {
  Topology topology(3, kLease);
  feed(topology, "p2 r2 r1", kStart);
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.hosts[0].no_reads, Why::primary);
  EXPECT_EQ(view.hosts[1].no_reads, Why::nothing);
  EXPECT_EQ(view.hosts[2].no_reads, Why::behind);
  // They go on without a primary, until the replica does not answer any more.
  feed(topology, "x r2 x", kStart + 3s);
  view = topology.judge(kStart + 3s);
  EXPECT_FALSE(view.primary);
  EXPECT_EQ(view.hosts[1].no_reads, Why::nothing);
  feed(topology, "x x x", kStart + 4s);
  EXPECT_EQ(topology.judge(kStart + 4s).hosts[1].no_reads, Why::down);
}

TEST(Topology, BoundsTheLag) {
  Topology topology(2, kLease);
  const auto sample = [](Role role, Instant asked, Lsn lsn) {
    return HostSample{
        .asked = asked, .role = role, .system_identifier = 7, .timeline = 1, .lsn = lsn};
  };
  for (int i = 0; i < 10; ++i) {
    const Instant at = kStart + i * 100ms;
    topology.answered(0, sample(Role::primary, at, static_cast<Lsn>(1000 + 10 * i)));
  }
  const Instant now = kStart + 950ms;
  const auto lag = [&](Lsn replayed) {
    topology.answered(1, sample(Role::replica, now, replayed));
    return topology.judge(now).hosts[1].lag(now);
  };
  EXPECT_EQ(lag(1090), 50ms);   // level with the newest question
  EXPECT_EQ(lag(5000), 50ms);   // ahead of it: no more is known
  EXPECT_EQ(lag(1089), 150ms);  // has all of the one before
  EXPECT_EQ(lag(1000), 950ms);
  EXPECT_EQ(lag(999), Duration::max());
}

// Without synchronous_commit a client is told of its commit before that is written.
TEST(Topology, AReplicaMustHaveCommitsThatWereNotWrittenYet) {
  Topology topology(2, kLease);
  HostSample sample{.asked = kStart, .role = Role::primary, .system_identifier = 7, .timeline = 1};
  sample.lsn = static_cast<Lsn>(1000);
  sample.insert_lsn = static_cast<Lsn>(1500);
  topology.answered(0, sample);
  sample.role = Role::replica;
  const auto complete_until = [&](Lsn replayed) {
    sample.lsn = replayed;
    topology.answered(1, sample);
    return topology.judge(kStart).hosts[1].complete_until;
  };
  EXPECT_EQ(complete_until(static_cast<Lsn>(1000)), std::nullopt);
  EXPECT_EQ(complete_until(static_cast<Lsn>(1499)), std::nullopt);
  EXPECT_EQ(complete_until(static_cast<Lsn>(1500)), kStart);
}

TEST(Topology, KnowsHowManyBytesAReplicaIsBehind) {
  Topology topology(3, kLease);
  HostSample primary{.asked = kStart, .role = Role::primary, .system_identifier = 7, .timeline = 1};
  primary.lsn = 5000;
  primary.insert_lsn = 6000;
  HostSample replica{.asked = kStart, .role = Role::replica, .system_identifier = 7, .timeline = 1};
  replica.lsn = 1000;
  topology.answered(1, replica);
  EXPECT_EQ(topology.judge(kStart).hosts[1].bytes_behind, std::nullopt) << "behind whom?";
  topology.answered(0, primary);
  replica.lsn = 7000;
  topology.answered(2, replica);
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(view.hosts[0].bytes_behind, std::nullopt);
  EXPECT_EQ(view.hosts[1].bytes_behind, static_cast<Lsn>(5000));
  EXPECT_EQ(view.hosts[2].bytes_behind, static_cast<Lsn>(0)) << "asked later than the primary";
  // Without a primary it stays what it was when that was last heard.
  topology.failed(0, "refused");
  replica.asked = kStart + 10s;
  replica.lsn = 5500;
  topology.answered(1, replica);
  view = topology.judge(kStart + 10s);
  EXPECT_FALSE(view.primary);
  EXPECT_EQ(view.hosts[1].bytes_behind, static_cast<Lsn>(500));
  // Positions of two timelines cannot be compared.
  primary.asked = kStart + 11s;
  primary.timeline = 2;
  topology.answered(2, primary);
  EXPECT_EQ(topology.judge(kStart + 11s).hosts[1].bytes_behind, std::nullopt);
}

// ---- Patroni's word ----

std::shared_ptr<const PatroniWord> word(std::optional<std::size_t> leader, Instant until) {
  PatroniWord word;
  word.hosts.resize(3);
  word.leader = leader;
  word.until = until;
  return std::make_shared<const PatroniWord>(word);
}

TEST(Topology, PatroniDecidesBetweenTwoPrimariesOnOneTimeline) {
  Topology topology(3, kLease);
  feed(topology, "p2 p2 r2", kStart);
  EXPECT_EQ(say(topology.judge(kStart)), "- two two replica");
  topology.hear(word(1, kStart + 3s));
  ClusterView view = topology.judge(kStart);
  EXPECT_EQ(say(view), "1 outdone write replica");
  EXPECT_FALSE(view.two_primaries);
  EXPECT_TRUE(view.hosts[0].fenced);
  EXPECT_EQ(view.hosts[0].no_reads, Why::other_leads);
  EXPECT_FALSE(view.hosts[2].complete_until) << "of which of the two?";
  // Its leader falls silent: that makes the other one no better.
  feed(topology, "p2 x r2", kStart + 2500ms);
  EXPECT_EQ(say(topology.judge(kStart + 2500ms)), "- outdone down replica");
  topology.order(1, ordered(Standing::banned));
  EXPECT_EQ(say(topology.judge(kStart + 2500ms)), "0 write banned replica");
  topology.order(1, nullptr);
  // An old word decides nothing.
  feed(topology, "p2 p2 r2", kStart + 3s);
  EXPECT_EQ(say(topology.judge(kStart + 3s)), "- two two replica");
  topology.hear(word(2, kStart + 9s));
  EXPECT_EQ(say(topology.judge(kStart + 3s)), "- two two replica") << "it leads, and is a replica";
  topology.hear(nullptr);
  EXPECT_EQ(say(topology.judge(kStart + 3s)), "- two two replica");
}

TEST(Topology, WhoHasWonGoesOnWhilePatroniIsSilent) {
  Topology topology(3, kLease);
  feed(topology, "p2 p2 r2", kStart);
  topology.hear(word(1, kStart + 3s));
  EXPECT_EQ(say(topology.judge(kStart)), "1 outdone write replica");
  feed(topology, "p2 p2 r2", kStart + 4s);
  EXPECT_EQ(say(topology.judge(kStart + 4s)), "1 outdone write replica");
  topology.hear(nullptr);
  EXPECT_EQ(say(topology.judge(kStart + 4s)), "1 outdone write replica");
  // What was decided holds for these two, and no longer.
  feed(topology, "p2 r2 r2", kStart + 4s);
  EXPECT_EQ(say(topology.judge(kStart + 4s)), "0 write replica replica");
  feed(topology, "p2 p2 r2", kStart + 4s);
  EXPECT_EQ(say(topology.judge(kStart + 4s)), "- two two replica");
}

TEST(Topology, PatroniAloneMakesNobodyAPrimaryOrNone) {
  Topology topology(3, kLease);
  feed(topology, "p2 r2 r2", kStart);
  for (const auto leader : {std::optional<std::size_t>(), std::optional<std::size_t>(0),
                            std::optional<std::size_t>(1)}) {
    topology.hear(word(leader, kStart + 3s));
    EXPECT_EQ(say(topology.judge(kStart)), "0 write replica replica");
  }
  // A leader on an older timeline is fenced like anybody.
  feed(topology, "p1 p2 r2", kStart);
  topology.hear(word(0, kStart + 3s));
  EXPECT_EQ(say(topology.judge(kStart)), "1 fenced write replica");
}

// A switchover that was asked for: nothing new is begun where it will be broken.
TEST(Topology, WritesWaitWhileThePrimaryIsAboutToLeave) {
  Topology topology(2, kLease);
  PatroniWord leaving = *word(0, kStart + 3s);
  leaving.leaving = 0;
  leaving.leaving_from = kStart + 1s;
  topology.hear(std::make_shared<const PatroniWord>(leaving));
  const auto look = [&](const char* step, Instant now) {
    feed(topology, step, now);
    return topology.judge(now);
  };
  EXPECT_EQ(look("p1 r1", kStart).writable(kStart), 0u);
  Instant now = kStart + 1s;
  ClusterView view = look("p1 r1", now);
  EXPECT_TRUE(view.leaving);
  EXPECT_TRUE(view.watched);
  EXPECT_EQ(view.hosts[0].no_writes, Why::leaving);
  EXPECT_EQ(view.primary, 0u);  // what is open goes on
  EXPECT_EQ(view.writable(now), std::nullopt);
  EXPECT_EQ(view.unwritable_since, now);
  // The other one has it.
  view = look("x p2", now);
  EXPECT_EQ(view.writable(now), 1u);
  EXPECT_EQ(view.unwritable_since, kNever);
}

TEST(Topology, WritesDoNotWaitForASwitchoverThatDoesNotCome) {
  Topology topology(2, kLease);
  const auto hear = [&](std::optional<std::size_t> host, Instant now) {
    PatroniWord leaving = *word(0, now + 3s);
    leaving.leaving = host;
    leaving.leaving_from = now;
    topology.hear(std::make_shared<const PatroniWord>(leaving));
    feed(topology, "p1 r1", now);
    return topology.judge(now).leaving;
  };
  EXPECT_TRUE(hear(0, kStart));
  feed(topology, "p1 r1", kStart + 3s);
  EXPECT_FALSE(topology.judge(kStart + 3s).leaving);  // Patroni is silent
  EXPECT_FALSE(hear(1, kStart));                      // it leads already
  EXPECT_TRUE(hear(0, kStart));
  EXPECT_FALSE(hear(std::nullopt, kStart));  // refused, or over
  Instant now = kStart + 1s;
  EXPECT_TRUE(hear(0, now));
  // However often it is asked for and called off.
  for (; now < kStart + 1s + Topology::kLeaving; now += 1s) EXPECT_TRUE(hear(0, now));
  EXPECT_FALSE(hear(0, now));
  EXPECT_FALSE(hear(std::nullopt, now + 1s));
  EXPECT_FALSE(hear(0, now + 2s));
  EXPECT_FALSE(hear(0, now + 59s));
  EXPECT_FALSE(hear(0, now + 118s));
  now += 118s + Topology::kLeavingForgotten;
  EXPECT_TRUE(hear(0, now));
  topology.set_hold(0s);  // who may not wait is not made to
  EXPECT_FALSE(hear(0, now));
  topology.set_hold(4s);
  EXPECT_TRUE(hear(0, now + 1s));
  EXPECT_FALSE(hear(0, now + 3s));
}

TEST(Topology, ATagOfPatronisKeepsReadsAway) {
  Topology topology(3, kLease);
  feed(topology, "p2 r2 r2", kStart);
  PatroniWord tagged;
  tagged.hosts.resize(3);
  tagged.hosts[0].no_reads = tagged.hosts[1].no_reads = true;
  topology.hear(std::make_shared<const PatroniWord>(tagged));
  const ClusterView view = topology.judge(kStart);  // however old the word is
  EXPECT_EQ(say(view), "0 write replica replica");
  EXPECT_EQ(view.hosts[1].no_reads, Why::no_load_balance);
  EXPECT_TRUE(view.hosts[2].may_read());
  topology.hear(nullptr);
  EXPECT_TRUE(topology.judge(kStart).hosts[1].may_read());
}

TEST(Lsn, ReadsAndWrites) {
  EXPECT_EQ(parse_lsn("0/16B3748"), 0x16B3748u);
  EXPECT_EQ(parse_lsn("A/FFFFFFFF"), 0xAFFFFFFFFu);
  EXPECT_FALSE(parse_lsn(""));
  EXPECT_FALSE(parse_lsn("0/"));
  EXPECT_FALSE(parse_lsn("0/x"));
  EXPECT_EQ(lsn_to_string(0xAFFFFFFFFu), "A/FFFFFFFF");
  EXPECT_EQ(lsn_to_string(0x16B3748u), "0/16B3748");
}

TEST(Lsn, APageHeaderIsNotPartOfWhatWasDone) {
  constexpr std::uint64_t kSegment = 16 << 20;
  EXPECT_EQ(normalized(0x2000 + 24, kSegment), 0x2000u);
  EXPECT_EQ(normalized(kSegment + 40, kSegment), kSegment);
  EXPECT_EQ(normalized(0x2000 + 32, kSegment), 0x2000u + 32);
}

}  // namespace
}  // namespace forebay::routing
