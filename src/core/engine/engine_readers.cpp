#include <array>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/pool/reader_choice.hpp"
#include "forebay/routing/cluster/balance.hpp"

// Which replica serves a read.
namespace forebay::core {

/// Of more hosts than this the first that would do are looked at.
constexpr std::size_t kCandidatesMax = 16;

std::shared_ptr<Pool> Engine::choose_reader(Pool& primary, Instant since) {
  const auto& readers = primary.readers();
  const auto& cluster = primary.target().cluster;
  if (readers.empty() || cluster == nullptr) return nullptr;  // since a reload
  const routing::ClusterView& view = clusters_[cluster.get()].look(*cluster);
  // While nobody watches the hosts, nobody knows what replicas have.
  if (!view.watched || view.hosts.size() != readers.size()) return nullptr;
  const Wanted wanted{primary.settings().max_replica_lag, since, routing::lag_ends(view, now_)};
  std::array<routing::Candidate, kCandidatesMax> candidates;
  std::size_t count = 0;
  bool near = false;  // only those in our own zone
  for (std::size_t host = 0; host < readers.size() && count < candidates.size(); ++host) {
    const Pool& reader = *readers[host];
    if (reader.shunned_until() > now_) continue;
    if (wanted.refuses(view.hosts[host]) != NoRead::nothing) continue;
    const bool here = reader.target().read_near;
    if (near && !here) continue;
    if (here && !std::exchange(near, true)) count = 0;
    const std::uint32_t share = routing::share(
        reader.target().read_weight, view.hosts[host].reads_again_since, config().slow_start, now_);
    candidates[count++] = {host, share, reader.in_flight()};
  }
  if (count == 0) return nullptr;
  const std::span all(candidates.data(), count);
  return readers[all[routing::choose(all, ++reader_turn_)].host];
}

}  // namespace forebay::core
