#include "core/pool/cluster.hpp"

#include "unit/core/pool_bench.hpp"

namespace forebay::core {
namespace {

using Acquired = Pool::Acquired::Kind;
using Released = Pool::Released::Kind;
using std::chrono::seconds;

const WorkerId kHere(0);
constexpr Duration kHold = seconds(30);

class ClusterTest : public ::testing::Test {
 protected:
  PoolBench bench_;
  std::shared_ptr<Cluster> cluster_ =
      std::make_shared<Cluster>(std::vector<Endpoint>{test::kHost, Endpoint{"db2", 5432}});
  Ticket tickets_[3];
  bool monitored_ = false;

  std::shared_ptr<Pool> pool() {
    for (std::uint32_t i = 0; i < 3; ++i) PoolBench::ticket(tickets_[i], 0, i);
    Pool::Setup setup = PoolBench::setup();
    setup.target.hosts = cluster_->hosts();
    setup.target.cluster = cluster_;
    setup.target.monitored = monitored_;
    return bench_.pool(std::move(setup));
  }
  void publish(std::optional<std::size_t> primary, Instant until) {
    Cluster::View view;
    view.watched = true;
    view.hosts.resize(2);
    view.primary = primary;
    view.writable_until = until;
    if (!primary) view.unwritable_since = bench_.now;
    cluster_->publish(view);
  }
  /// A link that came to the pool and is parked.
  ServerLink& parked(const std::shared_ptr<Pool>& pool) {
    EXPECT_TRUE(pool->reserve_login());
    ServerLink& link = bench_.opened(pool);
    EXPECT_EQ(pool->release(link, kHere, bench_.now, false).kind, Released::parked);
    return link;
  }
  static void close(Pool& pool, ServerLink& link) {
    EXPECT_TRUE(pool.retire(link));
    pool.closed();
  }
};

TEST_F(ClusterTest, WhatNobodyWatchesIsAsOneHost) {
  const auto pool = this->pool();
  ServerLink& link = parked(pool);
  EXPECT_FALSE(pool->watched());
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).link, &link);
  EXPECT_EQ(pool->release(link, kHere, bench_.now, false).kind, Released::parked);
  close(*pool, link);
}

TEST_F(ClusterTest, ItIsKnownSinceWhenAHostIsWhatItIs) {
  EXPECT_EQ(cluster_->past(0).since, Instant{});
  Cluster::View view;
  view.hosts.resize(2);
  view.hosts[0].role = routing::Role::primary;
  view.hosts[0].up = true;
  cluster_->publish(view, bench_.now);
  view.hosts[0].lsn = 7;  // what is always another
  cluster_->publish(view, bench_.now + seconds(1));
  EXPECT_EQ(cluster_->past(0).since, bench_.now);
  EXPECT_EQ(cluster_->past(0).downs, 0u);
  view.hosts[0].up = false;
  cluster_->publish(view, bench_.now + seconds(2));
  EXPECT_EQ(cluster_->past(0).since, bench_.now + seconds(2));
  EXPECT_EQ(cluster_->past(0).downs, 1u);
  view.hosts[0].up = true;
  view.hosts[0].role = routing::Role::replica;
  cluster_->publish(view, bench_.now + seconds(3));
  EXPECT_EQ(cluster_->past(0).since, bench_.now + seconds(3));
  EXPECT_EQ(cluster_->past(0).downs, 1u);
  EXPECT_EQ(cluster_->past(1).since, bench_.now);
}

TEST_F(ClusterTest, NothingIsGivenOrOpenedWithoutAPrimary) {
  const auto pool = this->pool();
  ServerLink& link = parked(pool);
  publish(std::nullopt, {});
  const auto acquired = pool->acquire(tickets_[0], bench_.now);
  EXPECT_EQ(acquired.kind, Acquired::wait);
  EXPECT_EQ(acquired.open, 0u);
  EXPECT_EQ(pool->take_for_waiter(kHere, bench_.now), nullptr);
  publish(1, bench_.now + seconds(2));
  EXPECT_EQ(pool->opening_host(bench_.now), 1u);
  EXPECT_EQ(pool->take_for_waiter(kHere, bench_.now), &link);
  EXPECT_EQ(pool->release(link, kHere, bench_.now, false).kind, Released::give);
  EXPECT_EQ(pool->release(link, kHere, bench_.now, false).kind, Released::parked);
  close(*pool, link);
}

