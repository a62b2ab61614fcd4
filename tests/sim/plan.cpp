#include <chrono>

#include "sim/simulation.hpp"

namespace forebay::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

Plan make_plan(Random& random) {
  Plan plan;
  config::Config& config = plan.config;
  config = plain_config();
  constexpr config::PoolMode kModes[] = {
      config::PoolMode::transaction, config::PoolMode::transaction, config::PoolMode::transaction,
      config::PoolMode::session, config::PoolMode::statement};
  config.pool.pool_mode = kModes[random.below(5)];
  config.pool.pool_size = static_cast<std::uint32_t>(1 + random.below(4));
  if (random.chance(20)) config.pool.min_pool_size = 1;
  config.pool.server_round_robin = random.chance(40);
  config.pool.query_wait_timeout = milliseconds(0);
  config.pool.query_wait_notify = milliseconds(0);
  if (random.chance(30)) config.pool.server_idle_timeout = seconds(random.below(5));
  if (random.chance(30)) config.pool.server_lifetime = seconds(1 + random.below(20));
  config.client_login_timeout = milliseconds(0);
  config.server_check_delay = seconds(random.chance(50) ? random.below(3) : 30);
  if (random.chance(30))
    config.max_prepared_statements = static_cast<std::uint32_t>(1 + random.below(3));
  config.max_connecting = static_cast<std::uint32_t>(1 + random.below(3));
  plan.users = {"u"};
  if (random.chance(30)) plan.users.push_back("v");
  if (random.chance(30)) {
    config.databases["app"].max_db_connections = static_cast<std::uint32_t>(1 + random.below(4));
  }
  if (random.chance(20)) plan.servers.newest = pg::kProtocol3_0;
  plan.workers = 1 + random.below(3);
  plan.clients = 1 + random.below(10);
  plan.at_a_time = 1 + random.below(8);
  plan.faults = random.chance(30);
  plan.babble = plan.faults && random.chance(30);
  plan.drain = random.chance(10);
  plan.jumps = plan.faults && random.chance(50);
  if (random.chance(30)) plan.client_window = 1 + random.below(100);
  if (random.chance(20)) plan.server_window = 1 + random.below(100);
  if (random.chance(25))
    config.max_host_connections = static_cast<std::uint32_t>(1 + random.below(3));
  config::StatementLimits& statements = config.databases["app"].statements;
  statements.max_waiting_statements = 1000;  // so that nothing is refused
  if (random.chance(20)) {
    statements.max_statements = static_cast<std::uint32_t>(1 + random.below(3));
  }
  if (random.chance(10)) {
    statements.max_statements_per_second = static_cast<std::uint32_t>(20 + random.below(200));
    statements.statement_burst = static_cast<std::uint32_t>(1 + random.below(5));
  }
  Random bytes = random;  // so that the seeds mean what they meant
  if (bytes.chance(15)) {
    statements.max_bytes_per_second = config::ByteSize(2'000 + bytes.below(20'000));
  }
  plan.keeps = bytes.chance(40);
  if (plan.keeps && bytes.chance(50)) config.pool.shared_listen = true;
  return plan;
}

config::Config changed_config(const Plan& plan, Random& random) {
  config::Config config = plan.config;
  config.pool.pool_size = static_cast<std::uint32_t>(1 + random.below(5));
  config.pool.min_pool_size = static_cast<std::uint32_t>(random.below(2));
  config.pool.server_round_robin = random.chance(50);
  config.max_connecting = static_cast<std::uint32_t>(1 + random.below(3));
  config.max_prepared_statements = static_cast<std::uint32_t>(random.below(4));
  config::Database& database = config.databases["app"];
  database.max_db_connections = static_cast<std::uint32_t>(random.below(5));
  config.max_host_connections = static_cast<std::uint32_t>(random.below(4));
  database.statements.max_statements = static_cast<std::uint32_t>(random.below(4));
  if (random.chance(40)) database.hosts = {{"db2", 5432}};
  if (random.chance(20)) database.dbname = "another";
  return config;
}

std::string Plan::text() const {
  constexpr const char* kModes[] = {"session", "transaction", "statement"};
  std::string text = std::string("mode ") + kModes[static_cast<int>(*config.pool.pool_mode)];
  text += ", pool_size " + std::to_string(*config.pool.pool_size);
  text += ", workers " + std::to_string(workers) + ", clients " + std::to_string(clients);
  text += ", at a time " + std::to_string(at_a_time);
  text += ", users " + std::to_string(users.size());
  text += ", limit " + std::to_string(config.databases.at("app").max_db_connections);
  const config::StatementLimits& limits = config.databases.at("app").statements;
  text += ", statements " + std::to_string(limits.max_statements) + " at a time, " +
          std::to_string(limits.max_statements_per_second) + " per second, bytes " +
          std::to_string(limits.max_bytes_per_second.value());
  text += ", of a host " + std::to_string(config.max_host_connections);
  text += ", statements " + std::to_string(config.max_prepared_statements);
  if (faults) text += ", faults";
  if (babble) text += ", babble";
  if (drain) text += ", drain";
  if (keeps) text += ", keeps";
  if (config.pool.shared_listen.value_or(false)) text += ", shared_listen";
  if (reloads) text += ", reloads";
  if (jumps) text += ", jumps";
  if (client_window != SIZE_MAX) text += ", client window " + std::to_string(client_window);
  if (server_window != SIZE_MAX) text += ", server window " + std::to_string(server_window);
  return text;
}

}  // namespace forebay::test
