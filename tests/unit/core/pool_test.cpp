#include <gmock/gmock.h>

#include "unit/core/pool_bench.hpp"

namespace forebay::core {
namespace {

using Acquired = Pool::Acquired::Kind;
using Released = Pool::Released::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

const WorkerId kHere(0);
const WorkerId kThere(1);
const Refused kRefused{"08006", "no"};

class PoolTest : public ::testing::Test {
 protected:
  PoolBench bench_;
  Ticket tickets_[5];

  void SetUp() override {
    for (std::uint32_t i = 0; i < 5; ++i) PoolBench::ticket(tickets_[i], 0, i);
  }
  Released release(Pool& pool, ServerLink& link, WorkerId worker = kHere) {
    return pool.release(link, worker, bench_.now, false).kind;
  }
};

TEST_F(PoolTest, of_two_given_back_at_once_the_one_too_many_goes) {
  const auto pool = bench_.pool(PoolBench::setup(2));
  ASSERT_TRUE(pool->reserve_login() && pool->reserve_login());
  ServerLink& first = bench_.opened(pool);
  ServerLink& second = bench_.opened(pool);
  Replaced replaced;
  pool->replace(PoolBench::setup(1), replaced);
  EXPECT_EQ(release(*pool, first), Released::close);
  EXPECT_EQ(release(*pool, second), Released::parked);
  pool->closed(first.parking().leaving);
  EXPECT_EQ(pool->counts().total, 1u);
  EXPECT_TRUE(pool->retire(second));
  pool->closed();
  EXPECT_EQ(pool->counts().total, 0u);
}

TEST_F(PoolTest, the_first_client_waits_for_a_link_that_it_must_open) {
  const auto pool = bench_.pool(PoolBench::setup());
  const auto acquired = pool->acquire(tickets_[0], bench_.now);
  EXPECT_EQ(acquired.kind, Acquired::wait);
  EXPECT_EQ(acquired.open, 1u);
  EXPECT_EQ(pool->counts().opening, 1u);
  ServerLink& link = bench_.opened(pool);
  const auto released = pool->release(link, kHere, bench_.now, false);
  EXPECT_EQ(released.kind, Released::give);
  EXPECT_EQ(released.to, tickets_[0].session);
  EXPECT_FALSE(tickets_[0].waiting);
  EXPECT_EQ(release(*pool, link), Released::parked);
  EXPECT_EQ(pool->acquire(tickets_[1], bench_.now).link, &link);
  EXPECT_EQ(release(*pool, link), Released::parked);
  EXPECT_TRUE(pool->retire(link));
  EXPECT_FALSE(pool->retire(link));
  pool->closed();
  EXPECT_EQ(pool->counts().total, 0u);
}

TEST_F(PoolTest, never_opens_more_than_its_size) {
  const auto pool = bench_.pool(PoolBench::setup(2));
  std::uint32_t open = 0;
  for (Ticket& ticket : tickets_) open += pool->acquire(ticket, bench_.now).open;
  EXPECT_EQ(open, 2u);
  EXPECT_EQ(pool->plan(bench_.now, true), 0u);
  for (Ticket& ticket : tickets_) EXPECT_TRUE(pool->withdraw(ticket));
  pool->open_abandoned();
  pool->open_abandoned();
}

TEST_F(PoolTest, what_it_spares_is_not_the_last_one) {
  const auto pool = bench_.pool(PoolBench::setup(3));
  EXPECT_TRUE(pool->reserve_spare());
  EXPECT_TRUE(pool->reserve_spare());
  EXPECT_FALSE(pool->reserve_spare());
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).open, 1u) << "nobody waits for those";
  pool->closed();
  EXPECT_FALSE(pool->reserve_spare()) << "somebody waits";
  EXPECT_TRUE(pool->withdraw(tickets_[0]));
  EXPECT_FALSE(pool->reserve_spare());
  ServerLink& link = bench_.opened(pool);
  EXPECT_EQ(release(*pool, link), Released::parked);
  EXPECT_TRUE(pool->reserve_spare()) << "one is parked";
  EXPECT_FALSE(pool->reserve_spare());
  EXPECT_TRUE(pool->retire(link));
  pool->closed();
  pool->closed();
  pool->pause();
  EXPECT_FALSE(pool->reserve_spare()) << "paused";
  pool->closed();
}

