#include "core/server/server_link.hpp"

#include <algorithm>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using std::chrono::milliseconds;

/// A client that vanished leaves its statement so long to end by itself, before it is cancelled.
constexpr milliseconds kCancelAfter{100};
/// So much of what a client asks is kept until the server begins to answer.
constexpr std::size_t kSaidMax = 16 * 1024;
/// So many bytes of a vanished client's result are read to save the connection.
constexpr std::uint64_t kDrainMax = 64 * 1024 * 1024;

static_assert(sizeof(ServerLink) <= 1344);

// Exactly what takes away what is there: others' prepared statements stay.
std::string cleaning(const Residue& residue) {
  if (residue.everything) return "DISCARD ALL";
  std::string text;
  const auto add = [&](PinReason reason, std::string_view statement) {
    if ((residue.pins & bit(reason)) != 0) text.append(statement);
  };
  add(PinReason::held_cursor, "CLOSE ALL;");
  add(PinReason::listen, "UNLISTEN *;");
  add(PinReason::advisory_lock, "SELECT pg_catalog.pg_advisory_unlock_all();");
  add(PinReason::temporary, "DISCARD TEMP;");
  return text;
}

enum class Goodbye : std::uint8_t { no, only_notices, begun, yes };

// Whether these bytes have nothing of an answer but that the server ends the connection: how much
// of the question was understood may stand before it. `words` becomes what it says.
Goodbye goodbye_in(Bytes bytes, std::string& words) {
  constexpr Bytes kBefore = "12tTnNS";
  constexpr Bytes kReady{"Z\0\0\0\5", 5};
  // The common case at a glance: whole answers end so, and errors have no such bytes.
  if (bytes.size() > kReady.size() && bytes.substr(bytes.size() - 6, 5) == kReady) {
    return Goodbye::no;
  }
  bool notices = true;
  pg::Framer framer(pg::Sender::server);
  while (!bytes.empty()) {
    const pg::Framer::Item item = framer.next(bytes, kInspectionMax);
    if (item.kind == pg::Framer::Kind::need && bytes.front() == 'E') return Goodbye::begun;
    if (item.kind != pg::Framer::Kind::message) return Goodbye::no;
    bytes.remove_prefix(item.bytes.size());
    if (item.message.is(pg::Backend::ErrorResponse)) {
      const auto fields = pg::backend::Fields::parse(item.message.body);
      if (!fields.fatal() || fields.sqlstate != pg::sqlstate::kAdminShutdown) return Goodbye::no;
      words = fields.message;
      return bytes.empty() ? Goodbye::yes : Goodbye::no;
    }
    if (kBefore.find(item.message.type) == Bytes::npos) return Goodbye::no;
    notices = notices && item.message.is(pg::Backend::NoticeResponse);
  }
  return notices ? Goodbye::only_notices : Goodbye::no;
}

}  // namespace

ServerLink::ServerLink(Engine& engine, std::shared_ptr<Pool> pool)
    : engine_(&engine), pool_(std::move(pool)) {
  relay_.pool = pool_->serial();
  relay_.catalog = &pool_->catalog();
  relay_.meter.pool = &pool_->statistics().of(engine.id());
  relay_.reader = pool_->is_reader();
  relay_.sequences.asked = &pool_->sequences_asked();
}

ServerLink::~ServerLink() = default;

void ServerLink::enter(Phase phase) noexcept {
  FB_ASSERT(phase_ != Phase::closed);
  phase_ = phase;
}

// ---------------------------------------------------------------- who it belongs to

void ServerLink::park() {
  enter(Phase::parked);
  relay_.meter.forget();
  client_ = nullptr;
}

void ServerLink::link(ClientSession& client) {
  enter(Phase::linked);
  const config::PoolSettings& settings = pool_->settings();
  relay_.meter.sample(settings.slow_query_threshold, settings.slow_query_parameters);
  client_ = &client;
  linked_since_ = engine_->now();
  relay_.said.clear();
  relay_.rerun = LinkRelayState::Rerun::no;
  relay_.unanswered = client.mode() != config::PoolMode::session;
  relay_.sequences.cleaned = !dedicated_ && !relay_.reader &&
                             (client.mode() == config::PoolMode::session ||
                              relay_.sequences.asked->load(std::memory_order_relaxed) ||
                              relay_.catalog->asks_sequences.load(std::memory_order_relaxed));
  follow_rule(client.mode());
  follow_effects(client.mode());
  begin_watch();
}

