#include "core/engine/engine.hpp"

// Which replica serves a read.
namespace forebay::core {
namespace {

using routing::ClusterView;
using routing::HostView;

/// What must be true of a replica that serves a read.
struct Wanted {
  Duration max_lag;  ///< zero: no limit
  Instant since;     ///< it has what was committed before; kNever: it need not
  Instant now;

  [[nodiscard]] bool holds_for(const HostView& host) const {
    if (!host.may_read()) return false;
    if (max_lag > Duration::zero() && host.lag(now) > max_lag) return false;
    return since == kNever || (host.complete_until && *host.complete_until >= since);
  }
};

}  // namespace

// Power of two choices: of two replicas that may serve it, the one that has less to do.
std::shared_ptr<Pool> Engine::choose_reader(Pool& primary, Instant since) {
  const auto& readers = primary.readers();
  if (readers.empty()) return nullptr;  // since a reload
  const auto& cluster = primary.target().cluster;
  const ClusterView* view = nullptr;
  if (cluster != nullptr) view = &clusters_[cluster.get()].look(*cluster);
  // While nobody watches the hosts, nobody knows what replicas have.
  if (view == nullptr || !view->watched || view->hosts.size() != readers.size()) return nullptr;
  const Wanted wanted{primary.settings().max_replica_lag, since, now_};
  const std::shared_ptr<Pool>* best = nullptr;
  std::size_t seen = 0;
  const std::size_t first = ++reader_turn_ % readers.size();
  for (std::size_t i = 0; i < readers.size() && seen < 2; ++i) {
    const std::size_t host = (first + i) % readers.size();
    const Pool& reader = *readers[host];
    if (reader.shunned_until() > now_ || !wanted.holds_for(view->hosts[host])) continue;
    ++seen;
    if (best == nullptr || reader.in_flight() < (*best)->in_flight()) best = &readers[host];
  }
  return best == nullptr ? nullptr : *best;
}

}  // namespace forebay::core