TEST_F(PoolTest, a_login_that_a_client_fails_is_no_failure_of_the_server) {
  const auto pool = bench_.pool(PoolBench::setup(1));
  ASSERT_TRUE(pool->reserve_login());
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).kind, Acquired::wait);
  EXPECT_TRUE(pool->login_failed(kRefused).empty());
  EXPECT_EQ(pool->plan(bench_.now, true), 1u);  // at once
  EXPECT_TRUE(pool->withdraw(tickets_[0]));
  pool->open_abandoned();
}

TEST_F(PoolTest, where_only_clients_open_links_the_last_login_that_fails_is_told_of) {
  Pool::Setup setup = PoolBench::setup(1);
  setup.credential.reset();
  const auto pool = bench_.pool(std::move(setup));
  ASSERT_TRUE(pool->reserve_login());
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).kind, Acquired::wait);
  EXPECT_EQ(pool->login_failed(kRefused), std::vector{tickets_[0].session});
}

TEST_F(PoolTest, opens_so_many_at_a_time) {
  Pool::Setup setup = PoolBench::setup(5);
  setup.max_connecting = 2;
  const auto pool = bench_.pool(setup);
  std::uint32_t open = 0;
  for (Ticket& ticket : tickets_) open += pool->acquire(ticket, bench_.now).open;
  EXPECT_EQ(open, 2u);
  ServerLink& link = bench_.opened(pool);
  EXPECT_EQ(pool->plan(bench_.now, true), 1u);
  release(*pool, link);
  for (Ticket& ticket : tickets_) pool->withdraw(ticket);
}

TEST_F(PoolTest, a_ticket_that_was_served_cannot_be_withdrawn) {
  const auto pool = bench_.pool(PoolBench::setup());
  pool->acquire(tickets_[0], bench_.now);
  ServerLink& link = bench_.opened(pool);
  release(*pool, link);
  EXPECT_FALSE(pool->withdraw(tickets_[0]));
  release(*pool, link);
  pool->retire(link);
  pool->closed();
}

TEST_F(PoolTest, the_one_used_last_on_this_worker_goes_first) {
  const auto quota = std::make_shared<Quota>("shared", 4);
  Pool::Setup setup = PoolBench::setup(4, 2);
  setup.quotas = {quota};
  const auto pool = bench_.pool(setup);
  ServerLink* links[4];
  for (auto& link : links) {
    ASSERT_TRUE(pool->reserve_login());
    link = &bench_.opened(pool);
  }
  EXPECT_FALSE(pool->reserve_login());
  release(*pool, *links[0], kHere);
  release(*pool, *links[1], kHere);
  release(*pool, *links[2], kThere);
  release(*pool, *links[3], kThere);
  auto acquired = pool->acquire(tickets_[0], bench_.now);
  EXPECT_EQ(acquired.link, links[1]);
  EXPECT_EQ(acquired.kind, Acquired::here);
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).link, links[0]);
  acquired = pool->acquire(tickets_[0], bench_.now);
  EXPECT_EQ(acquired.link, links[3]);
  EXPECT_EQ(acquired.kind, Acquired::elsewhere);
  EXPECT_EQ(acquired.home, kThere);
  WorkerId home;
  EXPECT_EQ(pool->retire_idle(*quota, home), links[2]);
  EXPECT_EQ(home, kThere);
  EXPECT_EQ(pool->retire_idle(*quota, home), nullptr);
}