TEST_F(ClusterTest, TheLeaseEndsByItself) {
  const auto pool = this->pool();
  ServerLink& link = parked(pool);
  publish(0, bench_.now + seconds(2));
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).kind, Acquired::here);
  bench_.now += seconds(2);
  EXPECT_EQ(pool->acquire(tickets_[1], bench_.now).kind, Acquired::wait);
  // Nor does a link that becomes free go to who waits.
  EXPECT_EQ(pool->release(link, kHere, bench_.now, false).kind, Released::parked);
  EXPECT_TRUE(pool->withdraw(tickets_[1]));
  close(*pool, link);
}

TEST_F(ClusterTest, WhoHasWaitedForTooLongIsTold) {
  const auto pool = this->pool();
  publish(std::nullopt, {});
  pool->acquire(tickets_[0], bench_.now);
  bench_.now += seconds(20);
  pool->acquire(tickets_[1], bench_.now);
  EXPECT_TRUE(pool->overdue(bench_.now, kHold).empty());
  bench_.now += seconds(10);
  const auto told = pool->overdue(bench_.now, kHold);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told.front(), tickets_[0].session);
  EXPECT_FALSE(tickets_[0].waiting);
  EXPECT_TRUE(pool->withdraw(tickets_[1]));
}

// Each host has primary_lease for its first answer: failover_hold counts when they have come.
TEST_F(ClusterTest, NobodyIsToldBeforeTheHostsHaveBeenAsked) {
  monitored_ = true;
  cluster_->set_asked(true);
  const auto pool = this->pool();
  Cluster::View view;
  view.hosts.resize(2);
  view.unwritable_since = bench_.now;
  ASSERT_TRUE(view.asking && !view.watched);
  cluster_->publish(view);
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).kind, Acquired::wait);
  EXPECT_TRUE(pool->overdue(bench_.now, Duration::zero()).empty());
  view.asking = false;
  view.watched = true;
  cluster_->publish(view);
  EXPECT_EQ(pool->overdue(bench_.now, Duration::zero()).size(), 1u);
}

// A host that was a standby, or not there, is not where logins begin, for a while: each by itself.
TEST_F(ClusterTest, LoginsBeginAtAHostThatIsNotAvoided) {
  const auto pool = this->pool();
  const auto begins = [&] { return pool->opening_host(bench_.now); };
  EXPECT_EQ(begins(), 0u);
  EXPECT_TRUE(pool->avoid_host(0, bench_.now));
  EXPECT_EQ(begins(), 1u);
  bench_.now += seconds(10);
  EXPECT_FALSE(pool->avoid_host(1, bench_.now)) << "neither is better";
  EXPECT_EQ(begins(), 1u);
  bench_.now += seconds(20);  // the first one's time is over, the second one's is not
  EXPECT_TRUE(pool->avoid_host(1, bench_.now));
  EXPECT_EQ(begins(), 0u);
  EXPECT_TRUE(pool->avoid_host(2, bench_.now)) << "of a list that was replaced";
  EXPECT_EQ(begins(), 0u);
  pool->prefer_host(1);
  EXPECT_EQ(begins(), 1u);
}

// Who replicates waits as well, but not where there has been no primary for longer than that.
TEST_F(ClusterTest, APrimaryIsExpectedForSoLong) {
  const auto pool = this->pool();
  EXPECT_FALSE(pool->expects_primary(bench_.now, kHold)) << "nobody watches";
  publish(std::nullopt, {});
  EXPECT_TRUE(pool->expects_primary(bench_.now, kHold));
  EXPECT_FALSE(pool->expects_primary(bench_.now, Duration::zero()));
  bench_.now += kHold;
  EXPECT_FALSE(pool->expects_primary(bench_.now, kHold));
  publish(1, bench_.now + seconds(2));
  EXPECT_FALSE(pool->expects_primary(bench_.now, kHold));
  // The lease is over, before anybody says so.
  bench_.now += seconds(2);
  EXPECT_TRUE(pool->expects_primary(bench_.now, kHold));
}

TEST_F(ClusterTest, AReaderTakesEachViewOnce) {
  ClusterReader reader;
  const Cluster::View* first = &reader.look(*cluster_);
  EXPECT_EQ(&reader.look(*cluster_), first);
  publish(1, bench_.now);
  EXPECT_EQ(reader.look(*cluster_).primary, 1u);
}

}  // namespace
}  // namespace forebay::core