void ServerLink::follow_effects(config::PoolMode mode) noexcept {
  follows_effects_ = has_catalog_ && mode != config::PoolMode::session &&
                     pool_->settings().follow_functions && !relay_.reader && !dedicated_;
}

// A change of the settings comes with the next transaction.
void ServerLink::follow_rule(config::PoolMode mode) {
  using config::OnSessionState;
  relay_.shared_listen =
      mode != config::PoolMode::session && pool_->settings().shared_listen && !pool_->is_reader();
  const OnSessionState action =
      mode == config::PoolMode::session ? OnSessionState::pin : pool_->settings().on_session_state;
  auto& rule = relay_.state_rule;
  if (action == (rule == nullptr ? OnSessionState::pin : rule->action)) return;
  rule.reset();
  if (action == OnSessionState::pin) return;
  const PoolKey& key = pool_->key();
  rule = std::make_unique<const SessionStateRule>(SessionStateRule{
      action, engine_->config().where_set(key.database, key.user,
                                          &config::PoolOverrides::on_session_state)});
}

void ServerLink::note_said(Bytes bytes) {
  if (!relay_.unanswered) return;
  if (relay_.said.size() + bytes.size() > kSaidMax) {
    relay_.unanswered = false;
  } else {
    relay_.said.append(bytes);
  }
}

void ServerLink::check(ClientSession& client) {
  enter(Phase::checking);
  client_ = &client;
  client.expect_link(*this);
  engine_->timers().arm(timer_, engine_->now() + engine_->config().server_recovery_timeout);
  static_cast<void>(query({}));  // what it does not answer it has no time for
}

void ServerLink::validate(ClientSession& client) {
  enter(Phase::validating);
  client_ = &client;
  relay_.own_error.clear();
  settings_before_ = relay_.settings;
  Relay(engine_->rules(client.mode()), client.relay(), {engine_->to_client(), engine_->to_server()})
      .link_up(relay_);
  send(engine_->to_server());
  if (relay_.at_rest()) after_relay();
}

void ServerLink::go_away() {
  timer_.cancel();
  relay_.meter.forget();
  enter(Phase::away);
}

void ServerLink::arrive(Engine& engine) {
  engine_ = &engine;
  relay_.meter.pool = &pool_->statistics().of(engine.id());
  engine.io().attach(*stream_, *this);
  enter(Phase::parked);
  reconsider();  // it may have been on its way when the others were told
}

// ---------------------------------------------------------------- bytes

bool ServerLink::send(Conduit& conduit) {
  return conduit.flush(*stream_, unsent_, engine_->buffers());
}

void ServerLink::on_received(Bytes bytes) {
  engine_->counters().server_bytes.add(bytes.size());
  relay_.meter.pool->server_bytes.add(bytes.size());
  if (phase_ == Phase::closed) return;
  if (fenced()) {
    give_up();
    return;
  }
  if (phase_ == Phase::opening) {
    opening_received(bytes);
    return;
  }
  if (phase_ == Phase::asking) {
    question_received(bytes);
    return;
  }
  if (phase_ == Phase::recovering || phase_ == Phase::resetting) drained_ += bytes.size();
  receiving_ = true;
  if (received_.empty()) {
    const std::size_t consumed = relay_received(bytes);
    bytes.remove_prefix(consumed);
    if (phase_ != Phase::closed) received_.append(engine_->buffers(), bytes);
  } else {
    received_.append(engine_->buffers(), bytes);
    const std::size_t consumed = relay_received(received_.view());
    if (phase_ != Phase::closed) received_.consume(engine_->buffers(), consumed);
  }
  receiving_ = false;
  if (phase_ != Phase::closed) after_relay();
}