TEST_F(PoolTest, with_round_robin_the_one_that_rests_longest_goes_first) {
  Pool::Setup setup = PoolBench::setup(3, 2);
  setup.settings.server_round_robin = true;
  const auto pool = bench_.pool(setup);
  ServerLink* links[3];
  for (auto& link : links) {
    ASSERT_TRUE(pool->reserve_login());
    link = &bench_.opened(pool);
  }
  const WorkerId homes[] = {kThere, kHere, kThere};
  for (int i = 0; i < 3; ++i) {
    bench_.now += seconds(1);
    release(*pool, *links[i], homes[i]);
  }
  for (auto* expected : links) EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).link, expected);
}

TEST_F(PoolTest, waiters_are_served_in_order) {
  const auto pool = bench_.pool(PoolBench::setup(1));
  for (Ticket& ticket : tickets_) pool->acquire(ticket, bench_.now);
  ServerLink& link = bench_.opened(pool);
  EXPECT_TRUE(pool->withdraw(tickets_[1]));
  for (const int expected : {0, 2, 3, 4}) {
    EXPECT_EQ(pool->release(link, kHere, bench_.now, false).to, tickets_[expected].session);
  }
  EXPECT_EQ(release(*pool, link), Released::parked);
  pool->retire(link);
}

TEST_F(PoolTest, a_worn_link_is_closed_though_somebody_waits) {
  const auto pool = bench_.pool(PoolBench::setup(1));
  pool->acquire(tickets_[0], bench_.now);
  ServerLink& link = bench_.opened(pool);
  EXPECT_EQ(pool->release(link, kHere, bench_.now, true).kind, Released::close);
  EXPECT_TRUE(pool->closed(true).empty());
  EXPECT_EQ(pool->plan(bench_.now, true), 1u);
  pool->withdraw(tickets_[0]);
  pool->open_abandoned();
}

TEST_F(PoolTest, keeps_a_minimum) {
  Pool::Setup setup = PoolBench::setup(5);
  setup.settings.min_pool_size = 3;
  const auto pool = bench_.pool(setup);
  EXPECT_EQ(pool->plan(bench_.now, false), 0u);
  EXPECT_EQ(pool->plan(bench_.now, true), 3u);
  EXPECT_EQ(pool->plan(bench_.now, true), 0u);
  for (int i = 0; i < 3; ++i) pool->open_abandoned();
}

TEST_F(PoolTest, keeps_no_minimum_for_a_while_in_a_database_that_nobody_may_be_in) {
  Pool::Setup setup = PoolBench::setup(5);
  setup.settings.min_pool_size = 1;
  const auto pool = bench_.pool(setup);
  EXPECT_EQ(pool->plan(bench_.now, true), 1u);
  ServerLink& link = bench_.opened(pool);
  pool->vacate(bench_.now);
  EXPECT_TRUE(pool->unwanted(link));
  EXPECT_EQ(pool->release(link, WorkerId(0), bench_.now, false).kind, Pool::Released::Kind::close);
  pool->closed(true);
  EXPECT_EQ(pool->plan(bench_.now + std::chrono::seconds(9), true), 0u);
  Ticket ticket;
  EXPECT_EQ(pool->acquire(PoolBench::ticket(ticket, 0, 1), bench_.now).open,
            1u);  // but for clients
  pool->withdraw(ticket);
  pool->open_abandoned();
  EXPECT_EQ(pool->plan(bench_.now + std::chrono::seconds(10), true), 1u);
  pool->open_abandoned();
}

// ---------------------------------------------------------------- failures

TEST_F(PoolTest, after_a_failure_it_pauses_longer_and_longer) {
  const auto pool = bench_.pool(PoolBench::setup(5));
  for (Ticket& ticket : tickets_) pool->acquire(ticket, bench_.now);
  for (int i = 0; i < 5; ++i) pool->open_failed(bench_.now, kRefused, false, 1.0);
  Duration pause{};
  for (int failures = 5; failures < 12; ++failures) {
    EXPECT_EQ(pool->plan(bench_.now, true), 0u);
    pause = {};
    while (pool->plan(bench_.now + pause, true) == 0) pause += milliseconds(10);
    EXPECT_LE(pause, milliseconds(1010));
    bench_.now += pause;
    pool->open_failed(bench_.now, kRefused, false, 1.0);
  }
  EXPECT_GE(pause, milliseconds(1000));
  for (Ticket& ticket : tickets_) pool->withdraw(ticket);
}

