#include "core/monitor/monitor.hpp"

#include <algorithm>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/pool/pool.hpp"
#include "core/pool/pool_directory.hpp"

namespace forebay::core {
namespace {

using routing::ClusterView;
using routing::HostView;
using routing::Why;
using std::chrono::milliseconds;

/// A host that is not there, or does not let us in, is asked less often, as long as nothing waits
/// for its answer.
constexpr milliseconds kAskAbsent{1000};
/// How often one is asked that is to be the primary any moment, and for how long.
constexpr milliseconds kAskExpected{20};
constexpr milliseconds kExpect{5000};
/// While a switchover is to come: nobody else notices when the wait for it is over.
constexpr milliseconds kJudgeLeaving{100};
/// While reads wait for what a replica has, all hosts are asked again: some times at once, within
/// about the time to which timers are kept, and then when that is over.
constexpr milliseconds kAskAwaited{10};
constexpr std::size_t kAskAwaitedMost = 8;

std::string hosts_of(const Cluster& cluster) {
  std::string all;
  for (const Endpoint& host : cluster.hosts()) all += (all.empty() ? "" : ", ") + to_string(host);
  return all;
}

/// Answers, whatever it says.
bool alive(const HostView& host) {
  return host.sampled != Instant{} && host.no_reads != Why::down && host.no_reads != Why::silent;
}

/// Whether a replica is known to have more than before.
bool knows_more(const ClusterView& before, const ClusterView& after) {
  for (std::size_t i = 0; i < after.hosts.size(); ++i) {
    const HostView& is = after.hosts[i];
    const HostView& was = before.hosts[i];
    if (is.lsn > was.lsn) return true;
    if (is.complete_until && is.complete_until > was.complete_until) return true;
  }
  return false;
}

}  // namespace

ClusterWatch::ClusterWatch(Engine& engine, std::shared_ptr<Cluster> cluster)
    : engine_(engine),
      cluster_(std::move(cluster)),
      topology_(cluster_->hosts().size(), engine.config().primary_lease),
      next_(cluster_->hosts().size()),
      logins_(cluster_->hosts().size()) {
  topology_.begin();
  last_ = topology_.judge(engine.now());
  for (std::size_t i = 0; i < cluster_->hosts().size(); ++i) {
    probes_.push_back(std::make_unique<HostProbe>(engine, *this, i, cluster_->hosts()[i]));
  }
}

void ClusterWatch::serve(const std::vector<std::shared_ptr<Pool>>& pools) {
  pools_.clear();
  const Instant now = engine_.now();
  const bool asks = engine_.config().monitor_interval.count() > 0;
  // Where a database is paused that is all there is to log in with, others still need to know.
  const bool all_empty =
      std::ranges::all_of(pools, [now](const auto& pool) { return pool->to_be_empty(now); });
  const bool some_login = std::ranges::any_of(
      pools, [now](const auto& pool) { return pool->has_login() && !pool->to_be_empty(now); });
  for (const auto& pool : pools) {
    const bool fits = some_login ? !pool->to_be_empty(now) : !all_empty;
    if (asks && fits && pool->has_login()) pools_.push_back(pool);
  }
  const bool left = std::exchange(in_use_, !pools.empty()) && !in_use_;
  leave_databases();
  cluster_->set_asked(!pools_.empty());
  if (pools_.empty()) {
    rest();
    if (!all_empty) tell_unwatched(pools);
  } else if (!timer_.armed()) {
    begin();
    look();
  }
  if (left) forget_unlisted();
}

// What was known when somebody asked last is not what changes now: nothing is fenced for that.
void ClusterWatch::begin() {
  topology_.begin();
  began_ = engine_.now();
  last_ = topology_.judge(began_);
}

void ClusterWatch::inherit(const std::vector<const ClusterWatch*>& others) {
  std::vector<routing::Topology::Known> known;
  for (const ClusterWatch* other : others) {
    const std::vector<Endpoint>& theirs = other->cluster_->hosts();
    for (std::size_t i = 0; i < cluster_->hosts().size(); ++i) {
      const auto there = std::ranges::find(theirs, cluster_->hosts()[i]);
      if (there == theirs.end()) continue;
      known.push_back({i, &other->topology_, static_cast<std::size_t>(there - theirs.begin())});
    }
  }
  if (known.empty()) return;
  topology_.inherit(known);
  begin();
  // Logins are kept from who is fenced, also where nobody asks.
  cluster_->publish(last_, engine_.now());
}

void ClusterWatch::forget_unlisted() {
  for (std::size_t i = 0; i < cluster_->hosts().size(); ++i) {
    if (!in_a_cluster(engine_.config(), cluster_->hosts()[i])) topology_.forget(i);
  }
}

// Connections to where nobody is to be any more are closed, and opened elsewhere when it is time.
void ClusterWatch::leave_databases() {
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    const std::shared_ptr<Pool> login = probes_[i]->login();
    const bool needed =
        std::ranges::any_of(pools_, [&](const auto& pool) { return pool.lock() == login; });
    if (!needed && (login == nullptr || login->to_be_empty(engine_.now()))) probes_[i]->close();
  }
}

