#include "core/engine/tenant_orders.hpp"

#include <ctime>

namespace forebay::core {

std::string moment_of(std::int64_t unix_time) {
  const std::time_t seconds = unix_time;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

std::string TenantOrders::Order::words() const {
  return (until > 0 ? " until " + moment_of(until) : "") + (reason.empty() ? "" : ": " + reason);
}

std::shared_ptr<const TenantOrderBook::All> TenantOrderBook::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

bool TenantOrderBook::change(const std::string& tenant, const Change& change,
                             const std::function<void(const TenantOrders&)>& then) {
  const std::lock_guard lock(mutex_);
  if (all_->size() >= kTenantsMax && !all_->contains(tenant)) return false;
  auto all = std::make_shared<All>(*all_);
  TenantOrders& orders = (*all)[tenant];
  change(orders);
  const TenantOrders now = orders;
  if (now.none()) all->erase(tenant);
  all_ = std::move(all);
  version_.fetch_add(1, std::memory_order_release);
  then(now);
  return true;
}

TenantOrderCounts TenantOrderBook::given() const noexcept {
  TenantOrderCounts counts{};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = given_[i].load(std::memory_order_relaxed);
  }
  return counts;
}

TenantOrderCounts TenantOrderBook::in_force() const {
  TenantOrderCounts counts{};
  const std::shared_ptr<const All> held = all();
  for (const auto& [tenant, orders] : *held) {
    std::size_t kind = 0;
    for (const auto* order : {&orders.ban, &orders.pause, &orders.limit}) {
      counts[kind++] += order->has_value() ? 1 : 0;
    }
  }
  return counts;
}

std::vector<std::string> TenantOrderBook::over(Instant now) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> tenants;
  for (const auto& [tenant, orders] : *all_) {
    for (const auto* order : {&orders.ban, &orders.pause, &orders.limit}) {
      if (*order && (*order)->over(now)) {
        tenants.push_back(tenant);
        break;
      }
    }
  }
  return tenants;
}

const TenantOrders* TenantOrdersReader::of(std::string_view tenant) {
  if (const std::uint64_t version = book_.version(); version != version_) {
    all_ = book_.all();
    version_ = version;
  }
  if (all_ == nullptr || all_->empty()) return nullptr;
  const auto found = all_->find(tenant);
  return found == all_->end() ? nullptr : &found->second;
}

}  // namespace forebay::core