TEST_F(PoolTest, after_a_failure_one_at_a_time_is_tried) {
  const auto pool = bench_.pool(PoolBench::setup(5));
  for (Ticket& ticket : tickets_) pool->acquire(ticket, bench_.now);
  for (int i = 0; i < 5; ++i) pool->open_failed(bench_.now, kRefused, false, 0.0);
  bench_.now += seconds(2);
  EXPECT_EQ(pool->plan(bench_.now, true), 1u);
  bench_.opened(pool);
  EXPECT_EQ(pool->plan(bench_.now, true), 4u);
  for (Ticket& ticket : tickets_) pool->withdraw(ticket);
}

TEST_F(PoolTest, a_lasting_failure_dismisses_those_who_wait) {
  const auto pool = bench_.pool(PoolBench::setup(1));
  pool->acquire(tickets_[0], bench_.now);
  pool->acquire(tickets_[1], bench_.now);
  const auto told = pool->open_failed(bench_.now, kRefused, true, 0.5);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0], tickets_[0].session);
  EXPECT_FALSE(tickets_[1].waiting);
  ASSERT_TRUE(pool->unavailable(bench_.now));
  EXPECT_EQ(*pool->unavailable(bench_.now), kRefused);
  // Not for ever: the next one who comes later tries again.
  EXPECT_FALSE(pool->unavailable(bench_.now + seconds(2)));
}

TEST_F(PoolTest, other_failures_dismiss_them_only_after_a_while) {
  const auto pool = bench_.pool(PoolBench::setup(1));
  pool->acquire(tickets_[0], bench_.now);
  for (int second = 0; second < 10; ++second) {
    EXPECT_TRUE(pool->open_failed(bench_.now, kRefused, false, 0.5).empty());
    EXPECT_FALSE(pool->unavailable(bench_.now));
    bench_.now += seconds(1);
    ASSERT_EQ(pool->plan(bench_.now, true), 1u);
  }
  EXPECT_EQ(pool->open_failed(bench_.now, kRefused, false, 0.5).size(), 1u);
}

TEST_F(PoolTest, a_failure_of_long_ago_does_not_count) {
  const auto pool = bench_.pool(PoolBench::setup(1));
  pool->acquire(tickets_[0], bench_.now);
  EXPECT_TRUE(pool->open_failed(bench_.now, kRefused, false, 0.5).empty());
  EXPECT_TRUE(pool->withdraw(tickets_[0]));
  bench_.now += std::chrono::hours(1);
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).open, 1u);
  EXPECT_TRUE(pool->open_failed(bench_.now, kRefused, false, 0.5).empty());
  EXPECT_FALSE(pool->unavailable(bench_.now));
  EXPECT_TRUE(pool->withdraw(tickets_[0]));
}

TEST_F(PoolTest, one_more_that_is_refused_does_not_count) {
  const auto pool = bench_.pool(PoolBench::setup(2));
  ASSERT_TRUE(pool->reserve_login());
  bench_.opened(pool);
  pool->acquire(tickets_[0], bench_.now);
  for (int second = 0; second < 20; ++second) {
    EXPECT_TRUE(pool->open_failed(bench_.now, kRefused, false, 0.5).empty());
    bench_.now += seconds(1);
    ASSERT_EQ(pool->plan(bench_.now, true), 1u);
  }
  // A restart.
  EXPECT_TRUE(pool->closed().empty());
  EXPECT_TRUE(pool->open_failed(bench_.now, kRefused, false, 0.5).empty());
  EXPECT_FALSE(pool->unavailable(bench_.now));
  EXPECT_TRUE(pool->withdraw(tickets_[0]));
}