// Nobody looks any more: hosts are judged by logins again. Who looks next begins anew.
void ClusterWatch::rest() {
  const bool looked = timer_.armed();
  timer_.cancel();
  for (const auto& probe : probes_) probe->close();
  if (!looked && last_.asking) return;
  topology_.begin();
  last_ = topology_.judge(engine_.now());
  cluster_->publish(last_, engine_.now());
}

// Reads are to be split, clients are there, and what they show to the servers opens nothing for us.
void ClusterWatch::tell_unwatched(const std::vector<std::shared_ptr<Pool>>& pools) {
  const auto splits = [](const auto& pool) {
    return !pool->readers().empty() && pool->counts().total > 0;
  };
  if (told_unwatched_ || std::none_of(pools.begin(), pools.end(), splits)) return;
  told_unwatched_ = true;
  note(
      true, "cluster_unwatched",
      "nothing is known to ask this cluster's hosts with, so that all reads go to the primary: set "
      "monitor_user and its password",
      0);
}

void ClusterWatch::host_moved(const std::string& host, const std::vector<std::string>& addresses) {
  for (const auto& probe : probes_) probe->host_moved(host, addresses);
}

void ClusterWatch::ask_now() {
  if (pools_.empty()) return;
  expecting_since_ = engine_.now();
  for (std::size_t i = 0; i < probes_.size(); ++i) ask(i);
  if (expected_primary()) look();
}

void ClusterWatch::judge_now() {
  if (!pools_.empty()) judge();
}

void ClusterWatch::on_timer(void* self) {
  static_cast<ClusterWatch*>(self)->look();
}

void ClusterWatch::look() {
  milliseconds interval = engine_.config().monitor_interval;
  if (interval.count() == 0) return;
  const auto expected = expected_primary();
  if (expected) interval = std::min(interval, kAskExpected);
  if (const auto word = cluster_->patroni(); word != nullptr && word->leaving) {
    interval = std::min(interval, kJudgeLeaving);
  }
  engine_.timers().arm(timer_, engine_.now() + interval);
  if (expected) ask(*expected);
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    if (engine_.now() >= next_[i]) ask(i);
  }
  judge();
}

void ClusterWatch::await_replicas(Instant until) {
  if (pools_.empty()) return;
  awaited_until_ = std::max(awaited_until_, until);
  ask_soon();
}

void ClusterWatch::ask_soon() {
  const Instant now = engine_.now();
  if (now - awaited_since_ >= kAskAwaited) {
    awaited_since_ = now;
    asked_awaited_ = 0;
  }
  if (asked_awaited_ < kAskAwaitedMost * probes_.size()) {
    for (std::size_t i = 0; i < probes_.size(); ++i) {
      // Connections are opened when it is time for that.
      if (now < next_[i] || !probes_[i]->ready()) continue;
      ++asked_awaited_;
      ask(i);
    }
  } else if (timer_.armed() && timer_.at() > now + kAskAwaited) {
    engine_.timers().arm(timer_, now + kAskAwaited);
  }
}

// Patroni has another leader than we have a primary: it becomes one within moments.
std::optional<std::size_t> ClusterWatch::expected_primary() const {
  const auto word = cluster_->patroni();
  const auto leader = word == nullptr ? std::nullopt : word->arbiter(engine_.now());
  const bool soon = engine_.now() - expecting_since_ < kExpect;
  if (!soon || !leader || leader == last_.primary) return std::nullopt;
  // It is one already, by another name.
  return last_.hosts[*leader].no_writes == Why::same_server ? std::nullopt : leader;
}

