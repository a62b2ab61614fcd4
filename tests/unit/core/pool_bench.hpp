#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/pool/pool.hpp"
#include "support/world.hpp"

namespace forebay::core {

/// Pools without engines behind them: links that were never opened stand for open ones.
class PoolBench {
 public:
  static Pool::Setup setup(std::uint32_t size = 2, std::size_t workers = 1) {
    Pool::Setup setup;
    setup.key = {"app", "u"};
    setup.target.hosts = {test::kHost};
    setup.settings.pool_size = size;
    setup.workers = workers;
    setup.credential = auth::Credential{auth::NoCredential{}};
    return setup;
  }

  std::shared_ptr<Pool> pool(Pool::Setup setup) { return std::make_shared<Pool>(std::move(setup)); }

  /// A link that the pool has told somebody to open, and that is open now.
  ServerLink& opened(const std::shared_ptr<Pool>& pool) {
    pool->opened(now);
    return link(pool);
  }
  ServerLink& link(const std::shared_ptr<Pool>& pool) {
    links_.push_back(std::make_unique<ServerLink>(world_.engine(), pool));
    return *links_.back();
  }
  static Ticket& ticket(Ticket& ticket, std::uint16_t worker, std::uint32_t slot) {
    ticket.session = {WorkerId(worker), slot, 1};
    return ticket;
  }

  Instant now{std::chrono::hours(1)};

 private:
  test::World world_;
  std::vector<std::unique_ptr<ServerLink>> links_;
};

}  // namespace forebay::core
