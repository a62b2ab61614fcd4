#include "core/pool/cluster.hpp"

#include <algorithm>
#include <utility>

namespace forebay::core {
namespace {

bool alike(const routing::HostView& one, const routing::HostView& other) {
  return one.role == other.role && one.up == other.up && one.fenced == other.fenced &&
         one.order == other.order;
}

}  // namespace

bool Cluster::listed(const config::Config& config) const {
  return std::ranges::any_of(config.databases,
                             [this](const auto& entry) { return entry.second.hosts == hosts_; });
}

std::shared_ptr<const Cluster::View> Cluster::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

void Cluster::publish(View view, Instant now) {
  auto made = std::make_shared<const View>(std::move(view));
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < std::min(made->hosts.size(), states_.size()); ++i) {
    const routing::HostView* before = i < view_->hosts.size() ? &view_->hosts[i] : nullptr;
    if (before != nullptr && alike(*before, made->hosts[i])) continue;
    states_[i].past.since = now;
    if (before != nullptr && before->up && !made->hosts[i].up) ++states_[i].past.downs;
  }
  view_.swap(made);
  // Behind the view: who sees the number finds at least that view.
  version_.fetch_add(1, std::memory_order_release);
}

Cluster::Past Cluster::past(std::size_t host) const {
  const std::lock_guard lock(mutex_);
  return states_[host].past;
}

void Cluster::order(std::size_t host, std::shared_ptr<const routing::HostOrder> order) {
  State& state = states_[host];
  const std::lock_guard lock(mutex_);
  state.gate.shut.store(order != nullptr && order->shuts(), std::memory_order_release);
  const bool bans = order != nullptr && order->standing == routing::Standing::banned;
  const bool banned = state.order != nullptr && state.order->standing == routing::Standing::banned;
  if (bans && !banned) raise_fence(host);
  state.order = std::move(order);
}

std::shared_ptr<const routing::HostOrder> Cluster::order(std::size_t host) const {
  const std::lock_guard lock(mutex_);
  return states_[host].order;
}

std::shared_ptr<const routing::PatroniWord> Cluster::patroni() const {
  const std::lock_guard lock(mutex_);
  return patroni_;
}

void Cluster::hear(std::shared_ptr<const routing::PatroniWord> word) {
  const std::lock_guard lock(mutex_);
  patroni_.swap(word);
}

std::vector<Cluster::Source> Cluster::sources() const {
  const std::lock_guard lock(mutex_);
  return sources_;
}

void Cluster::set_sources(std::vector<Source> sources) {
  const std::lock_guard lock(mutex_);
  sources_.swap(sources);
}

}  // namespace forebay::core