void ClusterWatch::ask(std::size_t host) {
  if (probes_[host]->asking()) return;
  const bool absent = (last_.primary || !last_.watched) && last_.hosts[host].no_reads == Why::down;
  next_[host] = engine_.now() + (absent ? kAskAbsent : milliseconds(0));
  const std::shared_ptr<Pool> login = pools_[logins_[host] % pools_.size()].lock();
  if (login == nullptr) return;
  ++cluster_->statistics(host).probes;
  probes_[host]->ask(login, engine_.config().primary_lease);
}

void ClusterWatch::on_answer(std::size_t host, const routing::HostSample& sample) {
  topology_.answered(host, sample);
  judge();
}

void ClusterWatch::on_no_answer(std::size_t host, const std::string& why, bool spoke) {
  ++cluster_->statistics(host).failed_probes;
  if (spoke) {
    topology_.spoke(host, engine_.now(), why);
    ++logins_[host];  // another pool's user may be let in
  } else {
    topology_.failed(host, why);
  }
  judge();
}

// ---------------------------------------------------------------- what follows

void ClusterWatch::judge() {
  topology_.set_lease(engine_.config().primary_lease);
  topology_.set_hold(engine_.config().failover_hold);
  for (std::size_t i = 0; i < probes_.size(); ++i) topology_.order(i, cluster_->order(i));
  topology_.hear(cluster_->patroni());
  ClusterView view = topology_.judge(engine_.now());
  // Fences are up before anybody can see the new primary.
  const bool fenced = fence(view);
  const bool changed =
      view.primary != last_.primary || view.leaving != last_.leaving || view.asking != last_.asking;
  report(view);
  const bool more = knows_more(last_, view);
  last_ = view;
  cluster_->publish(std::move(view), engine_.now());
  if (fenced || changed) engine_.tell_all_cluster_changed(cluster_);
  tell_who_awaits(more);
}

// Who has waited long enough is told, too: it is not to be kept in mind any longer.
void ClusterWatch::tell_who_awaits(bool more) {
  if (awaited_until_ == Instant{}) return;
  if (more || engine_.now() >= awaited_until_) {
    awaited_until_ = {};
    engine_.tell_all_replicas_seen(cluster_);
  } else {
    ask_soon();
  }
}

bool ClusterWatch::fence(const ClusterView& view) {
  bool any = false;
  for (std::size_t i = 0; i < view.hosts.size(); ++i) {
    const HostView& was = last_.hosts[i];
    const HostView& is = view.hosts[i];
    // Of one that does not say what it is nothing worse is known than before.
    const bool deposed = last_.primary == i && view.primary != i && is.no_writes != Why::refuses;
    const bool gone =
        alive(was) && !alive(is) && engine_.now() - is.sampled >= engine_.config().primary_lease;
    const bool never_there =
        is.sampled < began_ && is.no_writes == Why::down && was.no_writes != Why::down;
    if (!deposed && !gone && !never_there && !(is.fenced && !was.fenced)) continue;
    cluster_->raise_fence(i);
    any = true;
  }
  return any;
}

void ClusterWatch::report_hosts(const ClusterView& view) {
  for (std::size_t i = 0; i < view.hosts.size(); ++i) {
    const HostView& was = last_.hosts[i];
    const HostView& is = view.hosts[i];
    if (is.fenced && !was.fenced && is.no_writes == Why::other_system) {
      note(true, "host_fenced",
           "it belongs to another cluster: its system identifier is " +
               std::to_string(is.system_identifier) + ", that of this one is " +
               std::to_string(view.system_identifier) +
               ": its connections are closed and it gets "
               "no new ones; take it out of hosts",
           i);
    } else if (is.fenced && !was.fenced) {
      note(true, "host_fenced",
           std::string(to_string(is.no_writes)) + " (" + std::to_string(is.timeline) +
               ", the newest is " + std::to_string(view.timeline) +
               "): its connections are closed and it gets no new ones",
           i);
    } else if (is.no_reads == Why::refuses && was.no_reads != Why::refuses) {
      note(
          true, "host_unwatched",
          "it does not tell the monitor what it is (" + is.error +
              "): no reads go there; monitor_user must be let in, with EXECUTE on PostgreSQL's own "
              "functions for control data and WAL",
          i);
    } else if ((was.up && !is.up) || (is.no_reads == Why::down && (was.no_reads == Why::no_sample ||
                                                                   was.no_reads == Why::refuses))) {
      note(true, "host_down", is.error, i);
    } else if (is.up && !was.up) {
      note(false, "host_up",
           std::string(to_string(is.role)) + " on timeline " + std::to_string(is.timeline), i);
    }
  }
}