TEST_F(PoolTest, while_a_link_lives_nobody_is_dismissed) {
  const auto pool = bench_.pool(PoolBench::setup(2));
  ASSERT_TRUE(pool->reserve_login());
  ServerLink& link = bench_.opened(pool);
  pool->acquire(tickets_[0], bench_.now);
  EXPECT_TRUE(pool->open_failed(bench_.now, kRefused, true, 0.5).empty());
  EXPECT_EQ(release(*pool, link), Released::give);
}

TEST_F(PoolTest, a_replica_that_takes_no_more_serves_with_the_links_that_there_are) {
  Pool::Setup setup = PoolBench::setup(2);
  setup.key.reader = 1;
  const auto pool = bench_.pool(setup);
  ASSERT_TRUE(pool->reserve_login());
  ServerLink& link = bench_.opened(pool);
  ASSERT_EQ(pool->acquire(tickets_[0], bench_.now).open, 1u);
  EXPECT_TRUE(pool->open_failed(bench_.now, kRefused, false, 0.5).empty());
  EXPECT_LE(pool->shunned_until(), bench_.now);
  EXPECT_EQ(release(*pool, link), Released::give);
  // Without any it is left alone.
  pool->acquire(tickets_[1], bench_.now);
  EXPECT_TRUE(pool->closed().empty());
  ASSERT_EQ(pool->plan(bench_.now + seconds(2), true), 1u);
  EXPECT_EQ(pool->open_failed(bench_.now, kRefused, false, 0.5).size(), 1u);
  EXPECT_GT(pool->shunned_until(), bench_.now);
}

TEST_F(PoolTest, without_a_credential_only_a_login_opens_links) {
  Pool::Setup setup = PoolBench::setup(2);
  setup.credential.reset();
  const auto pool = bench_.pool(setup);
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).kind, Acquired::hopeless);
  ASSERT_TRUE(pool->reserve_login());
  ServerLink& link = bench_.opened(pool);
  EXPECT_EQ(pool->acquire(tickets_[0], bench_.now).open, 0u);
  EXPECT_EQ(pool->release(link, kHere, bench_.now, true).kind, Released::close);
  // With the last link goes the last hope.
  EXPECT_EQ(pool->closed(true).size(), 1u);
}

TEST_F(PoolTest, a_learned_credential_that_is_refused_is_forgotten) {
  Pool::Setup setup = PoolBench::setup(2);
  setup.credential.reset();
  const auto pool = bench_.pool(setup);
  pool->learn_credential(auth::Password(config::Secret("old")));
  pool->acquire(tickets_[0], bench_.now);
  EXPECT_EQ(pool->open_failed(bench_.now, {"28P01", "no"}, true, 0.5).size(), 1u);
  EXPECT_FALSE(pool->credential());
}

TEST_F(PoolTest, a_configured_credential_stays) {
  const auto pool = bench_.pool(PoolBench::setup());
  pool->learn_credential(auth::Password(config::Secret("x")));
  EXPECT_TRUE(std::holds_alternative<auth::NoCredential>(*pool->credential()));
}

// ---------------------------------------------------------------- the reserve

class Reserve : public PoolTest {
 protected:
  std::shared_ptr<Pool> pool_ = make(milliseconds(5000));
  std::shared_ptr<Pool> make(milliseconds timeout) {
    Pool::Setup setup = PoolBench::setup(1);
    setup.settings.reserve_pool_size = 1;
    setup.settings.reserve_pool_timeout = timeout;
    return bench_.pool(setup);
  }
};

