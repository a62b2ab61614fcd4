#include <algorithm>
#include <array>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/pool/reader_choice.hpp"
#include "forebay/routing/cluster/balance.hpp"

// Which replica serves a read.
namespace forebay::core {

/// Of more hosts than this the first that would do are looked at.
constexpr std::size_t kCandidatesMax = 16;

unsigned rank_of(const Pool& reader, const routing::HostView& host) noexcept {
  if (host.ordered(routing::Standing::preferred)) return 2;
  // Where every connection is in use, the next read would wait: others help.
  const bool full = reader.in_flight() >= reader.settings().pool_size;
  return reader.target().read_near && !full ? 1 : 0;
}

routing::Late lateness_of(Pool& reader, const routing::HostView& host, const Wanted& wanted) {
  if (!host.may_read()) return routing::Late::no;
  const bool was = reader.late();
  const routing::Late late = routing::lateness(host, wanted.limits, wanted.lag_ends, was);
  if (was != (late != routing::Late::no)) reader.note_late(!was);
  return late;
}

Wanted wanted_of(const Pool::Reading& primary, const routing::ClusterView& view, Visible visible,
                 Instant now) {
  const config::PoolSettings& settings = primary.settings;
  Wanted wanted{{settings.max_replica_lag, settings.max_replica_lag_bytes.value()},
                visible,
                routing::lag_ends(view, now)};
  if (settings.min_read_replicas == 0) return wanted;
  routing::LagFloor floor(settings.min_read_replicas);
  for (std::size_t i = 0; i < view.hosts.size(); ++i) {
    Pool& reader = *primary.readers[i];
    const routing::HostView& host = view.hosts[i];
    if (!host.may_read() || reader.shunned_until() > now) continue;
    floor.add(lateness_of(reader, host, wanted), host.lag(wanted.lag_ends));
  }
  wanted.kept = floor.kept();
  return wanted;
}

std::shared_ptr<Pool> Engine::choose_reader(Pool& primary, Visible visible, bool& behind) {
  const Pool::Reading reading = primary.reading();
  const auto& readers = reading.readers;
  const auto& cluster = reading.target.cluster;
  if (readers.empty() || cluster == nullptr) return nullptr;  // since a reload
  const routing::ClusterView& view = clusters_[cluster.get()].look(*cluster);
  // While nobody watches the hosts, nobody knows what replicas have.
  if (!view.watched || view.hosts.size() != readers.size()) return nullptr;
  const Wanted wanted = wanted_of(reading, view, visible, now_);
  std::array<routing::Candidate, kCandidatesMax> candidates;
  std::size_t count = 0;
  unsigned best = 0;  // only those that come first
  for (std::size_t host = 0; host < readers.size() && count < candidates.size(); ++host) {
    Pool& reader = *readers[host];
    if (reader.shunned_until() > now_) continue;
    const routing::HostView& known = view.hosts[host];
    const NoRead refusal = wanted.refuses(known, lateness_of(reader, known, wanted));
    // Without a primary nothing more will be known of what they have.
    behind = behind || (refusal == NoRead::own_writes && view.primary);
    if (refusal != NoRead::nothing) continue;
    const unsigned rank = rank_of(reader, known);
    if (rank < best) continue;
    if (rank > std::exchange(best, rank)) count = 0;
    const std::uint32_t share = routing::share(reader.target().read_weight, known.reads_again_since,
                                               config().slow_start, now_);
    candidates[count++] = {host, share, reader.in_flight(), reader.latency().at(now_),
                           reader.latency().average()};
  }
  if (count == 0) return nullptr;
  const std::span all(candidates.data(), count);
  return readers[all[routing::choose(all, ++reader_turn_)].host];
}

void Engine::await_replicas(const std::shared_ptr<Cluster>& cluster, SessionKey session, bool again,
                            Instant until) {
  AwaitingReads& reads = awaiting_reads_[cluster.get()];
  if (!again) reads.sessions.push_back(session);
  reads.until = std::max(reads.until, until);
  // In the next turn: what it has to see was written before that begins.
  if (!std::exchange(reads.told, true)) shared_.courier->send(id_, mail::ReadsCame{cluster});
}

void Engine::receive(mail::ReadsCame& came) {
  AwaitingReads& reads = awaiting_reads_[came.cluster.get()];
  reads.told = false;
  for (const SessionKey key : reads.sessions) {
    if (ClientSession* session = find(key)) session->turn_over();
  }
  shared_.courier->send(WorkerId(0), mail::AwaitReplicas{came.cluster, reads.until});
}

void Engine::receive(mail::AwaitReplicas& await) {
  if (monitor_ != nullptr) monitor_->await_replicas(*await.cluster, await.until);
}

void Engine::tell_all_replicas_seen(const std::shared_ptr<Cluster>& cluster) {
  for (std::size_t i = 0; i < shared_.workers; ++i) {
    shared_.courier->send(WorkerId(static_cast<std::uint16_t>(i)), mail::ReplicasSeen{cluster});
  }
}

void Engine::receive(mail::ReplicasSeen& seen) {
  const auto sessions = std::exchange(awaiting_reads_[seen.cluster.get()].sessions, {});
  for (const SessionKey key : sessions) {
    if (ClientSession* session = find(key)) session->replicas_seen();
  }
}

}  // namespace forebay::core
