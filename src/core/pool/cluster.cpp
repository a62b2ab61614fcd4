#include "core/pool/cluster.hpp"

#include <utility>

namespace forebay::core {

std::shared_ptr<const Cluster::View> Cluster::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

void Cluster::publish(View view) {
  auto made = std::make_shared<const View>(std::move(view));
  const std::lock_guard lock(mutex_);
  view_.swap(made);
  // Behind the view: who sees the number finds at least that view.
  version_.fetch_add(1, std::memory_order_release);
}

}  // namespace forebay::core
