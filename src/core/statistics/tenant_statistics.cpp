#include "core/statistics/tenant_statistics.hpp"

#include <algorithm>
#include <array>

namespace forebay::core {
namespace {

/// What a tenant used counts less with each report, so that what it did long ago keeps no place.
constexpr std::uint64_t kFades = 16;

constexpr std::array kMembers = {
    std::pair(&TenantCounts::statements, &TenantCounters::statements),
    std::pair(&TenantCounts::errors, &TenantCounters::errors),
    std::pair(&TenantCounts::wait, &TenantCounters::wait),
    std::pair(&TenantCounts::server, &TenantCounters::server),
    std::pair(&TenantCounts::received_bytes, &TenantCounters::received_bytes),
    std::pair(&TenantCounts::sent_bytes, &TenantCounters::sent_bytes),
    std::pair(&TenantCounts::refused, &TenantCounters::refused),
};

}  // namespace

TenantCounts& TenantCounts::operator+=(const TenantCounts& other) noexcept {
  for (const auto& member : kMembers) this->*member.first += other.*member.first;
  return *this;
}

TenantCounts& TenantCounts::operator-=(const TenantCounts& other) noexcept {
  for (const auto& member : kMembers) this->*member.first -= other.*member.first;
  return *this;
}

TenantStatistics::~TenantStatistics() {
  for (std::size_t i = 0; i < workers_; ++i) delete counters_[i].load();
}

TenantCounters& TenantStatistics::of(WorkerId worker) {
  Place& place = counters_[worker.value()];
  if (place.load(std::memory_order_relaxed) == nullptr) {
    place.store(std::make_unique<TenantCounters>().release(), std::memory_order_release);
  }
  return *place.load(std::memory_order_relaxed);
}

TenantCounts TenantStatistics::sum() const noexcept {
  TenantCounts all;
  for (std::size_t i = 0; i < workers_; ++i) {
    const TenantCounters* counters = counters_[i].load(std::memory_order_acquire);
    if (counters == nullptr) continue;
    for (const auto& member : kMembers) all.*member.first += (counters->*member.second).value();
  }
  return all;
}

std::shared_ptr<TenantStatistics> TenantDirectory::find_or_make(const std::string& tenant) {
  const std::lock_guard lock(mutex_);
  const bool room = entries_.size() < kTenantsMax || entries_.contains(tenant);
  Entry& entry = entries_[room ? tenant : kOther];
  if (entry.statistics == nullptr) entry.statistics = std::make_shared<TenantStatistics>(workers_);
  return entry.statistics;
}

std::vector<TenantRow> TenantDirectory::report() const {
  const std::lock_guard lock(mutex_);
  std::vector<TenantRow> rows;
  for (const auto& [tenant, entry] : entries_) {
    rows.push_back({tenant, entry.statistics->clients.load(), entry.statistics->sum()});
  }
  return rows;
}

std::vector<TenantRow> TenantDirectory::leaders(std::size_t max) {
  const std::lock_guard lock(mutex_);
  // Who is new takes a free place at once, so that all of a few tenants' numbers are whole.
  for (auto& [tenant, entry] : entries_) {
    if (entry.known) continue;
    entry.known = true;
    entry.leads = leaders_ < max && tenant != kOther;
    if (entry.leads) ++leaders_;
  }
  follow();
  choose(max);
  std::vector<TenantRow> rows;
  TenantRow other{kOther, 0, others_};
  for (const auto& [tenant, entry] : entries_) {
    const std::uint32_t clients = entry.statistics->clients.load();
    if (entry.leads) {
      rows.push_back({tenant, clients, entry.own});
    } else {
      other.clients += clients;
    }
  }
  if (!entries_.empty()) rows.push_back(std::move(other));
  return rows;
}

// What each did since the last time goes to where it stood meanwhile.
void TenantDirectory::follow() {
  for (auto& [tenant, entry] : entries_) {
    const TenantCounts now = entry.statistics->sum();
    TenantCounts more = now;
    more -= entry.seen;
    entry.seen = now;
    entry.heat += more.wait + more.server + more.statements - entry.heat / kFades;
    (entry.leads ? entry.own : others_) += more;
  }
}

// Who is not among them has to use twice as much as one who is.
void TenantDirectory::choose(std::size_t max) {
  std::vector<std::pair<std::uint64_t, Entry*>> order;
  for (auto& [tenant, entry] : entries_) {
    if (tenant == kOther) continue;
    order.emplace_back(entry.leads ? 2 * entry.heat + 1 : entry.heat, &entry);
  }
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [](const auto& one) { return one.first; });
  leaders_ = std::min(max, order.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i].second->leads = i < leaders_;
}

}  // namespace forebay::core
