#include "app/event_limits.hpp"

#include <algorithm>

namespace forebay::app {
namespace {

constexpr std::string_view kOther = "other";

}  // namespace

void EventLimits::set_rate(std::uint32_t rate) {
  const std::lock_guard lock(mutex_);
  if (rate == rate_) return;
  rate_ = rate;
  // As if all had been rare.
  for (auto& [event, bucket] : buckets_) bucket.lines = rate_ * kBurstSeconds;
}

bool EventLimits::admit(std::string_view event, core::Weight weight, Time now) {
  const std::lock_guard lock(mutex_);
  if (rate_ == 0) return true;
  const double most = rate_ * kBurstSeconds;
  auto found = buckets_.find(event);
  if (found == buckets_.end()) {
    if (buckets_.size() >= kEventsMax) event = kOther;
    found = buckets_.try_emplace(std::string(event), Bucket{.lines = most, .filled = now}).first;
  }
  Bucket& bucket = found->second;
  // Threads look at the clock before they get here.
  if (now > bucket.filled) {
    const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
    bucket.lines = std::min(most, bucket.lines + seconds * rate_);
    bucket.filled = now;
  }
  if (bucket.lines >= 1) {
    bucket.lines -= 1;
    return true;
  }
  ++bucket.total;
  bucket.weight = std::max(bucket.weight, weight);
  return false;
}

std::vector<EventLimits::LeftOut> EventLimits::look() {
  const std::lock_guard lock(mutex_);
  std::vector<LeftOut> all;
  for (auto& [event, bucket] : buckets_) {
    if (bucket.total == bucket.told) continue;
    const bool over = bucket.total == bucket.seen;
    bucket.seen = bucket.total;
    if (over || ++bucket.looks >= kLooksMax) all.push_back(tell(event, bucket));
  }
  return all;
}

std::vector<EventLimits::LeftOut> EventLimits::rest() {
  const std::lock_guard lock(mutex_);
  std::vector<LeftOut> all;
  for (auto& [event, bucket] : buckets_) {
    if (bucket.total > bucket.told) all.push_back(tell(event, bucket));
  }
  return all;
}

EventLimits::LeftOut EventLimits::tell(const std::string& event, Bucket& bucket) {
  LeftOut left{event, bucket.weight, bucket.total - bucket.told};
  bucket.told = bucket.seen = bucket.total;
  bucket.looks = 0;
  bucket.weight = core::Weight::detail;
  return left;
}

std::vector<std::pair<std::string, std::uint64_t>> EventLimits::totals() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, std::uint64_t>> all;
  for (const auto& [event, bucket] : buckets_) {
    if (bucket.total > 0) all.emplace_back(event, bucket.total);
  }
  return all;
}

}  // namespace forebay::app
