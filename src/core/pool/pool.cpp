#include "core/pool/pool.hpp"

#include <algorithm>
#include <utility>

#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::core {
namespace {

using std::chrono::milliseconds;

/// The first pause after a failed login, and the longest.
constexpr milliseconds kBackoffMin{50};
constexpr milliseconds kBackoffMax{1000};
/// Failures further apart than this, while nobody tries, are not the same trouble.
constexpr milliseconds kTroubleOver{5000};
/// A host that a login for reads failed at is not read from for so long.
constexpr milliseconds kShunReader{1000};
/// A database that was to be dropped, renamed or copied is left alone for so long.
constexpr milliseconds kVacant{10'000};

}  // namespace

Pool::Pool(Setup setup)
    : key_(std::move(setup.key)),
      serial_(setup.serial),
      catalog_(std::move(setup.catalog)),
      statistics_(setup.statistics != nullptr
                      ? std::move(setup.statistics)
                      : std::make_shared<PoolStatistics>(setup.workers, key_.database, key_.user)),
      terms_(terms_of(setup)),
      current_(terms_.get()),
      parked_(setup.workers),
      credential_(std::move(setup.credential)),
      paused_(setup.paused) {}

Pool::~Pool() {
  FB_ASSERT(waiters_.empty());
  for (const ParkedList& list : parked_) FB_ASSERT(list.empty());
}

// ---------------------------------------------------------------- reload

std::shared_ptr<const Pool::Terms> Pool::terms_of(Setup& setup) {
  FB_ASSERT(!setup.target.hosts.empty());
  return std::make_shared<const Terms>(
      Terms{std::move(setup.target), setup.settings, std::max(1u, setup.max_connecting),
            setup.unavailable_timeout, std::move(setup.quotas), std::move(setup.host_quotas),
            std::move(setup.readers)});
}

void Pool::replace(Setup setup, Replaced& replaced) {
  const std::lock_guard lock(mutex_);
  const PoolTarget& before = terms_->target;
  PoolTarget& after = setup.target;
  const bool same = after.database == before.database && after.tls_settings == before.tls_settings;
  after.generation = before.generation + (same ? 0 : 1);
  if (!same || after.hosts != before.hosts) forget_servers(before, after);
  if (setup.credential || !learned_) {
    credential_ = std::move(setup.credential);
    learned_ = false;
  }
  // Whatever failed may have been put right.
  failures_ = 0;
  next_open_ = {};
  unavailable_since_ = kNever;
  set_terms(terms_of(setup), replaced);
}

void Pool::give_up(Replaced& replaced) {
  const std::lock_guard lock(mutex_);
  Terms terms = *terms_;
  ++terms.target.generation;
  terms.settings.min_pool_size = 0;
  set_terms(std::make_shared<const Terms>(std::move(terms)), replaced);
}

// What servers said of themselves does not hold for others.
void Pool::forget_servers(const PoolTarget& before, const PoolTarget& after) {
  const Endpoint& preferred = before.hosts[preferred_host_];
  const auto kept = std::find(after.hosts.begin(), after.hosts.end(), preferred);
  preferred_host_ =
      kept == after.hosts.end() ? 0 : static_cast<std::size_t>(kept - after.hosts.begin());
  avoided_until_.clear();
  welcome_ = nullptr;
  accepted_.clear();
}

// Links that are there move from the old limits to the new ones, over them if need be.
void Pool::set_terms(std::shared_ptr<const Terms> terms, Replaced& replaced) {
  for (const auto& quota : terms->quotas) quota->take(total_);
  for (const auto& quota : terms_->quotas) quota->release(total_);
  current_.store(terms.get(), std::memory_order_release);
  replaced.push_back(std::exchange(terms_, std::move(terms)));
}

std::uint32_t Pool::excess(const ServerLink& link) const {
  const std::lock_guard lock(mutex_);
  return excess_locked(link);
}

std::uint32_t Pool::excess_locked(const ServerLink& link) const {
  // What was opened from the reserve goes when nobody waits.
  const config::PoolSettings& settings = terms_->settings;
  const std::uint32_t size = settings.pool_size + (waiters_.empty() ? 0 : settings.reserve());
  std::uint32_t excess = total_ > size ? total_ - size : 0;
  for (const auto& quota : terms_->quotas) excess = std::max(excess, quota->excess());
  if (const auto& place = link.place()) excess = std::max(excess, place->excess());
  // Where two workers give one back each and one is too much, one goes.
  return excess > leaving_ ? excess - leaving_ : 0;
}

// ---------------------------------------------------------------- who gets which

Pool::Acquired Pool::acquire(Ticket& ticket, Instant now) {
  const std::lock_guard lock(mutex_);
  Acquired acquired;
  acquired.no_primary = !paused_ && !has_primary(now);
  if (waiters_.empty() && !paused_ && !acquired.no_primary && !awaits_tables()) {
    if (ParkedList* list = choose(ticket.session.worker)) {
      Parking& parking = list->front();
      acquired.home = parking.home;
      acquired.link = &parking.link;
      acquired.kind =
          parking.home == ticket.session.worker ? Acquired::Kind::here : Acquired::Kind::elsewhere;
      list->pop_front();
      note_in_flight();
      return acquired;
    }
  }
  if (!can_open() && total_ == 0 && !paused_) {
    acquired.kind = Acquired::Kind::hopeless;
    return acquired;
  }
  FB_ASSERT(!ticket.waiting);
  ticket.since = now;
  ticket.waiting = true;
  waiters_.push(ticket);
  acquired.open = plan_locked(now, true, &acquired.starved_by);
  note_in_flight();
  return acquired;
}

bool Pool::waits(const Ticket& ticket) const {
  const std::lock_guard lock(mutex_);
  return ticket.waiting;
}

bool Pool::withdraw(Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  if (!ticket.waiting) return false;
  ticket.waiting = false;
  waiters_.erase(ticket);
  note_in_flight();
  return true;
}

// The list whose first link to take: the caller's own, else the longest; with round robin the one
// whose first link rests longest.
Pool::ParkedList* Pool::choose(WorkerId here) {
  ParkedList& own = parked_[here.value()];
  if (!terms_->settings.server_round_robin && !own.empty()) return &own;
  ParkedList* best = nullptr;
  for (ParkedList& list : parked_) {
    if (list.empty()) continue;
    const bool better = best == nullptr || (terms_->settings.server_round_robin
                                                ? list.front().since < best->front().since
                                                : list.size() > best->size());
    if (better) best = &list;
  }
  return best;
}

Pool::Released Pool::release(ServerLink& link, WorkerId here, Instant now, bool worn) {
  const std::lock_guard lock(mutex_);
  const bool has_waiter = !waiters_.empty() && !paused_ && serves(now);
  if (worn || excess_locked(link) > 0 || unwanted_locked(link) || claimed(link, has_waiter, now)) {
    return leave(link);
  }
  if (has_waiter) {
    Ticket& ticket = waiters_.pop(here, now);
    ticket.waiting = false;
    note_in_flight();
    return {Released::Kind::give, ticket.session};
  }
  Parking& parking = link.parking();
  parking.home = here;
  parking.since = now;
  ParkedList& list = parked_[here.value()];
  if (terms_->settings.server_round_robin) {
    list.push_back(parking);
  } else {
    list.push_front(parking);
  }
  note_in_flight();
  return {Released::Kind::parked, {}};
}

// Whether another pool below the same limit is to have the link's place.
bool Pool::claimed(const ServerLink& link, bool has_waiter, Instant now) const {
  const auto claims = [&](const Quota& quota) {
    if (!quota.any_starved()) return false;
    return quota.claims_link(needy(has_waiter ? waiters_.oldest().since : kNever), now);
  };
  for (const auto& quota : terms_->quotas) {
    if (claims(*quota)) return true;
  }
  return link.place() != nullptr && claims(*link.place());
}

Pool::Released Pool::leave(ServerLink& link) {
  link.parking().leaving = true;
  ++leaving_;
  return {Released::Kind::close, {}};
}

bool Pool::retire(ServerLink& link) {
  const std::lock_guard lock(mutex_);
  Parking& parking = link.parking();
  if (!parking.hook.is_linked()) return false;
  ParkedList& list = parked_[parking.home.value()];
  list.erase(list.iterator_to(parking));
  return true;
}

Parking* Pool::longest_idle(const Quota& quota) const {
  const bool counts_all =
      std::ranges::any_of(terms_->quotas, [&](const auto& known) { return known.get() == &quota; });
  Parking* longest = nullptr;
  for (const ParkedList& list : parked_) {
    for (const Parking& parking : list) {
      if (!counts_all && parking.link.place().get() != &quota) continue;
      if (longest == nullptr || parking.since < longest->since) {
        longest = &const_cast<Parking&>(parking);
      }
    }
  }
  return longest;
}

Instant Pool::idle_since(const Quota& quota) const {
  const std::lock_guard lock(mutex_);
  const Parking* longest = longest_idle(quota);
  return longest == nullptr ? kNever : longest->since;
}

ServerLink* Pool::retire_idle(const Quota& quota, WorkerId& home) {
  const std::lock_guard lock(mutex_);
  Parking* longest = longest_idle(quota);
  if (longest == nullptr) return nullptr;
  home = longest->home;
  ParkedList& list = parked_[home.value()];
  list.erase(list.iterator_to(*longest));
  return &longest->link;
}

// ---------------------------------------------------------------- what operators ask for

void Pool::pause() {
  const std::lock_guard lock(mutex_);
  paused_ = true;
}

std::vector<Pool::Served> Pool::resume() {
  const std::lock_guard lock(mutex_);
  paused_ = false;
  std::vector<Served> served;
  // Those of a cluster are served by the tick, when there is a primary.
  if (terms_->target.cluster != nullptr) return served;
  while (!waiters_.empty()) {
    ParkedList* list = choose(waiters_.next().session.worker);
    if (list == nullptr) break;
    Parking& parking = list->front();
    list->pop_front();
    Ticket& ticket = waiters_.pop();
    ticket.waiting = false;
    served.push_back({&parking.link, parking.home, ticket.session});
  }
  return served;
}

bool Pool::paused() const {
  const std::lock_guard lock(mutex_);
  return paused_;
}

bool Pool::to_be_empty(Instant now) const {
  const std::lock_guard lock(mutex_);
  return (paused_ && total_ == 0) || (now < refill_from_ && clients_ == 0);
}

void Pool::reconnect(Instant now) {
  const std::lock_guard lock(mutex_);
  opened_since_ = now;
}

void Pool::vacate(Instant now) {
  const std::lock_guard lock(mutex_);
  opened_since_ = now;
  refill_from_ = now + kVacant;
}

std::vector<Pool::Retired> Pool::role_renamed() {
  const std::lock_guard lock(mutex_);
  role_renamings_.fetch_add(1, std::memory_order_relaxed);
  trusted_until_ = {};
  welcome_ = nullptr;
  std::vector<Retired> retired;
  for (ParkedList& list : parked_) {
    while (!list.empty()) {
      retired.push_back({&list.front().link, list.front().home});
      list.pop_front();
    }
  }
  return retired;
}

bool Pool::unwanted(const ServerLink& link) const {
  const std::lock_guard lock(mutex_);
  return unwanted_locked(link);
}

bool Pool::unwanted_locked(const ServerLink& link) const {
  return (paused_ && can_open()) || link.opened() < opened_since_ ||
         link.role_renamings() != role_renamings();
}

// ---------------------------------------------------------------- how many there are

void Pool::forget_failures(Instant now) {
  const std::lock_guard lock(mutex_);
  forget_failures_locked(now);
}

void Pool::forget_failures_locked(Instant now) noexcept {
  failures_ = 0;
  next_open_ = now;
  unavailable_since_ = kNever;
}

std::uint32_t Pool::plan(Instant now, bool refill, std::shared_ptr<Quota>* starved_by) {
  const std::lock_guard lock(mutex_);
  return plan_locked(now, refill, starved_by);
}

std::uint32_t Pool::plan_locked(Instant now, bool refill, std::shared_ptr<Quota>* starved_by) {
  if (!has_primary(now)) {
    // Once there is one, what failed before it came means nothing.
    forget_failures_locked(now);
    return 0;
  }
  if (!can_open() || paused_ || now < next_open_) return 0;
  if (reader_shut() != ReaderShut::no) return 0;
  if (failures_ > 0 && now - next_open_ > kTroubleOver) forget_failures_locked(now);
  const auto waiting = static_cast<std::uint32_t>(waiters_.size());
  // After a failure one attempt at a time shows whether the server is back.
  const std::uint32_t parallel = failures_ > 0 ? 1 : terms_->max_connecting;
  const std::uint32_t missing =
      refill && now >= refill_from_ && total_ < terms_->settings.min_pool_size
          ? terms_->settings.min_pool_size - total_
          : 0;
  std::uint32_t planned = 0;
  const std::uint32_t size = size_now(now);
  const std::shared_ptr<Quota> host = host_quota(opening_host_locked(now));
  while (opening_ < parallel && total_ < size && (opening_ < waiting || planned < missing)) {
    // Each link takes its place there itself, when it is known which host it connects to.
    if (host != nullptr && host->full(planned)) {
      if (opening_ < waiting) starve(host, starved_by);
      break;
    }
    if (!reserve_quotas(opening_ < waiting, starved_by)) break;
    ++opening_;
    ++total_;
    ++planned;
  }
  return planned;
}

// How many links there may be: the reserve counts once somebody has waited for long.
std::uint32_t Pool::size_now(Instant now) const noexcept {
  const config::PoolSettings& settings = terms_->settings;
  const bool late = settings.reserve() > 0 && !waiters_.empty() &&
                    now - waiters_.oldest().since >= settings.reserve_pool_timeout;
  return settings.pool_size + (late ? settings.reserve() : 0);
}

bool Pool::reserve_login() {
  const std::lock_guard lock(mutex_);
  if (total_ >= terms_->settings.pool_size || !reserve_quotas(false, nullptr)) return false;
  ++opening_;
  ++total_;
  return true;
}

bool Pool::reserve_spare() {
  const std::lock_guard lock(mutex_);
  const std::uint32_t size = terms_->settings.pool_size;
  const bool parked = std::ranges::any_of(parked_, [](const auto& one) { return !one.empty(); });
  if (paused_ || !waiters_.empty() || total_ + (parked ? 1 : 2) > size) return false;
  const bool last =
      std::ranges::any_of(terms_->quotas, [](const auto& one) { return one->full(1); });
  if (last || !reserve_quotas(false, nullptr)) return false;
  ++total_;
  note_in_flight();
  return true;
}

// Only for the sake of a waiter may others be asked to give up a link.
bool Pool::reserve_quotas(bool for_waiter, std::shared_ptr<Quota>* starved_by) {
  for (std::size_t i = 0; i < terms_->quotas.size(); ++i) {
    if (terms_->quotas[i]->try_reserve()) continue;
    if (for_waiter) starve(terms_->quotas[i], starved_by);
    while (i > 0) terms_->quotas[--i]->release();
    return false;
  }
  return true;
}

Quota::Needy Pool::needy(Instant since) const {
  return {weak_from_this(), since, total_, terms_->settings.pool_weight};
}

void Pool::starve(const std::shared_ptr<Quota>& quota, std::shared_ptr<Quota>* starved_by) {
  quota->add_starved(needy(waiters_.oldest().since));
  if (starved_by != nullptr) *starved_by = quota;
}

void Pool::starved_by(Quota& quota) {
  const std::lock_guard lock(mutex_);
  if (!waiters_.empty()) quota.add_starved(needy(waiters_.oldest().since));
}

void Pool::release_quotas() {
  for (const auto& quota : terms_->quotas) quota->release();
}

void Pool::opened(Instant now) {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(opening_ > 0);
  --opening_;
  note_in_flight();
  forget_failures_locked(now);
}

std::vector<SessionKey> Pool::open_failed(Instant now, const Refused& reason, bool lasting,
                                          double jitter) {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(opening_ > 0 && total_ > 0);
  --opening_;
  --total_;
  release_quotas();
  note_in_flight();
  const auto pause = std::min(kBackoffMax, kBackoffMin * (1u << std::min(failures_, 5u)));
  ++failures_;
  next_open_ = now + milliseconds(static_cast<std::int64_t>(static_cast<double>(pause.count()) *
                                                            (0.5 + 0.5 * jitter)));
  // Where there are links, this is no more than one that was refused.
  unavailable_since_ = established() > 0 ? kNever : std::min(unavailable_since_, now);
  last_refusal_ = reason;
  last_lasting_ = lasting;
  // What a client's login taught us does not hold any more: the next login teaches us anew.
  if (lasting && reason.sqlstate.starts_with("28") && learned_) credential_.reset();

  if (is_reader()) {
    // Its links serve who waits. Without any, another server does as well.
    if (established() > 0) return {};
    shunned_until_.store(std::max(next_open_, now + kShunReader), std::memory_order_relaxed);
    return dismiss_waiters();
  }
  const bool given_up = lasting || unavailable_for_long(now);
  // While some link lives, its next release serves the queue.
  if (!given_up || total_ > 0) return {};
  return dismiss_waiters();
}

bool Pool::unavailable_for_long(Instant now) const noexcept {
  return unavailable_since_ != kNever && now - unavailable_since_ >= terms_->unavailable_timeout;
}

void Pool::open_abandoned() {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(opening_ > 0 && total_ > 0);
  --opening_;
  --total_;
  release_quotas();
  note_in_flight();
}

std::vector<SessionKey> Pool::login_failed(const Refused& reason) {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(opening_ > 0 && total_ > 0);
  --opening_;
  --total_;
  release_quotas();
  note_in_flight();
  if (can_open() || total_ > 0) return {};
  last_refusal_ = reason;
  last_lasting_ = true;
  return dismiss_waiters();
}

std::vector<SessionKey> Pool::closed(bool leaving) {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(total_ > opening_);
  --total_;
  if (leaving) --leaving_;
  release_quotas();
  note_in_flight();
  if (can_open() || total_ > 0) return {};
  return dismiss_waiters();
}

// Only readers are compared. With the mutex held.
void Pool::note_in_flight() noexcept {
  if (!is_reader()) return;
  std::size_t parked = 0;
  for (const ParkedList& list : parked_) parked += list.size();
  // What is being opened is for who waits.
  const auto coming = std::max<std::size_t>(opening_, waiters_.size());
  in_flight_.store(static_cast<std::uint32_t>(total_ - opening_ - parked + coming),
                   std::memory_order_relaxed);
}

std::vector<SessionKey> Pool::dismiss_waiters() {
  std::vector<SessionKey> told;
  while (!waiters_.empty()) {
    Ticket& ticket = waiters_.pop();
    told.push_back(ticket.session);
    ticket.waiting = false;
  }
  note_in_flight();
  return told;
}

std::optional<Refused> Pool::unavailable(Instant now) const {
  const std::lock_guard lock(mutex_);
  if (failures_ == 0 || established() > 0 || opening_ > 0 || now >= next_open_) return {};
  if (!last_lasting_ && !unavailable_for_long(now)) return {};
  return last_refusal_;
}

bool Pool::server_full() const {
  const std::lock_guard lock(mutex_);
  return failures_ > 0 && last_refusal_.sqlstate == pg::sqlstate::kTooManyConnections;
}

Pool::Counts Pool::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts{.total = total_, .opening = opening_, .clients = clients_, .reopens = can_open()};
  for (const ParkedList& list : parked_) counts.parked += static_cast<std::uint32_t>(list.size());
  counts.waiting = static_cast<std::uint32_t>(waiters_.size());
  if (!waiters_.empty()) counts.oldest_wait = waiters_.oldest().since;
  return counts;
}

void Pool::client_came() {
  statistics_->note_client();
  const std::lock_guard lock(mutex_);
  ++clients_;
}

void Pool::client_went() {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(clients_ > 0);
  --clients_;
}

}  // namespace forebay::core
