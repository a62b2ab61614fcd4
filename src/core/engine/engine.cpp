#include "core/engine/engine.hpp"

#include <algorithm>
#include <utility>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::core {
namespace {

using std::chrono::milliseconds;

/// While somebody waits, pools are looked at this often, else at the longer interval.
constexpr milliseconds kTickBusy{100};
constexpr milliseconds kTickIdle{1000};
/// Parked links are looked at this often: too old, too many.
constexpr milliseconds kLookAfter{1000};

/// What a worker remembers of statements takes so much at most.
constexpr std::size_t kFactsBytes = 16 * 1024 * 1024;

// While there is no primary, who comes in is to wait for one: until then somebody has to watch. A
// pool that is referred to is in use.
std::vector<std::shared_ptr<Pool>> watching(const PoolDirectory& pools, Instant now,
                                            Duration hold) {
  std::vector<std::shared_ptr<Pool>> kept;
  for (const auto& pool : pools.all()) {
    const auto& cluster = pool->target().cluster;
    if (cluster == nullptr || !pool->holds(now)) continue;
    if (now - cluster->view()->unwritable_since < hold) kept.push_back(pool);
  }
  return kept;
}

sql::HashSeed hash_seed(Io& io) {
  sql::HashSeed seed;
  io.entropy({reinterpret_cast<char*>(&seed), sizeof seed});
  return seed;
}

}  // namespace

Engine::Engine(Setup setup)
    : id_(setup.id),
      io_(setup.io),
      shared_(setup.shared),
      runtime_(std::move(setup.runtime)),
      reader_{{kFactsBytes, hash_seed(setup.io)}},
      measures_(shared_.measures[id_.value()]),
      sharing_rules_{.parameter_sets = shared_.parameter_sets,
                     .catalog = shared_.statements,
                     .max_prepared_statements = runtime_->config.max_prepared_statements,
                     .reader = &reader_,
                     .measures = &measures_},
      statement_rules_{.parameter_sets = shared_.parameter_sets,
                       .catalog = shared_.statements,
                       .one_at_a_time = true,
                       .max_prepared_statements = runtime_->config.max_prepared_statements,
                       .reader = &reader_,
                       .measures = &measures_},
      session_rules_{.parameter_sets = shared_.parameter_sets,
                     .catalog = shared_.statements,
                     .share_statements = false,
                     .reader = &reader_,
                     .measures = &measures_},
      counters_(shared_.counters[id_.value()]),
      process_ids_(shared_.workers, runtime_->config.peer_id),
      tenant_orders_(shared_.tenant_orders) {
  reader_.worker = id_.value();
  io_.entropy({reinterpret_cast<char*>(&first_generation_), sizeof first_generation_});
  if (id_.value() == 0) {
    monitor_ = std::make_unique<Monitor>(*this);
    lookups_ = std::make_unique<Lookups>(*this);
    hubs_ = std::make_unique<ListenHubs>(*this);
  }
  const config::Config& config = runtime_->config;
  measures_.statements.set_max(config.statement_statistics);
  measures_.explains = config.slow_query_explains_per_minute > 0;
  measures_.full_text = config.slow_query_text == config::SlowQueryText::full;
  measures_.slow.keep_unwritten(!config.slow_query_log.empty());
  measures_.audit.follow(config.audit);
}

Engine::~Engine() {
  mail::Stop stop;
  receive(stop);
  end_turn();
  FB_ASSERT(sessions_.empty() && links_.empty());
  FB_ASSERT(buffers_.in_use() == 0);
}

// ---------------------------------------------------------------- turns

void Engine::begin_turn(Instant now) {
  now_ = now;
  measures_.now = now;
  if (!tick_timer_.armed()) timers_.arm(tick_timer_, now);
}

void Engine::end_turn() {
  timers_.advance(now_);
  for (mail::WaitFailed& failed : std::exchange(hopeless_, {})) receive(failed);
  dead_sessions_.clear();
  dead_links_.clear();
  dead_cancels_.clear();
  dead_consoles_.clear();
}

Instant Engine::next_deadline() const {
  return timers_.next(now_);
}

void Engine::on_tick(void* self) {
  static_cast<Engine*>(self)->tick();
}