void ClusterWatch::report_hidden(const ClusterView& view) {
  const auto hides = [](const HostView& host) {
    return host.no_reads == Why::behind && host.timeline_hidden;
  };
  for (std::size_t i = 0; i < view.hosts.size(); ++i) {
    if (!hides(view.hosts[i]) || hides(last_.hosts[i])) continue;
    note(true, "host_timeline_hidden",
         explain(view.hosts[i], Why::behind, engine_.now()) +
             ": until it has written a restartpoint no reads go there",
         i);
  }
}

// Which cluster the hosts are of, and who is listed twice.
void ClusterWatch::report_systems(const ClusterView& view) {
  std::string all;
  for (std::size_t i = 0; i < view.hosts.size(); ++i) {
    const HostView& host = view.hosts[i];
    if (host.no_writes == Why::same_server && last_.hosts[i].no_writes != Why::same_server) {
      note(true, "same_server",
           "it is the same server as another of the hosts: take one of the two out of hosts", i);
    }
    if (host.no_writes != Why::mixed) continue;
    all += (all.empty() ? "" : ", ") + to_string(cluster_->hosts()[i]) + " (" +
           std::to_string(host.system_identifier) + ")";
  }
  if (view.mixed && !last_.mixed) {
    engine_.note({.weight = Weight::error,
                  .event = "mixed_clusters",
                  .text = "the hosts are of different clusters, by their system identifiers, as "
                          "many of each: " +
                          all +
                          ": statements wait, for failover_hold at most; take those out of hosts "
                          "that do not belong there"});
  }
  if (last_.system_identifier != 0 && view.system_identifier != last_.system_identifier) {
    note(true, "cluster_replaced",
         "most hosts are of another cluster than before (system identifier " +
             std::to_string(view.system_identifier) + ", it was " +
             std::to_string(last_.system_identifier) + "): this is it now",
         view.primary.value_or(0));
    last_timeline_ = 0;
  }
}

void ClusterWatch::report(const ClusterView& view) {
  report_hosts(view);
  report_hidden(view);
  report_systems(view);
  if (view.two_primaries && !last_.two_primaries) {
    for (std::size_t i = 0; i < view.hosts.size(); ++i) {
      if (view.hosts[i].no_writes != Why::two_primaries) continue;
      note(true, "two_primaries",
           "two primaries on timeline " + std::to_string(view.timeline) +
               ": statements are held until one of them is stopped or made a replica",
           i);
    }
  }
  if (view.leaving && !last_.leaving) {
    note(
        false, "switchover",
        "Patroni is to make another host the primary: new transactions wait until it has, for some "
        "seconds at most, and those that are open go on",
        *view.primary);
  }
  if (last_.asking && view.watched && !view.primary && !view.two_primaries) {
    engine_.note({.weight = Weight::warning,
                  .event = "no_primary",
                  .text = "none of the hosts " + hosts_of(*cluster_) +
                          " is known to be the primary: statements wait, for failover_hold at "
                          "most"});
  }
  if (last_.primary && !view.primary) {
    note(true, "no_primary",
         "no longer the primary (" + std::string(to_string(view.hosts[*last_.primary].no_writes)) +
             "): statements wait, for failover_hold at most",
         *last_.primary);
  }
  if (!view.primary || view.primary == last_.primary) return;
  if (view.timeline < last_timeline_) {
    note(true, "timeline_set_back",
         "timeline " + std::to_string(last_timeline_) +
             " counts no more: its hosts follow an older one, or are stuck replicas while most "
             "follow this primary",
         *view.primary);
  }
  last_timeline_ = view.timeline;
  if (last_primary_ && last_primary_ != view.primary) ++cluster_->failovers;
  last_primary_ = view.primary;
  note(false, "primary", "the primary, on timeline " + std::to_string(view.timeline),
       *view.primary);
}

void ClusterWatch::note(bool bad, std::string_view event, std::string text, std::size_t host) {
  engine_.note({.weight = bad ? Weight::warning : Weight::normal,
                .event = event,
                .text = std::move(text),
                .host = to_string(cluster_->hosts()[host])});
}

