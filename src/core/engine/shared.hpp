#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/engine/counters.hpp"
#include "core/engine/journal.hpp"
#include "core/pool/pool_directory.hpp"
#include "core/relay/parameter_set.hpp"
#include "core/relay/statement_catalog.hpp"

namespace forebay::core {

class Courier;

/// What all engines of the process share. Outlives them.
struct Shared {
  Shared(std::size_t worker_count, Journal& the_journal)
      : workers(worker_count), pools(worker_count), journal(the_journal), counters(worker_count) {}

  const std::size_t workers;
  ParameterSets parameter_sets;
  StatementCatalog statements;
  PoolDirectory pools;
  Journal& journal;
  Courier* courier = nullptr;

  /// Of each worker, by its id. They outlive the engines, for whoever reads them.
  std::vector<Counters> counters;

  /// Clients beyond their start-up message, against max_client_conn.
  std::atomic<std::uint32_t> clients{0};
  std::atomic<std::uint64_t> next_serial{1};
};

}  // namespace forebay::core
