#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/mail.hpp"
#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "metrics/json.hpp"
#include "metrics/metrics.hpp"
#include "support/list_journal.hpp"

/// What a scrape asks of the workers: nothing. It reads what they have counted.
namespace forebay::test {
namespace {

class CountingCourier final : public core::Courier {
 public:
  void send(core::WorkerId, core::Mail) override { ++letters; }
  std::size_t letters = 0;
};

TEST(Scrape, asks_no_worker_for_anything) {
  ListJournal journal;
  core::Shared shared(2, journal);
  CountingCourier courier;
  shared.courier = &courier;
  for (int i = 0; i < 5'000; ++i) {
    shared.tenants.find_or_make(std::to_string(i))->of(core::WorkerId(1)).statements.add();
  }
  const std::string first = metrics::render(shared, {});
  EXPECT_EQ(courier.letters, 0u);
  EXPECT_NE(first.find("forebay_tenant_statements_total{tenant=\"other\"} 4950"),
            std::string::npos);
  EXPECT_LT(first.size(), 100'000u);
}

TEST(Scrape, a_host_of_two_clusters_has_a_series_for_each) {
  ListJournal journal;
  core::Shared shared(1, journal);
  const Endpoint a{"a", 1};
  const Endpoint b{"b", 2};
  for (const auto& hosts : {std::vector{a, b}, std::vector{b, a}}) {
    core::Cluster::View view;
    view.hosts.resize(2);
    view.hosts[0].up = true;
    shared.pools.cluster_of(hosts)->publish(std::move(view));
  }
  const std::string text = metrics::render(shared, {});
  for (const char* line :
       {"host_up{cluster=\"a:1,b:2\",host=\"a:1\"} 1\n",
        "host_up{cluster=\"b:2,a:1\",host=\"a:1\"} 0\n", "failovers_total{cluster=\"a:1,b:2\"} 0\n",
        "failovers_total{cluster=\"b:2,a:1\"} 0\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(Scrape, who_waits_for_a_replica_is_no_idle_client) {
  ListJournal journal;
  core::Shared shared(1, journal);
  core::Runtime runtime;
  runtime.config.pgbouncer_metrics = true;
  runtime.config.auth = config::AuthMethod::trust;
  config::Database& entry = runtime.config.databases["app"];
  entry.hosts = {Endpoint{"a", 1}, Endpoint{"b", 2}};
  entry.pool.split_reads = true;
  entry.pool.pool_mode = config::PoolMode::transaction;
  const auto pool = shared.pools.find_or_make(runtime, "app", "u");
  ASSERT_EQ(pool->readers().size(), 2u);
  for (int i = 0; i < 3; ++i) pool->client_came();
  core::Ticket ticket;
  ASSERT_EQ(pool->readers()[1]->acquire(ticket, std::chrono::steady_clock::now()).kind,
            core::Pool::Acquired::Kind::wait);
  const std::string text = metrics::render(shared, {.runtime = &runtime});
  for (const char* line :
       {"forebay_pool_clients{database=\"app\",user=\"u\",replica=\"2\",state=\"waiting\"} 1\n",
        "forebay_pool_clients{database=\"app\",user=\"u\",state=\"waiting\"} 0\n",
        "forebay_pool_clients{database=\"app\",user=\"u\",state=\"idle\"} 2\n",
        "pgbouncer_pools_client_active_connections{database=\"app\",user=\"u\"} 2\n",
        "pgbouncer_pools_client_waiting_connections{database=\"app\",user=\"u\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  EXPECT_NE(
      metrics::pools_json(shared, {.runtime = &runtime}).find("\"user\":\"u\",\"replica\":2,"),
      std::string::npos);
  EXPECT_TRUE(pool->readers()[1]->withdraw(ticket));
  pool->readers()[1]->open_abandoned();
  for (int i = 0; i < 3; ++i) pool->client_went();
}

TEST(Scrape, limits_of_one_kind_crowd_out_no_other) {
  ListJournal journal;
  core::Shared shared(1, journal);
  for (int i = 0; i < 600; ++i) {
    const std::string name = "database " + std::to_string(i);
    shared.statement_limits.find_or_make(name, name, {.max_statements = 5}, Instant{});
  }
  core::Runtime runtime;
  runtime.config.max_address_client_connections = 7;
  const std::string text = metrics::render(shared, {.runtime = &runtime});
  EXPECT_NE(text.find("limit_max{limit=\"max_address_client_connections\""), std::string::npos);
  EXPECT_NE(text.find("limit=\"max_statements\",of=\"database 0\""), std::string::npos);
  EXPECT_EQ(text.find("limit=\"max_statements\",of=\"database 599\""), std::string::npos);
}

TEST(Scrape, every_label_is_utf8) {
  ListJournal journal;
  core::Shared shared(1, journal);
  shared.tenants.find_or_make("a\xff\"\xc3\xa9\xc3")->of(core::WorkerId(0)).statements.add();
  const std::string line = "tenant_statements_total{tenant=\"a\\\\xff\\\"\xc3\xa9\\\\xc3\"} 1\n";
  EXPECT_NE(metrics::render(shared, {}).find(line), std::string::npos);
}

}  // namespace
}  // namespace forebay::test