TEST_F(Reserve, is_for_clients_that_have_waited_for_so_long) {
  for (Ticket& ticket : tickets_) pool_->acquire(ticket, bench_.now);
  ServerLink& first = bench_.opened(pool_);
  EXPECT_EQ(release(*pool_, first), Released::give);
  EXPECT_EQ(pool_->plan(bench_.now + milliseconds(4999), true), 0u);
  EXPECT_EQ(pool_->plan(bench_.now + seconds(5), true), 1u);
  EXPECT_EQ(pool_->plan(bench_.now + seconds(50), true), 0u) << "no more than the reserve";
  ServerLink& second = bench_.opened(pool_);
  // As long as anybody waits it is used like the others; the first one too many then goes.
  for (int i = 1; i < 5; ++i) EXPECT_EQ(release(*pool_, second), Released::give) << i;
  EXPECT_EQ(release(*pool_, first), Released::close);
  EXPECT_EQ(release(*pool_, second), Released::parked);
  pool_->closed(true);
  EXPECT_TRUE(pool_->retire(second));
  pool_->closed();
}

TEST_F(Reserve, is_not_used_without_a_timeout) {
  const auto pool = make(milliseconds(0));
  pool->acquire(tickets_[0], bench_.now);
  pool->acquire(tickets_[1], bench_.now);
  EXPECT_EQ(pool->plan(bench_.now + seconds(1000), true), 0u);
  pool->withdraw(tickets_[0]);
  pool->withdraw(tickets_[1]);
  pool->open_abandoned();
}

// ---------------------------------------------------------------- limits that pools share

class SharedLimit : public PoolTest {
 protected:
  std::shared_ptr<Quota> quota_ = std::make_shared<Quota>("max_db_connections of app", 2);
  std::shared_ptr<Pool> limited(std::uint32_t min = 0, std::uint32_t weight = 1) {
    Pool::Setup setup = PoolBench::setup(5);
    setup.quotas = {quota_};
    setup.settings.min_pool_size = min;
    setup.settings.pool_weight = weight;
    return bench_.pool(setup);
  }
};

TEST_F(SharedLimit, is_never_exceeded) {
  const auto a = limited();
  const auto b = limited();
  EXPECT_EQ(a->acquire(tickets_[0], bench_.now).open, 1u);
  EXPECT_EQ(b->acquire(tickets_[1], bench_.now).open, 1u);
  const auto third = b->acquire(tickets_[2], bench_.now);
  EXPECT_EQ(third.open, 0u);
  EXPECT_EQ(third.starved_by, quota_);
  EXPECT_FALSE(a->reserve_login());
  EXPECT_EQ(quota_->count(), 2u);
  a->withdraw(tickets_[0]);
  a->open_abandoned();
  EXPECT_EQ(quota_->count(), 1u);
  const auto starved = quota_->take_starved();
  ASSERT_EQ(starved.size(), 1u);
  EXPECT_EQ(starved[0], b);
  EXPECT_EQ(b->plan(bench_.now, true), 1u);
  b->withdraw(tickets_[1]);
  b->withdraw(tickets_[2]);
}

TEST_F(SharedLimit, of_two_gives_back_the_first_when_the_second_refuses) {
  const auto other = std::make_shared<Quota>("max_user_connections of u", 1);
  Pool::Setup setup = PoolBench::setup(5);
  setup.quotas = {quota_, other};
  const auto pool = bench_.pool(setup);
  pool->acquire(tickets_[0], bench_.now);
  pool->acquire(tickets_[1], bench_.now);
  EXPECT_EQ(quota_->count(), 1u);
  EXPECT_EQ(other->count(), 1u);
  pool->withdraw(tickets_[0]);
  pool->withdraw(tickets_[1]);
}

TEST_F(SharedLimit, a_free_link_is_closed_for_the_sake_of_a_pool_that_waits) {
  const auto a = limited();
  const auto b = limited();
  ASSERT_TRUE(a->reserve_login() && a->reserve_login());
  ServerLink& link = bench_.opened(a);
  bench_.opened(a);
  b->acquire(tickets_[0], bench_.now);
  EXPECT_EQ(release(*a, link), Released::close);
  b->withdraw(tickets_[0]);
}

