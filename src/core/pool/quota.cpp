#include "core/pool/quota.hpp"

#include <algorithm>

#include "core/pool/pool.hpp"

namespace forebay::core {
namespace {

bool same(const std::weak_ptr<const Pool>& a, const std::weak_ptr<const Pool>& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

}  // namespace

void Quota::add_starved(Needy needy) {
  const std::lock_guard lock(mutex_);
  any_starved_.store(true, std::memory_order_release);
  for (Needy& known : starved_) {
    if (!same(known.pool, needy.pool)) continue;
    known = std::move(needy);
    return;
  }
  starved_.push_back(std::move(needy));
}

std::vector<std::shared_ptr<Pool>> Quota::take_starved() {
  if (!any_starved()) return {};
  std::vector<Needy> starved;
  {
    const std::lock_guard lock(mutex_);
    any_starved_.store(false, std::memory_order_release);
    starved.swap(starved_);
  }
  std::ranges::stable_sort(starved, {}, &Needy::since);
  std::vector<std::shared_ptr<Pool>> pools;
  for (const Needy& needy : starved) {
    if (const auto there = needy.pool.lock()) pools.push_back(std::const_pointer_cast<Pool>(there));
  }
  return pools;
}

bool Quota::claims_link(const Needy& holder, Instant now) const {
  if (!any_starved()) return false;
  const std::lock_guard lock(mutex_);
  const auto fewer_all_the_same = [&](const Needy& other) {
    return std::uint64_t{other.links + 1} * holder.weight <=
           std::uint64_t{holder.links - 1} * other.weight;
  };
  return std::ranges::any_of(starved_, [&](const Needy& other) {
    if (other.pool.expired() || same(other.pool, holder.pool)) return false;
    if (holder.since == kNever) return true;
    return other.since < holder.since && now - other.since >= kPatience &&
           (other.links == 0 || (holder.links > 0 && fewer_all_the_same(other)));
  });
}

}  // namespace forebay::core