void Engine::tick() {
  timers_.arm(tick_timer_, now_ + (waiting_ ? kTickBusy : kTickIdle));
  waiting_ = false;
  if (const std::uint64_t version = shared_.pools.version(); version != pools_version_) {
    pools_ = shared_.pools.all();
    pools_version_ = version;
  }
  if (monitor_ != nullptr && !draining_) {
    end_host_orders();
    monitor_->look(pools_);
  }
  if (monitor_ != nullptr) monitor_->look_at_tables(pools_);
  for (auto& [pool, gate] : gates_) start_login(pool, gate);
  std::erase_if(gates_, [](const auto& entry) { return entry.second.idle(); });
  for (const auto& pool : pools_) {
    const PoolTarget& target = pool->target();
    if (target.cluster != nullptr || target.tenant_tables) serve_waiters(*pool);
    if (pool->is_reader()) leave_shut(*pool);
    std::shared_ptr<Quota> starved_by;
    open_links(pool, pool->plan(now_, !draining_, &starved_by));
    if (starved_by != nullptr) make_room(*starved_by, *pool);
    if (pool->counts().waiting > 0) waiting_ = true;
  }
  if (hubs_ != nullptr) hubs_->look();
  if (now_ < next_look_) return;
  next_look_ = now_ + kLookAfter;
  if (id_.value() == 0) end_orders();
  look_after_links();
}

// Links that rest too long, or are too old. A worker sees to those that live with it.
void Engine::look_after_links() {
  std::vector<ServerLink*> leaving;
  std::map<Pool*, std::uint32_t> kept;
  for (ServerLink& link : links_) {
    if (link.phase() != ServerLink::Phase::parked) continue;
    const config::PoolSettings& settings = link.pool().settings();
    const bool old = link.worn(now_) || draining_;
    const bool idle = settings.server_idle_timeout.count() > 0 &&
                      now_ - link.parking().since >= settings.server_idle_timeout;
    const bool unwanted = link.outdated() || link.pool().excess(link) > kept[&link.pool()];
    if (!old && !idle && !unwanted) continue;
    // Without a credential of our own, what is closed here only a client can open again.
    const Pool::Counts counts = link.pool().counts();
    const std::uint32_t keep =
        link.pool().credential() || counts.clients == 0 ? settings.min_pool_size : 1;
    std::uint32_t& gone = kept[&link.pool()];
    if (!old && !unwanted && counts.total - gone <= keep) continue;
    if (old && !unwanted && !draining_ && !link.pool().credential() && counts.clients > 0) continue;
    ++gone;
    leaving.push_back(&link);
  }
  for (ServerLink* link : leaving) {
    if (link->pool().retire(*link)) link->close();
  }
  // A pool that some worker still looks after is in use.
  pools_.clear();
  pools_version_ = 0;
  if (id_.value() == 0) {
    const auto watched = watching(shared_.pools, now_, config().failover_hold);
    shared_.pools.drop_unused();
    if (lookups_ != nullptr) lookups_->look_after();
    if (shared_.consoles != nullptr) shared_.consoles->tick(now_);
  }
}

// ---------------------------------------------------------------- clients