// Where both have waiters, who waits for longer is served, even if a link has to move for that.
TEST_F(SharedLimit, a_pool_that_has_none_gets_the_link_of_one_with_younger_waiters) {
  const auto a = limited();
  const auto b = limited();
  ASSERT_TRUE(a->reserve_login() && a->reserve_login());
  ServerLink& link = bench_.opened(a);
  bench_.opened(a);
  b->acquire(tickets_[0], bench_.now);
  a->acquire(tickets_[1], bench_.now + milliseconds(1));
  a->acquire(tickets_[2], bench_.now + milliseconds(1));
  bench_.now += milliseconds(99);
  EXPECT_EQ(release(*a, link), Released::give) << "not for every short wait";
  bench_.now += milliseconds(1);
  EXPECT_EQ(release(*a, link), Released::close);
  a->closed(true);
  ASSERT_EQ(quota_->take_starved().front(), b);
  EXPECT_EQ(b->plan(bench_.now, true), 1u);
  b->withdraw(tickets_[0]);
  a->withdraw(tickets_[2]);
}

TEST_F(SharedLimit, a_pool_that_has_as_many_waits_for_its_own) {
  const auto a = limited();
  const auto b = limited();
  ASSERT_TRUE(a->reserve_login() && b->reserve_login());
  ServerLink& link = bench_.opened(a);
  bench_.opened(b);
  b->acquire(tickets_[0], bench_.now);
  a->acquire(tickets_[1], bench_.now + milliseconds(1));
  bench_.now += seconds(10);
  EXPECT_EQ(release(*a, link), Released::give);
  b->withdraw(tickets_[0]);
}

// A pool of weight 2 has two of three.
TEST_F(SharedLimit, is_shared_by_weight) {
  quota_->set_max(3);
  const auto heavy = limited(0, 2);
  const auto light = limited();
  ASSERT_TRUE(heavy->reserve_login() && light->reserve_login() && light->reserve_login());
  ServerLink& first = bench_.opened(light);
  bench_.opened(light);
  ServerLink& of_heavy = bench_.opened(heavy);
  heavy->acquire(tickets_[0], bench_.now);
  heavy->acquire(tickets_[1], bench_.now);
  light->acquire(tickets_[2], bench_.now + milliseconds(1));
  light->acquire(tickets_[3], bench_.now + milliseconds(1));
  bench_.now += seconds(10);
  EXPECT_EQ(release(*light, first), Released::close)
      << "1 and 1 of 3 are too few for the heavy one";
  light->closed(true);
  ASSERT_EQ(quota_->take_starved().front(), heavy);
  EXPECT_EQ(heavy->plan(bench_.now, true), 1u);
  ServerLink& second = bench_.opened(heavy);
  bench_.now += seconds(10);
  EXPECT_EQ(release(*heavy, second), Released::give) << "2 and 1 are as it should be";
  EXPECT_EQ(release(*heavy, of_heavy), Released::give);
  light->withdraw(tickets_[2]);
  light->withdraw(tickets_[3]);
}

TEST_F(SharedLimit, of_several_starved_pools_that_of_the_oldest_waiter_is_fed_first) {
  const auto a = limited();
  const auto b = limited();
  const auto c = limited();
  ASSERT_TRUE(a->reserve_login() && a->reserve_login());
  b->acquire(tickets_[0], bench_.now + milliseconds(2));
  c->acquire(tickets_[1], bench_.now + milliseconds(1));
  EXPECT_THAT(quota_->take_starved(), ::testing::ElementsAre(c, b));
  b->withdraw(tickets_[0]);
  c->withdraw(tickets_[1]);
}

// Two pools with a minimum would take each other's links away for ever.
TEST_F(SharedLimit, nobody_else_gives_up_a_link_for_a_mere_minimum) {
  const auto a = limited(2);
  const auto b = limited(2);
  EXPECT_EQ(a->plan(bench_.now, true), 2u);
  std::shared_ptr<Quota> starved_by;
  EXPECT_EQ(b->plan(bench_.now, true, &starved_by), 0u);
  EXPECT_EQ(starved_by, nullptr);
  EXPECT_FALSE(quota_->any_starved());
}

}  // namespace
}  // namespace forebay::core