// Feeds the relay; gives how many bytes it took. What it sends to the client leaves here, while the
// bytes still stand where they arrived.
std::size_t ServerLink::relay_received(Bytes bytes) {
  ClientSession* client = phase_ == Phase::linked ? client_ : nullptr;
  if (relay_.unanswered && client != nullptr && relay_.framer.rest() == 0) {
    if (const auto taken = take_goodbye(bytes)) return *taken;
  }
  const RelayRules& rules =
      engine_->rules(client == nullptr ? config::PoolMode::session : client->mode());
  ServerRelay relay(rules, relay_, client == nullptr ? nullptr : &client->relay(),
                    engine_->to_client(), engine_->counters());
  const ServerRelay::Progress progress = relay.from_server(bytes);
  if (client != nullptr && client->relay().tenant != nullptr) {
    client->relay().tenant->client.counters()->sent_bytes.add(progress.consumed);
  }
  if (progress.verdict == ServerRelay::Verdict::ending) ended_ = true;
  if (client != nullptr && !engine_->measures().fresh.empty()) client->keep_samples(this);
  if (client != nullptr && !engine_->measures().audit.fresh().empty()) client->keep_audit(this);
  if (std::exchange(relay_.says_read_only, false)) refused_write();
  if (relay_.renamed_roles != nullptr) {
    engine_->roles_renamed(pool_->target(), *std::exchange(relay_.renamed_roles, nullptr));
  }
  if (relay_.signals != nullptr && client != nullptr) {
    client->carry_out_signals(*std::exchange(relay_.signals, nullptr));
    if (progress.verdict == ServerRelay::Verdict::own_end) {
      // What else the server has said is for nobody.
      if (phase_ == Phase::closed) return progress.consumed;
      return progress.consumed + relay_received(bytes.substr(progress.consumed));
    }
  }
  if (client != nullptr) client->server_spoke(progress.consumed);
  if (progress.verdict == ServerRelay::Verdict::violation && phase_ != Phase::closed) {
    relay_.unanswered = relay_.unanswered && relay_.settings_cancelled;
    if (!relay_.settings_cancelled) {
      engine_->note({.weight = Weight::error,
                     .event = "server_broke_protocol",
                     .text = relay.reason(),
                     .database = pool_->key().database,
                     .user = pool_->key().user,
                     .host = to_string(host_)});
    }
    lost(relay.reason());
  }
  return progress.consumed;
}

// The first that the server says to a client: is it only that it ends the connection, which the
// client can do without? PostgreSQL says so before it commits, or behind the answer: what it ran is
// rolled back. Gives how many bytes were taken; nothing where they are for the relay.
std::optional<std::size_t> ServerLink::take_goodbye(Bytes bytes) {
  switch (goodbye_in(bytes, relay_.last_words)) {
    case Goodbye::only_notices:
      return std::nullopt;
    case Goodbye::begun:
      return 0;
    case Goodbye::yes:
      if (client_->relay().pins == 0 && !relay_.expected.may_end_server()) {
        undone_ = ended_ = true;
        return bytes.size();
      }
      relay_.last_words.clear();
      relay_.unanswered = false;
      return std::nullopt;
    case Goodbye::no:
      return std::nullopt;
  }
  return std::nullopt;
}

// Every byte in hand was handled: what does the link's phase make of that?
void ServerLink::after_relay() {
  if (ended_) {
    lost("the server ended the connection");
    return;
  }
  switch (phase_) {
    case Phase::linked:
      client_->server_done();
      return;
    case Phase::parked:
      if (worn(engine_->now()) && pool_->retire(*this)) close();
      return;
    case Phase::checking:
      if (!relay_.at_rest()) return;
      timer_.cancel();
      tried([](ClientSession& client, ServerLink& self) { client.take_link(self); });
      return;
    case Phase::validating:
      if (!relay_.at_rest()) return;
      if (!relay_.own_error.empty()) {
        relay_.settings = settings_before_;
        relay_.settings_doubtful = true;
      }
      settings_before_.reset();
      tried([](ClientSession& client, ServerLink& self) { client.settings_tried(self); });
      return;
    case Phase::recovering:
    case Phase::resetting:
      recover_step();
      return;
    case Phase::cooling:
      if (worn(engine_->now())) close();
      return;
    default:
      return;
  }
}

// Tells the client that it was tried for; the pool, when that is gone.
void ServerLink::tried(void (*tell)(ClientSession&, ServerLink&)) {
  enter(Phase::parked);
  if (ClientSession* client = std::exchange(client_, nullptr)) {
    tell(*client, *this);
  } else {
    engine_->release(*this);
  }
}

void ServerLink::on_writable() {
  if (phase_ == Phase::closed) return;
  if (Conduit::resend(*stream_, unsent_, engine_->buffers()) && client_ != nullptr &&
      phase_ == Phase::linked) {
    client_->link_writable();
  }
}

