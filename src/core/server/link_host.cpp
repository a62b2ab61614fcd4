#include <algorithm>
#include <vector>

#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"

// What becomes of a link when its host is not any more what it was opened for.
namespace forebay::core {

bool ServerLink::worn(Instant now) const noexcept {
  return fenced() || left_behind() || relay_.poisoned || relay_.expected.doubtful() ||
         !relay_.at_rest() || !received_.empty() || !unsent_.empty() || ended_ || outdated_ ||
         now >= expires_;
}

void ServerLink::reconsider() noexcept {
  const PoolTarget& target = pool_->target();
  const auto listed = std::find(target.hosts.begin(), target.hosts.end(), host_);
  outdated_ = moved_ || generation_ != target.generation || listed == target.hosts.end();
  const auto& all = target.read_cluster == nullptr ? target.hosts : target.read_cluster->hosts();
  removed_ = std::ranges::find(all, host_) == all.end();
  // Another list is another cluster, whose fence holds from here on.
  if (!outdated_ && !fenced()) {
    watch_fence(target, static_cast<std::size_t>(listed - target.hosts.begin()));
  }
}

void ServerLink::host_moved(const std::vector<std::string>& addresses) {
  if (stream_ == nullptr) return;
  const std::string address = stream_->peer().address;
  if (phase_ == Phase::opening && address.empty()) {
    connect();  // it may be trying to reach an address that is gone
    return;
  }
  moved_ = std::ranges::find(addresses, address) == addresses.end();
  reconsider();
}

void ServerLink::watch_fence(const PoolTarget& target, std::size_t host) noexcept {
  const auto& cluster = target.member_of();
  gate_ = cluster == nullptr ? nullptr : &cluster->gate(target.member(host));
  fence_seen_ = gate_ == nullptr ? 0 : gate_->fence.load(std::memory_order_acquire);
}

void ServerLink::give_up() {
  if (phase_ == Phase::opening) stream_.reset();
  const PoolTarget& target = pool_->target();
  const auto listed = std::find(target.hosts.begin(), target.hosts.end(), host_);
  const auto& cluster = target.member_of();
  if (cluster != nullptr && listed != target.hosts.end()) {
    const auto host = target.member(static_cast<std::size_t>(listed - target.hosts.begin()));
    const auto order = cluster->order(host);
    if (order != nullptr && order->standing == routing::Standing::banned) {
      return on_lost("server \"" + to_string(host_) + "\" was " +
                     to_string(*order, engine_->now()));
    }
  }
  on_lost("the server is not the primary any more, or does not answer");
}

// As a standby does.
void ServerLink::refused_write() {
  engine_->suspect(*pool_);
  if (on_standby()) pool_->standby_refused(engine_->now());
}

// It rested, and does not answer: nor would those of its host that have not been heard from since.
void ServerLink::close_alike() {
  std::vector<ServerLink*> alike;
  engine_->each_link([&](ServerLink& other) {
    if (other.phase_ == Phase::parked && other.pool_ == pool_ && other.host_ == host_ &&
        other.parking_.since <= parking_.since) {
      alike.push_back(&other);
    }
  });
  for (ServerLink* other : alike) {
    if (pool_->retire(*other)) other->close();
  }
}

bool ServerLink::on_standby() const noexcept {
  const std::string* value = relay_.reported.find("in_hot_standby");
  return value != nullptr && *value == "on";
}

}  // namespace forebay::core
