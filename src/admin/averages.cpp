#include "admin/averages.hpp"

namespace forebay::admin {
namespace {

std::uint64_t& at(Totals& totals, Total which) {
  return totals[static_cast<std::size_t>(which)];
}

}  // namespace

TotalsByDatabase totals(const core::Shared& shared) {
  using C = core::PoolCounters;
  TotalsByDatabase all;
  for (const auto& [key, statistics] : shared.pools.statistics()) {
    Totals& sums = all[key.database];
    at(sums, Total::assignments) += statistics->sum(&C::assignments);
    at(sums, Total::transactions) += statistics->sum(&C::transactions);
    at(sums, Total::queries) += statistics->sum(&C::statements);
    at(sums, Total::received) += statistics->sum(&C::client_bytes);
    at(sums, Total::sent) += statistics->sum(&C::server_bytes);
    at(sums, Total::transaction_time) += statistics->sum(&C::transaction_server);
    at(sums, Total::query_time) += statistics->sum(&C::statement_server);
    at(sums, Total::wait_time) += statistics->sum(&C::wait);
    at(sums, Total::client_parses) += statistics->sum(&C::client_parses);
    at(sums, Total::server_parses) += statistics->sum(&C::server_parses);
    at(sums, Total::binds) += statistics->sum(&C::binds);
  }
  return all;
}

void Averages::tick(const core::Shared& shared, Instant now) {
  const std::lock_guard lock(mutex_);
  if (begun_ != Instant{} && now - begun_ < kPeriod) return;
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(now - begun_);
  const bool first = begun_ == Instant{};
  begun_ = now;
  TotalsByDatabase current = totals(shared);
  if (!first) {
    averages_.clear();
    for (auto& [database, sums] : current) {
      const Totals& before = before_[database];
      Totals& average = averages_[database];
      Totals grown{};
      for (std::size_t i = 0; i < sums.size(); ++i) grown[i] = sums[i] - before[i];
      const auto micros = static_cast<std::uint64_t>(elapsed.count());
      for (std::size_t i = 0; i < sums.size(); ++i) average[i] = grown[i] * 1'000'000 / micros;
      const auto each = [&](Total time, Total what) {
        const std::uint64_t count = at(grown, what);
        at(average, time) = count == 0 ? 0 : at(grown, time) / count;
      };
      each(Total::transaction_time, Total::transactions);
      each(Total::query_time, Total::queries);
      each(Total::wait_time, Total::assignments);
    }
  }
  before_ = std::move(current);
}

Totals Averages::of(const std::string& database) const {
  const std::lock_guard lock(mutex_);
  const auto found = averages_.find(database);
  return found == averages_.end() ? Totals{} : found->second;
}

}  // namespace forebay::admin
