#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/console/console.hpp"
#include "core/engine/client_limits.hpp"
#include "core/engine/counters.hpp"
#include "core/engine/failover_hold.hpp"
#include "core/engine/journal.hpp"
#include "core/engine/listener_names.hpp"
#include "core/engine/server_ids.hpp"
#include "core/engine/statement_limit.hpp"
#include "core/engine/tenant_orders.hpp"
#include "core/explain/plan_budget.hpp"
#include "core/lookup/secret_cache.hpp"
#include "core/pool/pool_directory.hpp"
#include "core/relay/parameter_set.hpp"
#include "core/relay/statement_catalog.hpp"
#include "core/statistics/host_book.hpp"
#include "core/statistics/label_names.hpp"
#include "core/statistics/measures.hpp"
#include "core/statistics/pool_leaders.hpp"
#include "core/statistics/statement_leaders.hpp"
#include "core/statistics/tenant_learning.hpp"
#include "core/statistics/tenant_statistics.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/config/difference.hpp"

namespace forebay::core {

class Consoles;
class Courier;

/// The process as a whole, for those who steer it from a connection.
class Control {
 public:
  virtual ~Control() = default;
  /// Reads the configuration again. Any thread; `done` is called on another one.
  virtual void reload(std::function<void(const config::Reloaded&)> done) = 0;
  /// The same with another value for one key, until the next reload.
  virtual void set(std::string name, std::string value,
                   std::function<void(const config::Reloaded&)> done) = 0;
  /// Any thread.
  [[nodiscard]] virtual std::vector<NamedHost> named_hosts() const = 0;
  /// Any thread. `mail::Answered` follows, to the console with this number of that worker.
  virtual void request(ControlRequest request, WorkerId from, std::uint64_t console) = 0;
};

/// How reloads went. Written by the control thread.
struct ReloadCounters {
  Counter applied;
  Counter failed;
  std::atomic<bool> last_applied{true};    ///< of the last attempt; the start counts
  std::atomic<std::int64_t> last_time{0};  ///< when the configuration in use was read, in Unix time
};

/// What all engines of the process share. Outlives them.
struct Shared {
  Shared(std::size_t worker_count, Journal& the_journal)
      : workers(worker_count),
        pools(worker_count),
        journal(the_journal),
        counters(worker_count),
        measures(worker_count),
        tenants(worker_count) {}

  const std::size_t workers;
  ParameterSets parameter_sets;
  StatementCatalog statements;
  PoolDirectory pools;
  Journal& journal;
  Courier* courier = nullptr;
  Consoles* consoles = nullptr;  ///< null: the console's databases do not exist
  Control* control = nullptr;    ///< null in tests
  /// Where cancel requests go that are for nobody here: to the processes, one after another, whose
  /// place this one took.
  std::vector<Endpoint> predecessors;
  ReloadCounters reloads;

  /// Of each worker, by its id. They outlive the engines, for whoever reads them.
  std::vector<Counters> counters;
  std::vector<Measures> measures;

  /// Clients beyond their start-up message, against max_client_conn.
  std::atomic<std::uint32_t> clients{0};
  ClientLimits client_limits;
  ServerIds server_ids;
  FailoverHold failover_hold;
  LoginRates login_rates;
  ListenerNames listeners;
  TenantDirectory tenants;
  TenantOrderBook tenant_orders;
  TenantLearnings learning;
  StatementLeaders statement_leaders;
  PoolLeaders pool_leaders;
  HostBook hosts;
  PlanBudget plans;
  LabelNames pgbouncer_databases{kPoolRowsMax};
  SecretCache secrets;  ///< what auth_query has answered
  StatementLimitDirectory statement_limits;
  StatementLimitDirectory link_limits;  ///< max_tenant_connections: a place is a link
  /// The console whose order it is that nothing is read, or is about to be; 0: none.
  std::atomic<std::uint64_t> suspended_by{0};
  std::atomic<std::uint32_t> authenticating_clients{0};
  std::atomic<std::uint32_t> console_clients{0};
  std::atomic<std::uint64_t> next_serial{1};
};

}  // namespace forebay::core