void ServerLink::on_end() {
  on_lost("the server closed the connection unexpectedly");
}

void ServerLink::on_lost(const std::string& reason) {
  if (phase_ == Phase::closed) return;
  if (open_unasked(reason)) return;
  fail_question(reason);
  if (phase_ == Phase::opening) {
    on_login_failed(opening_->login == nullptr ? LinkLogin::Failed{}
                                               : opening_->login->lost(reason));
    return;
  }
  lost(reason);
}

// ---------------------------------------------------------------- its client is gone

// False when the server is going to skip it: then it is of no use.
bool ServerLink::query(Bytes text) {
  const bool pushed = put_query(text);
  relay_.poisoned = relay_.poisoned || !pushed;
  send(engine_->to_server());
  return pushed;
}

// False when the server is going to skip it.
bool ServerLink::put_query(Bytes text) {
  pg::write_query(engine_->to_server().insert(), text);
  relay_.change_unnamed(0, 0);  // as every Query
  const bool pushed = relay_.expected.push({.request = Request::query,
                                            .disposition = Disposition::discard,
                                            .unnamed = UnnamedChange::ours,
                                            .unnamed_change = relay_.unnamed_change});
  if (!pushed) {
    relay_.unnamed_owner = LinkRelayState::kUnknownOwner;
    relay_.unnamed_pending = false;
  }
  return pushed;
}

void ServerLink::orphan(const Residue& residue) {
  client_ = nullptr;
  timer_.cancel();
  relay_.overrun.reset();
  relay_.meter.forget();
  residue_ = residue;
  drained_ = 0;
  relay_.withheld.reset();
  relay_.listens = false;
  relay_.changed.clear();
  relay_.confirming = LinkRelayState::Confirming::no;
  // What was not sent can neither be completed nor taken back.
  if (dedicated_ || ended_ || (residue.pins & bit(PinReason::library)) != 0 || relay_.poisoned ||
      !unsent_.empty()) {
    close();
    return;
  }
  relay_.rest = Disposition::abandon;
  relay_.expected.abandon_all();
  relay_.own_error.clear();
  stream_->resume();
  enter(Phase::recovering);
  const bool running = !relay_.at_rest();
  if (!running) relay_.places.reset();  // of what was never sent
  if (running) {
    engine_->counters().recoveries.add();
    Conduit& out = engine_->to_server();
    if (relay_.expected.copying_in()) {
      pg::write_copy_fail(out.insert(), "the client closed the connection");
      relay_.expected.push_copy_end();
    }
    if (relay_.expected.batch_open()) {
      // What the batch did must not be committed by the Sync that ends it.
      static_cast<void>(put_query("ROLLBACK"));
      pg::write_empty(out.insert(), pg::Frontend::Sync);
      const bool pushed =
          relay_.expected.push({.request = Request::sync, .disposition = Disposition::discard});
      relay_.poisoned = relay_.poisoned || !pushed;
    }
    send(out);
    cancelled_ = false;
    engine_->timers().arm(timer_, engine_->now() + kCancelAfter);
  }
  if (!receiving_) recover_step();
}

void ServerLink::break_off() {
  client_ = nullptr;
  stream_->reset();
  close();
}

// One step further towards a link that is as good as new.
void ServerLink::recover_step() {
  if (relay_.poisoned || ended_ || drained_ > kDrainMax || !relay_.own_error.empty()) {
    close();
    return;
  }
  if (!relay_.expected.empty() || relay_.framer.rest() > 0 || !received_.empty()) return;
  if (relay_.expected.batch_open()) {
    // A batch failed whose Sync the client never sent: the server skips all up to that.
    pg::write_empty(engine_->to_server().insert(), pg::Frontend::Sync);
    const bool pushed =
        relay_.expected.push({.request = Request::sync, .disposition = Disposition::discard});
    send(engine_->to_server());
    if (!pushed) close();
    return;
  }
  if (relay_.status != pg::backend::TransactionStatus::idle) {
    if (!query("ROLLBACK")) close();
    return;
  }
  if (phase_ == Phase::recovering && (residue_.everything || residue_.pins != 0)) {
    enter(Phase::resetting);
    engine_->timers().arm(timer_, engine_->now() + engine_->config().server_recovery_timeout);
    if (!query(cleaning(residue_))) close();
    return;
  }
  if (phase_ == Phase::resetting && residue_.everything) {
    relay_.settings = engine_->shared().parameter_sets.empty();
    relay_.settings_doubtful = false;
    relay_.statements.clear();
    relay_.settings_statement = SettingsStatement::none;
    relay_.unnamed_owner = 0;
    relay_.sequences.clear();
  }
  recovered();
}

