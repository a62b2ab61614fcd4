#include <utility>

#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// How a server link is opened: host after host, with and without TLS, and its login.
namespace forebay::core {
namespace {

using config::TlsMode;

/// Lifetimes differ by so much, so that links opened together do not close together.
constexpr double kLifetimeJitter = 0.2;

}  // namespace

void ServerLink::open(ClientSession* for_client, bool relayed, bool dedicated, bool reserved) {
  client_ = for_client;
  opened_at_ = engine_->now();
  role_renamings_ = pool_->role_renamings();
  relayed_ = relayed;
  dedicated_ = dedicated;
  relay_.replication = dedicated;
  opening_ = std::make_unique<Opening>();
  opening_->host = pool_->opening_host(engine_->now());
  opening_->reserved = reserved;
  opening_->with_tls = pool_->target().tls_mode != TlsMode::allow;
  if (client_ != nullptr) client_->expect_link(*this);
  connect();
}

void ServerLink::connect() {
  drop_question();
  const PoolTarget& target = pool_->target();
  opening_->host %= target.hosts.size();  // another list may have come meanwhile
  host_ = target.hosts[opening_->host];
  generation_ = target.generation;
  outdated_ = moved_ = removed_ = false;
  opening_->tls = target.tls;
  const std::shared_ptr<Quota> quota = pool_->host_quota(opening_->host);
  if (opening_->reserved && !take_place(quota)) {
    if (client_ == nullptr) {
      pool_->starved_by(*quota);
      close();
      return;
    }
    // The client is to be let in all the same; its link goes after that.
    opening_->reserved = false;
    pool_->open_abandoned();
  }
  watch_fence(target, opening_->host);
  engine_->timers().arm(timer_, engine_->now() + engine_->config().server_connect_timeout);
  opening_->login = std::make_unique<LinkLogin>(login_setup(target));
  tls_ = nullptr;
  stream_ = engine_->io().connect(host_, *this);
}

// A place below the limit of the host that it connects to. False: there is a limit, and no place.
bool ServerLink::take_place(std::shared_ptr<Quota> quota) {
  if (quota == place_) return true;
  if (quota != nullptr && !quota->try_reserve()) return false;
  static_cast<void>(leave_place());
  place_ = std::move(quota);
  return true;
}

std::shared_ptr<Quota> ServerLink::leave_place() noexcept {
  if (place_ != nullptr) place_->release();
  return std::exchange(place_, nullptr);
}

// A link that logged in for a client counts from here on, if there is room for it.
bool ServerLink::count_in() {
  if (dedicated_ || !pool_->reserve_login()) return false;
  if (take_place(pool_->host_quota(opening_->host))) return true;
  pool_->open_abandoned();
  return false;
}

LinkLogin::Setup ServerLink::login_setup(const PoolTarget& target) {
  LinkLogin::Setup setup;
  setup.user = pool_->key().user;
  setup.database = target.database;
  setup.version = opening_->version;
  setup.tls_mode = host_.is_unix() || target.tls == nullptr ? TlsMode::disable : target.tls_mode;
  // SCRAM from a client inside TLS does not fit a server inside TLS: the two would have to agree on
  // channel binding. Where it need not be TLS to the server, it is plain for such a login.
  if (relayed_ && client_ != nullptr && client_->secure() && setup.tls_mode == TlsMode::prefer &&
      opening_->retried == LinkLogin::Retry::none) {
    setup.tls_mode = TlsMode::allow;
    opening_->with_tls = false;
  }
  setup.begin_with_tls = opening_->with_tls;
  // A client that answers for itself would have shown it to a server of this machine anyway.
  setup.cleartext_allowed =
      host_.is_unix() || (relayed_ && host_.is_local()) || engine_->config().cleartext_without_tls;
  if (!relayed_) setup.credential = pool_->credential().value_or(auth::NoCredential{});
  if (dedicated_) {
    const StartupFacts& facts = client_->startup();
    setup.parameters.emplace_back("replication", facts.replication_value);
    for (const auto& setting : facts.settings) setup.parameters.push_back(setting);
  }
  engine_->io().entropy(setup.nonce);
  return setup;
}

void ServerLink::send_raw(std::string bytes) {
  engine_->to_server().insert().append(bytes);
  send(engine_->to_server());
  auth::wipe(bytes);
}

void ServerLink::on_connected() {
  std::string out;
  opening_->login->connected(out);
  send_raw(std::move(out));
}

void ServerLink::on_secured() {
  tls_ = opening_->tls;
  std::string out;
  opening_->login->secured(*stream_->tls(), out);
  send_raw(std::move(out));
}

void ServerLink::opening_received(Bytes bytes) {
  if (question_ != nullptr) {
    question_received(bytes);
    return;
  }
  received_.append(engine_->buffers(), bytes);
  while (phase_ == Phase::opening && !received_.empty()) {
    std::size_t consumed = 0;
    std::string out;
    const Stream* stream = stream_.get();
    LinkLogin::Outcome outcome = opening_->login->receive(received_.view(), consumed, out);
    if (!out.empty()) send_raw(std::move(out));
    if (const auto* challenge = std::get_if<LinkLogin::Challenge>(&outcome)) {
      // It shows bytes that stand in what was received: consumed only after this.
      challenged(challenge->message);
      if (phase_ != Phase::opening || stream_.get() != stream) return;
      received_.consume(engine_->buffers(), consumed);
      continue;
    }
    received_.consume(engine_->buffers(), consumed);
    // From here on the link may be gone, or with another worker.
    if (!handle(std::move(outcome)) || consumed == 0) return;
  }
}

void ServerLink::challenged(Bytes message) {
  if (client_ == nullptr) {
    close();
    return;
  }
  opening_->client_asked = true;
  client_->challenged(message, *opening_->login);
}

// Does what a step of the login asks for. False when the login is over, or begins anew.
bool ServerLink::handle(LinkLogin::Outcome outcome) {
  if (auto* need = std::get_if<LinkLogin::NeedKeys>(&outcome)) {
    const auto* password = std::get_if<auth::Password>(&opening_->login->credential());
    FB_ASSERT(password != nullptr);
    std::string out;
    LinkLogin::Outcome next =
        opening_->login->supply(pool_->scram_keys(*password, need->request), out);
    if (!out.empty()) send_raw(std::move(out));
    return handle(std::move(next));
  }
  if (std::holds_alternative<LinkLogin::StartTls>(outcome)) {
    stream_->start_tls_client(opening_->tls, host_.host, false);
    return true;
  }
  if (std::holds_alternative<LinkLogin::Authenticated>(outcome)) {
    if (relayed_ && client_ != nullptr) client_->let_in_by_server(*opening_->login);
    return phase_ == Phase::opening;
  }
  if (std::holds_alternative<LinkLogin::Ready>(outcome)) {
    on_ready();
    return false;
  }
  if (auto* failed = std::get_if<LinkLogin::Failed>(&outcome)) {
    on_login_failed(std::move(*failed));
    return false;
  }
  return true;
}

void ServerLink::answer(Bytes message) {
  engine_->to_server().insert().append(message);
  send(engine_->to_server());
}

void ServerLink::answer_with(auth::Credential credential) {
  std::string out;
  auth::ScramNonce nonce;
  engine_->io().entropy(nonce);
  LinkLogin::Outcome outcome = opening_->login->answer_with(std::move(credential), nonce, out);
  if (!out.empty()) send_raw(std::move(out));
  handle(std::move(outcome));
}

void ServerLink::on_ready() {
  LinkLogin& login = *opening_->login;
  // What the monitor may ask with is known before it matters what it says.
  if (relayed_ && login.asked_nothing()) pool_->learn_credential(auth::NoCredential{});
  if (relayed_ && !login.relayed()) pool_->learn_credential(login.credential());
  if ((login.standby() && leave_standby()) || leave_unfit()) return;
  timer_.cancel();
  relay_.settings = engine_->shared().parameter_sets.empty();
  relay_.reported = login.welcome();
  relay_.welcome = relay_.replication ? pool_->alone(std::move(login.welcome()))
                                      : pool_->learn_welcome(std::move(login.welcome()));
  relay_.process_id = login.process_id();
  key_ = login.key();
  pool_->prefer_host(opening_->host);
  const auto lifetime = pool_->settings().server_lifetime;
  if (lifetime.count() > 0) {
    const double factor = 1.0 - kLifetimeJitter * engine_->random_fraction();
    expires_ = engine_->now() + std::chrono::milliseconds(static_cast<std::int64_t>(
                                    static_cast<double>(lifetime.count()) * factor));
  }
  engine_->counters().links_opened.add();
  host_place_.take(engine_->shared().hosts.of(host_));
  engine_->note({.weight = Weight::detail,
                 .event = "server_connected",
                 .text = tls_ ? "logged in to the server, inside TLS" : "logged in to the server",
                 .database = pool_->key().database,
                 .user = pool_->key().user,
                 .host = to_string(host_)});
  has_catalog_ = has_catalog();
  follow_effects(pool_->settings().pool_mode);
  if (!ask_effects()) in_use();
}

// Writes need the primary: a standby serves only when no other host does better. True when the
// login goes on elsewhere.
bool ServerLink::leave_standby() {
  if (opening_->accept_standby || pool_->target().hosts.size() < 2) return false;
  opening_->standby_seen = true;
  if (pool_->watched()) {
    engine_->suspect(*pool_);
    if (client_ != nullptr) {
      // Good enough to say who the client is; its statements go to the primary.
      relay_.poisoned = !dedicated_;
      return false;
    }
    if (try_next_host()) return true;
    open_failed(
        {pg::sqlstate::kCannotConnectNow, "server \"" + to_string(host_) + "\" is a standby"},
        false);
    return true;
  }
  if (client_ == nullptr) return try_next_host();
  if (dedicated_ || !pool_->avoid_host(opening_->host, engine_->now())) return false;
  LinkLogin& login = *opening_->login;
  if (login.relayed()) {
    // The exchange was the client's own, and cannot be had twice.
    open_failed(
        {pg::sqlstate::kCannotConnectNow, "server \"" + to_string(host_) + "\" is a standby",
         "The next login goes to another host of the cluster.", "Connect again."},
        false);
    return true;
  }
  // What the client showed opens the others, too.
  if (login.asked_nothing()) {
    pool_->learn_credential(auth::NoCredential{});
  } else {
    pool_->learn_credential(login.credential());
  }
  ClientSession* client = std::exchange(client_, nullptr);
  close();
  client->login_done();
  return true;
}

// Since the host was chosen, its role may have gone to another. True when the login goes on there,
// or is over.
bool ServerLink::leave_unfit() {
  const Pool::Fit fit = pool_->fit(host_);
  // Who replicates may do so from a standby.
  if (fit == Pool::Fit::good || (dedicated_ && fit == Pool::Fit::no_primary)) return false;
  engine_->suspect(*pool_);
  if (any_role()) {
    relay_.poisoned = true;
    return false;
  }
  if (client_ == nullptr && try_next_host()) return true;
  open_failed({pg::sqlstate::kCannotConnectNow,
               "server \"" + to_string(host_) +
                   (fit == Pool::Fit::barred ? "\" is drained, banned or fenced: see SHOW HOSTS"
                                             : "\" is not the primary any more")},
              false);
  return true;
}

// Logged in: whose is it now?
void ServerLink::in_use() {
  counted_ = opening_->reserved || count_in();
  opening_.reset();
  if (relayed_) engine_->leave_login(pool_);
  ClientSession* client = client_;
  if (dedicated_) {
    enter(Phase::linked);
    client->login_link_ready(*this);
    return;
  }
  client_ = nullptr;
  enter(Phase::parked);
  // What the server said beyond its greeting is for nobody yet.
  if (!received_.empty()) {
    ServerRelay relay(engine_->rules(config::PoolMode::session), relay_, nullptr,
                      engine_->to_client(), engine_->counters());
    const ServerRelay::Progress progress = relay.from_server(received_.view());
    const bool fine = progress.verdict == ServerRelay::Verdict::fine;
    if (!fine || progress.consumed != received_.size()) relay_.poisoned = true;
    received_.clear(engine_->buffers());
  }
  if (counted_) {
    pool_->opened(engine_->now());
    engine_->release(*this);
  } else {
    close();
  }
  // The link may be gone from here on.
  if (client != nullptr) client->login_done();
}

// ---------------------------------------------------------------- failures

void ServerLink::on_login_failed(LinkLogin::Failed failed) {
  engine_->suspect(*pool_);
  // What was given up says nothing about versions or TLS.
  if (!fenced() && try_again(failed)) return;
  if (failed.reason.sqlstate.empty()) failed.reason.sqlstate = pg::sqlstate::kConnectionFailure;
  // A wrong password of a client's own says nothing about the host.
  if (client_ == nullptr || !failed.reason.sqlstate.starts_with("28")) {
    engine_->shared().hosts.of(host_).note_failed(failed.reason.message, engine_->now());
  }
  // A host that cannot be reached is no reason to give up; what a server says of us is. A client
  // that has begun to answer one host cannot begin anew with another.
  if (!failed.lasting && (client_ == nullptr || !opening_->client_asked)) {
    if (client_ != nullptr) pool_->avoid_host(opening_->host, engine_->now());
    if (!opening_->first) opening_->first = failed.reason;
    if (try_next_host()) return;
  }
  tell_first(failed);
  const bool own_words = relayed_ || !failed.reason.sqlstate.starts_with("28");
  if (failed.reason.sqlstate.starts_with("08") || !own_words) {
    failed.reason.message = "could not connect to server \"" + to_string(host_) +
                            "\" for database \"" + pool_->key().database +
                            "\": " + failed.reason.message;
  }
  open_failed(std::move(failed.reason), failed.lasting);
}

// Where one host may be back any moment, another's word is not final; and what a server said tells
// more than that another is not there.
void ServerLink::tell_first(LinkLogin::Failed& failed) {
  if (!opening_->first || client_ != nullptr) return;
  failed.lasting = false;
  if (!opening_->first->sqlstate.starts_with("08")) failed.reason = *opening_->first;
}

// The same host once more, in another way.
bool ServerLink::try_again(const LinkLogin::Failed& failed) {
  using Retry = LinkLogin::Retry;
  if (failed.retry == Retry::none || opening_->retried == failed.retry) return false;
  opening_->retried = failed.retry;
  if (failed.retry == Retry::version_3_0) {
    opening_->version = pg::kProtocol3_0;
  } else {
    opening_->with_tls = failed.retry == Retry::with_tls;
  }
  received_.clear(engine_->buffers());
  unsent_.clear(engine_->buffers());
  connect();
  return true;
}

bool ServerLink::try_next_host() {
  const std::size_t hosts = pool_->target().hosts.size();
  opening_->host %= hosts;  // another list may have come meanwhile
  const auto next = pool_->next_host(opening_->host, any_role(), engine_->now());
  if (!next) return false;
  const bool primary = pool_->watched() && !any_role();
  const std::size_t step = (*next + hosts - opening_->host) % hosts;
  opening_->tried += primary ? 0 : step == 0 ? hosts : step;
  if (opening_->tried >= hosts) {
    if (!opening_->standby_seen || opening_->accept_standby) return false;
    opening_->accept_standby = true;  // once around again: a standby is better than nothing
    opening_->tried = 0;
  }
  opening_->host = *next;
  opening_->retried = LinkLogin::Retry::none;
  opening_->with_tls = pool_->target().tls_mode != TlsMode::allow;
  received_.clear(engine_->buffers());
  unsent_.clear(engine_->buffers());
  connect();
  return true;
}

void ServerLink::open_failed(Refused reason, bool lasting) {
  engine_->counters().links_failed.add();
  engine_->note({.weight = Weight::warning,
                 .event = "server_login_failed",
                 .text = reason.message,
                 .database = pool_->key().database,
                 .user = pool_->key().user,
                 .host = to_string(host_),
                 .sqlstate = reason.sqlstate});
  ClientSession* client = std::exchange(client_, nullptr);
  const bool reserved = std::exchange(opening_->reserved, false);
  const bool clients_own =
      relayed_ && (opening_->client_asked || reason.sqlstate.starts_with("28"));
  const bool again = !lasting && !clients_own;
  const std::shared_ptr<Pool> pool = pool_;
  // It asked for nothing, and then refused the role: the next login asks it anew.
  if (lasting || clients_own || reason.sqlstate.starts_with("53")) pool->learn_trusted({});
  Engine& engine = *engine_;
  close();
  if (reserved) {
    engine.tell(clients_own
                    ? pool->login_failed(reason)
                    : pool->open_failed(engine.now(), reason, lasting, engine.random_fraction()),
                reason);
    engine.feed_starved(*pool);
  }
  if (client != nullptr) client->login_refused(reason, again);
}

}  // namespace forebay::core