void Engine::on_accepted(std::unique_ptr<Stream> stream, ListenerId listener) {
  if (stopped_) return;
  if (free_slots_.empty()) {
    if (slots_.size() > ProcessIds::kLastSlot) return;
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.push_back({nullptr, first_generation_});
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  SessionKey key{id_, slot, slots_[slot].generation};
  slots_[slot].generation = key.generation = process_ids_.next_generation(key);
  auto session = std::make_unique<ClientSession>(*this, key, std::move(stream));
  slots_[slot].session = session.get();
  sessions_.push_back(*session);
  counters_.clients_accepted.add();
  session.release()->begin(listener);
}

void Engine::on_accept_paused(const std::string& reason) {
  note({.weight = Weight::error,
        .event = "accept_paused",
        .text = "no new clients are accepted for now: " + reason +
                "; raise the limit of open files (LimitNOFILE, ulimit -n)"});
}

void Engine::on_accept_resumed() {
  note({.weight = Weight::normal, .event = "accept_resumed", .text = "clients are accepted again"});
}

void Engine::session_closed(ClientSession& session) {
  Slot& slot = slots_[session.key().slot];
  FB_ASSERT(slot.session == &session);
  slot.session = nullptr;
  free_slots_.push_back(session.key().slot);
  sessions_.erase(sessions_.iterator_to(session));
  counters_.clients_closed.add();
  dead_sessions_.emplace_back(&session);
}

ClientSession* Engine::find(SessionKey key) noexcept {
  if (key.slot >= slots_.size() || slots_[key.slot].generation != key.generation) return nullptr;
  return slots_[key.slot].session;
}

void Engine::tell(const std::vector<SessionKey>& sessions, const Refused& reason) {
  for (const SessionKey key : sessions) {
    mail::WaitFailed failed{key, reason};
    if (key.worker == id_) {
      receive(failed);
    } else {
      shared_.courier->send(key.worker, std::move(failed));
    }
  }
}

// ---------------------------------------------------------------- mail

void Engine::deliver(Mail mail) {
  if (stopped_) return;
  std::visit([this](auto& letter) { receive(letter); }, mail);
}

void Engine::receive(mail::WaitFailed& failed) {
  ClientSession* session = find(failed.session);
  if (session != nullptr && session->wants_link()) session->wait_failed(failed.reason);
}

void Engine::receive(mail::Admitted& admitted) {
  ClientSession* session = find(admitted.session);
  if (session == nullptr || !session->admit(*admitted.limit)) leave_limit(admitted.limit);
}

void Engine::leave_limit(const std::shared_ptr<StatementLimit>& limit) {
  for (const SessionKey session : limit->leave()) {
    shared_.courier->send(session.worker, mail::Admitted{limit, session});
  }
}

void Engine::admit_more(const std::shared_ptr<StatementLimit>& limit) {
  for (const SessionKey session : limit->admit_more()) {
    shared_.courier->send(session.worker, mail::Admitted{limit, session});
  }
}

void Engine::receive(mail::LookUp& wanted) {
  if (lookups_ != nullptr) lookups_->look_up(wanted.key, wanted.session);
}

void Engine::receive(mail::LookedUp& told) {
  ClientSession* session = find(told.session);
  if (session != nullptr) session->looked_up(std::move(told.secrets), told.refused);
}

void Engine::receive(mail::Drain&) {
  draining_ = true;
  std::vector<SessionKey> keys;
  for (const ClientSession& session : sessions_) keys.push_back(session.key());
  for (const SessionKey key : keys) {
    if (ClientSession* session = find(key)) session->drain();
  }
  look_after_links();
}

void Engine::receive(mail::Reload& reload) {
  runtime_ = std::move(reload.runtime);
  for (RelayRules* rules : {&sharing_rules_, &statement_rules_}) {
    rules->max_prepared_statements = config().max_prepared_statements;
  }
  measures_.audit.follow(config().audit);
  measures_.explains = config().slow_query_explains_per_minute > 0;
  if (lookups_ != nullptr) lookups_->begin_anew();
  if (monitor_ != nullptr) monitor_->on_reload();
  for (ServerLink& link : links_) link.reconsider();
  std::vector<SessionKey> keys;
  for (const ClientSession& session : sessions_) keys.push_back(session.key());
  for (const SessionKey key : keys) {
    if (ClientSession* session = find(key)) session->reconsider();
  }
  look_after_links();
  // Pools that may grow now do not wait for the next tick.
  timers_.arm(tick_timer_, now_);
}

// Only what leads to an address that is gone ends, and only when it is free.
void Engine::receive(mail::HostMoved& moved) {
  std::vector<ServerLink*> concerned;
  for (ServerLink& link : links_) {
    if (link.host().host == moved.host) concerned.push_back(&link);
  }
  for (ServerLink* link : concerned) link->host_moved(moved.addresses);
  if (monitor_ != nullptr) monitor_->host_moved(moved.host, moved.addresses);
  if (hubs_ != nullptr) hubs_->host_moved(moved.host, moved.addresses);
  look_after_links();
}

// With their streams: nothing is told to any of them any more, in this turn either.
void Engine::receive(mail::Stop&) {
  draining_ = true;
  stopped_ = true;
  monitor_.reset();
  lookups_.reset();
  hubs_.reset();
  while (!sessions_.empty()) {
    ClientSession& session = sessions_.front();
    session.fatal(terminated());
    session.close("shutdown");
  }
  explainer_.reset();
  consoles_.clear();
  std::vector<ServerLink*> links;
  for (ServerLink& link : links_) links.push_back(&link);
  for (ServerLink* link : links) {
    if (link->phase() == ServerLink::Phase::parked) link->pool().retire(*link);
    if (link->phase() == ServerLink::Phase::closed) {
      link_closed(*link);
    } else {
      link->close();
    }
  }
  cancels_.clear();
}

double Engine::random_fraction() {
  std::uint32_t bits = 0;
  io_.entropy({reinterpret_cast<char*>(&bits), sizeof bits});
  return static_cast<double>(bits) / 4294967296.0;
}

}  // namespace forebay::core