void ServerLink::recovered() {
  timer_.cancel();
  engine_->release(*this);
}

void ServerLink::cool() {
  enter(Phase::cooling);
  client_ = nullptr;
}

void ServerLink::end_cancel(bool certain) {
  FB_ASSERT(cancels_ > 0);
  --cancels_;
  // A request of which nobody knows where it is may hit whoever is next.
  if (!certain) relay_.poisoned = true;
  if (cancels_ == 0 && std::exchange(relay_.cancelling, false) && phase_ == Phase::linked) {
    client_->link_writable();
    return;
  }
  if (phase_ == Phase::cooling && cancels_ == 0) engine_->release(*this);
}

void ServerLink::on_timer(void* self) {
  auto& link = *static_cast<ServerLink*>(self);
  switch (link.phase_) {
    case Phase::opening:
      if (link.open_unasked("no answer in time")) return;
      link.stream_.reset();
      link.on_login_failed(
          {{pg::sqlstate::kConnectionFailure, "the login took longer than server_connect_timeout"},
           false,
           LinkLogin::Retry::none});
      return;
    case Phase::recovering:
      if (std::exchange(link.cancelled_, true)) {
        link.close();
        return;
      }
      link.engine_->timers().arm(
          link.timer_, link.engine_->now() + link.engine_->config().server_recovery_timeout);
      link.engine_->cancel(link, nullptr);
      return;
    case Phase::checking:
      link.close_alike();
      link.lost("the server did not answer");
      return;
    case Phase::asking:
      link.fail_question("no answer in time");
      link.close();
      return;
    case Phase::resetting:
      link.close();
      return;
    case Phase::linked:
      link.watch_fired();
      return;
    default:
      return;
  }
}

// ---------------------------------------------------------------- the end

void ServerLink::lost(const std::string& reason) {
  engine_->counters().links_lost.add();
  host_place_.lost(relay_.last_words.empty() ? reason : relay_.last_words, engine_->now());
  engine_->suspect(*pool_);
  timer_.cancel();
  ClientSession* client = std::exchange(client_, nullptr);
  const Phase was = phase_;
  const bool said = ended_;
  const bool in_message = relay_.framer.rest() > 0 && relay_.rest == Disposition::forward;
  if (was == Phase::parked && !pool_->retire(*this)) {
    // Another worker took it: it will ask, and hear then.
    received_.clear(engine_->buffers());
    unsent_.clear(engine_->buffers());
    stream_.reset();
    host_place_.leave();
    enter(Phase::closed);
    return;
  }
  if (was == Phase::linked && client->relay().in_message()) stream_->reset();
  close();
  if (client == nullptr) return;
  if (was == Phase::linked) {
    client->link_lost(*this, relay_.last_words.empty() ? reason : relay_.last_words,
                      said && relay_.last_words.empty(), in_message);
  } else {
    client->wait_again();
  }
}

void ServerLink::close() {
  FB_ASSERT(phase_ != Phase::closed);
  const bool counted = counted_;
  const bool leaving = parking_.leaving;
  timer_.cancel();
  drop_question();
  if (opening_ != nullptr) {
    if (opening_->reserved) pool_->open_abandoned();
    opening_.reset();
    if (relayed_) engine_->leave_login(pool_);
  }
  if (stream_ != nullptr && phase_ != Phase::opening && unsent_.empty() && !ended_) {
    std::string goodbye;
    pg::write_empty(goodbye, pg::Frontend::Terminate);
    const Bytes piece = goodbye;
    stream_->send({&piece, 1});
  }
  if (relay_.notified) relay_.catalog->notifiers.forget(relay_.process_id);
  received_.clear(engine_->buffers());
  unsent_.clear(engine_->buffers());
  stream_.reset();
  client_ = nullptr;
  engine_->counters().links_closed.add();
  host_place_.leave();
  enter(Phase::closed);
  Engine& engine = *engine_;
  const std::shared_ptr<Pool> pool = pool_;
  engine.link_closed(*this);
  if (counted) engine.count_out(*pool, leaving);
}

}  // namespace forebay::core