void Monitor::look(const std::vector<std::shared_ptr<Pool>>& pools) {
  std::map<const Cluster*, std::vector<std::shared_ptr<Pool>>> by_cluster;
  for (const auto& pool : pools) {
    const auto& cluster = pool->target().cluster;
    if (cluster == nullptr) continue;
    by_cluster[cluster.get()].push_back(pool);
    auto& watch = watches_[cluster.get()];
    if (watch == nullptr) watch = std::make_unique<ClusterWatch>(engine_, cluster);
  }
  for (auto& [cluster, watch] : watches_) {
    if (by_cluster.contains(cluster) && !watch->in_use()) inherit(*watch);
  }
  for (auto& [cluster, watch] : watches_) watch->serve(by_cluster[cluster]);
  // Those of databases that have no pool any more.
  std::erase_if(functions_, [&pools](const auto& entry) {
    return std::none_of(pools.begin(), pools.end(),
                        [&entry](const auto& pool) { return &pool->catalog() == entry.first; });
  });
  for (const auto& pool : pools) look_at_functions(pool);
}

// Another list of hosts is another cluster, but its hosts are the same servers.
void Monitor::inherit(ClusterWatch& heir) const {
  std::vector<const ClusterWatch*> others;
  for (const auto& [cluster, watch] : watches_) {
    if (watch.get() != &heir) others.push_back(watch.get());
  }
  heir.inherit(others);
}

// Who is in use does so when it no longer is: what was begun there is to end as it began.
void Monitor::on_reload() {
  for (const auto& [cluster, watch] : watches_) {
    if (!watch->in_use()) watch->forget_unlisted();
  }
}

// What functions do matters where reads are told from writes.
void Monitor::look_at_functions(const std::shared_ptr<Pool>& pool) {
  const Pool::Reading reading = pool->reading();
  const auto& cluster = reading.target.cluster;
  if (cluster == nullptr || reading.readers.empty() || !pool->has_login()) return;
  if (pool->to_be_empty(engine_.now())) return;
  const auto watch = watches_.find(cluster.get());
  if (watch == watches_.end()) return;  // a reload came meanwhile: next time
  const auto primary = watch->second->primary();
  if (!primary || engine_.config().monitor_interval.count() == 0) return;
  auto& probe = functions_[&pool->catalog()];
  if (probe == nullptr) {
    probe = std::make_unique<FunctionsProbe>(engine_, pool->shared_catalog());
  }
  probe->look(cluster->hosts()[*primary], *pool);
}

// Of each database once: by the pool that has something to log in with.
void Monitor::look_at_tables(const std::vector<std::shared_ptr<Pool>>& pools) {
  std::map<const CatalogEpoch*, std::shared_ptr<Pool>> logins;
  for (const auto& pool : pools) {
    if (!pool->target().tenant_tables || pool->is_reader() || pool->paused()) continue;
    auto& login = logins[&pool->catalog()];
    if (login == nullptr || (!login->has_login() && pool->has_login())) login = pool;
  }
  std::erase_if(tables_, [&logins](const auto& entry) { return !logins.contains(entry.first); });
  for (const auto& [catalog, pool] : logins) {
    auto& probe = tables_[catalog];
    if (probe == nullptr) probe = std::make_unique<TablesProbe>(engine_, pool->shared_catalog());
    const PoolTarget& target = pool->target();
    const auto& cluster = target.cluster;
    std::optional<std::size_t> host = 0;
    if (cluster != nullptr) {
      const auto watch = watches_.find(cluster.get());
      host = watch == watches_.end() ? std::nullopt : watch->second->primary();
    }
    if (!pool->has_login()) {
      probe->cannot("nothing is known to log in with: set monitor_user and its password");
    } else if (host) {
      probe->look(target.hosts[*host], *pool, engine_.config().tenants.column);
    } else {
      probe->cannot("no primary is known");
    }
  }
}

void Monitor::host_moved(const std::string& host, const std::vector<std::string>& addresses) {
  for (const auto& [cluster, watch] : watches_) watch->host_moved(host, addresses);
}

void Monitor::await_replicas(const Cluster& cluster, Instant until) {
  const auto found = watches_.find(&cluster);
  if (found != watches_.end()) found->second->await_replicas(until);
}

void Monitor::judge(const Cluster& cluster) {
  if (const auto found = watches_.find(&cluster); found != watches_.end()) {
    found->second->judge_now();
  }
}

void Monitor::ask_now(const Cluster& cluster) {
  const auto found = watches_.find(&cluster);
  if (found != watches_.end() && !found->second->idle()) {
    found->second->ask_now();
  } else {
    look(engine_.shared().pools.all());
  }
}

}  // namespace forebay::core
