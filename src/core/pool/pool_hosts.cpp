#include <algorithm>

#include "core/pool/pool.hpp"

// Which of its hosts a pool's links lead to.
namespace forebay::core {
namespace {

/// A host that was a standby, or not there, is not where the next login begins for so long.
constexpr std::chrono::milliseconds kAvoidHost{30'000};
/// Links to standbys that refuse writes are opened anew at most once in so long.
constexpr std::chrono::milliseconds kLeaveStandbys{1000};

}  // namespace

// Whoever is there first need not be the primary: that is known when all have been asked.
bool Pool::awaits(const Cluster::View& view) const {
  const PoolTarget& target = terms_->target;
  return view.asking && target.monitored && (has_login_locked() || target.cluster->asked());
}

// The monitor says where statements may go.
bool Pool::in_charge(const Cluster::View& view) const {
  return view.watched || awaits(view);
}

bool Pool::awaits_monitor() {
  const std::lock_guard lock(mutex_);
  return terms_->target.cluster != nullptr && awaits(hosts_.look(*terms_->target.cluster));
}

// Whether statements may go to a server now. Without a monitor every host is as good as its login.
bool Pool::has_primary(Instant now) {
  if (terms_->target.cluster == nullptr) return true;
  const Cluster::View& view = hosts_.look(*terms_->target.cluster);
  return view.watched ? view.writable(now).has_value() : !awaits(view);
}

bool Pool::holds(Instant now) {
  const std::lock_guard lock(mutex_);
  return !paused_ && !has_primary(now);
}

bool Pool::expects_primary(Instant now, Duration hold) {
  const std::lock_guard lock(mutex_);
  if (has_primary(now)) return false;
  const Cluster::View& view = hosts_.look(*terms_->target.cluster);
  return !view.watched || now - std::min(now, view.unwritable_since) < hold;
}

ServerLink* Pool::take_for_waiter(WorkerId here, Instant now) {
  const std::lock_guard lock(mutex_);
  ParkedList& list = parked_[here.value()];
  if (waiters_.empty() || list.empty() || paused_ || !serves(now)) return nullptr;
  ServerLink& link = list.front().link;
  list.pop_front();
  return &link;
}

std::vector<SessionKey> Pool::overdue(Instant now, Duration hold) {
  const std::lock_guard lock(mutex_);
  std::vector<SessionKey> told;
  if (paused_ || has_primary(now)) return told;
  const Cluster::View& view = hosts_.look(*terms_->target.cluster);
  // Each host has primary_lease for its first answer: nobody is told anything before.
  if (!view.watched && awaits(view)) return told;
  const Instant since = view.unwritable_since;
  if (since == kNever || now - since < hold) return told;
  while (!waiters_.empty() && now - waiters_.oldest().since >= hold) {
    Ticket& ticket = waiters_.oldest();
    told.push_back(ticket.session);
    ticket.waiting = false;
    waiters_.erase(ticket);
  }
  return told;
}

std::size_t Pool::opening_host(Instant now) {
  const std::lock_guard lock(mutex_);
  return opening_host_locked(now);
}

std::size_t Pool::opening_host_locked(Instant now) {
  if (terms_->target.cluster != nullptr) {
    const Cluster::View& view = hosts_.look(*terms_->target.cluster);
    if (view.watched && view.writable(now)) return *view.primary;
  }
  if (!barred(preferred_host_)) return preferred_host_;
  const std::size_t hosts = terms_->target.hosts.size();
  for (std::size_t i = 1; i < hosts; ++i) {
    if (const std::size_t next = (preferred_host_ + i) % hosts; !barred(next)) return next;
  }
  return preferred_host_;
}

// What speaks against a host whoever else is there.
bool Pool::barred(std::size_t host) {
  if (terms_->target.cluster == nullptr) return false;
  const Cluster& cluster = *terms_->target.cluster;
  const Cluster::View& view = hosts_.look(cluster);
  return cluster.shut(host) || (host < view.hosts.size() && view.hosts[host].fenced);
}

// Nothing is opened there, and nobody waits for it: others will do.
Pool::ReaderShut Pool::reader_shut() {
  const PoolTarget& target = terms_->target;
  if (target.read_cluster == nullptr) return ReaderShut::no;
  if (target.read_cluster->shut(target.read_host)) return ReaderShut::ordered;
  const Cluster::View& view = hosts_.look(*target.read_cluster);
  if (!view.watched || target.read_host >= view.hosts.size()) return ReaderShut::no;
  const routing::Why why = view.hosts[target.read_host].no_reads;
  const bool down = why == routing::Why::down || why == routing::Why::silent;
  return down ? ReaderShut::down : ReaderShut::no;
}

std::vector<SessionKey> Pool::leave_host(ReaderShut& why) {
  const std::lock_guard lock(mutex_);
  why = reader_shut();
  return why == ReaderShut::no ? std::vector<SessionKey>() : dismiss_waiters();
}

Pool::Fit Pool::fit(const Endpoint& host) {
  const std::lock_guard lock(mutex_);
  const PoolTarget& target = terms_->target;
  const auto listed = std::ranges::find(target.hosts, host);
  if (target.cluster == nullptr || listed == target.hosts.end()) return Fit::good;
  const auto index = static_cast<std::size_t>(listed - target.hosts.begin());
  if (barred(index)) return Fit::barred;
  const Cluster::View& view = hosts_.look(*target.cluster);
  return !in_charge(view) || view.primary == index ? Fit::good : Fit::no_primary;
}

std::optional<std::size_t> Pool::next_host(std::size_t host, bool any_role, Instant now) {
  const std::lock_guard lock(mutex_);
  const std::size_t hosts = terms_->target.hosts.size();
  if (terms_->target.cluster != nullptr && !any_role) {
    const Cluster::View& view = hosts_.look(*terms_->target.cluster);
    const auto primary = view.writable(now);
    if (in_charge(view)) return primary != host ? primary : std::nullopt;
  }
  for (std::size_t i = 1; i <= hosts; ++i) {
    if (const std::size_t next = (host + i) % hosts; !barred(next)) return next;
  }
  return std::nullopt;
}

bool Pool::watched() {
  const std::lock_guard lock(mutex_);
  return terms_->target.cluster != nullptr && in_charge(hosts_.look(*terms_->target.cluster));
}

void Pool::standby_refused(Instant now) {
  const std::lock_guard lock(mutex_);
  const PoolTarget& target = terms_->target;
  const bool watched = target.cluster != nullptr && in_charge(hosts_.look(*target.cluster));
  // What only clients can open again is kept.
  if (is_reader() || watched || !can_open()) return;
  const Instant last = standbys_until();
  if (last != Instant::min() && now - last < kLeaveStandbys) return;
  standbys_until_.store(now, std::memory_order_relaxed);
}

std::size_t Pool::preferred_host() const {
  const std::lock_guard lock(mutex_);
  return preferred_host_;
}

void Pool::prefer_host(std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (index < terms_->target.hosts.size()) preferred_host_ = index;
}

bool Pool::avoid_host(std::size_t index, Instant now) {
  const std::lock_guard lock(mutex_);
  if (index >= terms_->target.hosts.size()) return true;  // of a list that was replaced
  avoided_until_.resize(terms_->target.hosts.size());
  avoided_until_[index] = now + kAvoidHost;
  for (std::size_t i = 1; i < terms_->target.hosts.size(); ++i) {
    const std::size_t next = (index + i) % terms_->target.hosts.size();
    if (now < avoided_until_[next]) continue;
    preferred_host_ = next;
    return true;
  }
  return false;
}

}  // namespace forebay::core
