#include "core/statistics/slow_samples.hpp"

#include <string>
#include <utility>

namespace forebay::core {
namespace {

// Which statement it was may not be known: then it is not like any other.
bool alike(const SlowSample& one, const SlowSample& other) {
  return one.shape == other.shape && one.shape != 0;
}

}  // namespace

std::string transaction_text(const SlowSample& sample) {
  if (sample.server_process_id == 0 || sample.transaction == 0) return {};
  return std::to_string(sample.server_process_id) + '/' + std::to_string(sample.transaction);
}

void SlowSamples::add(SlowSample sample) {
  const std::lock_guard lock(mutex_);
  if (keep_unwritten_) {
    if (unwritten_.size() < kUnwrittenMax) {
      unwritten_.push_back(sample);
    } else {
      ++lost_;
    }
  }
  const std::size_t place = place_for(sample);
  if (place == samples_.size()) {
    samples_.push_back(std::move(sample));
  } else {
    samples_[place] = std::move(sample);
  }
}

// Where there are enough of its shape, the place of the oldest of them but the slowest. Else a free
// place; else that of the oldest.
std::size_t SlowSamples::place_for(const SlowSample& sample) const {
  std::size_t same = 0;
  std::size_t slowest = kMax;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    if (!alike(samples_[i], sample)) continue;
    ++same;
    if (slowest == kMax || samples_[i].time.total() > samples_[slowest].time.total()) slowest = i;
  }
  const bool enough = same >= kShapeMax;
  if (!enough && samples_.size() < kMax) return samples_.size();
  std::size_t oldest = kMax;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    if (enough && (!alike(samples_[i], sample) || i == slowest)) continue;
    if (oldest == kMax || samples_[i].ended < samples_[oldest].ended) oldest = i;
  }
  return oldest;
}

void SlowSamples::report(std::vector<SlowSample>& samples) const {
  const std::lock_guard lock(mutex_);
  samples.insert(samples.end(), samples_.begin(), samples_.end());
}

std::uint64_t SlowSamples::take_unwritten(std::vector<SlowSample>& samples) {
  const std::lock_guard lock(mutex_);
  for (SlowSample& sample : unwritten_) samples.push_back(std::move(sample));
  unwritten_.clear();
  return std::exchange(lost_, 0);
}

void SlowSamples::reset() {
  const std::lock_guard lock(mutex_);
  samples_.clear();
}

}  // namespace forebay::core
