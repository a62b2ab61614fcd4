#include "core/client/client_session.hpp"

#include <utility>

#include "core/client/client_throttle.hpp"
#include "core/client/replica_use.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using std::chrono::milliseconds;

/// A client that says more than this before it has a link is not read any further.
constexpr std::size_t kStashMax = kInspectionMax + 1;
/// A client that has taken a number of a sequence keeps its link for so long, to ask for it; and so
/// often without doing so.
constexpr milliseconds kAskWithin{1000};
constexpr std::uint8_t kAskVainMax = 16;

// What every idle client costs, whatever it does: see also tests/unit/budget.
static_assert(sizeof(ClientSession) <= 544);

}  // namespace

ClientSession::ClientSession(Engine& engine, SessionKey key, std::unique_ptr<Stream> stream)
    : engine_(engine), key_(key), stream_(std::move(stream)), login_(std::make_unique<Login>()) {
  relay_.serial = engine_.shared().next_serial.fetch_add(1, std::memory_order_relaxed);
  relay_.process_id = engine_.process_id(key);
}

ClientSession::~ClientSession() = default;

void ClientSession::enter(Phase phase) noexcept {
  FB_ASSERT(phase_ != Phase::closed);
  phase_ = phase;
}

const RelayRules& ClientSession::rules() const noexcept {
  return engine_.rules(mode_);
}

void ClientSession::begin(ListenerId listener) {
  login_->listener = listener;
  engine_.io().set_owner(*stream_, *this);
  network_ = !stream_->peer().unix_socket;
  login_->header_due = behind_balancer();
  connected_ = engine_.now();
  arm(engine_.config().client_login_timeout);
}

void ClientSession::arm(milliseconds delay) {
  if (delay.count() > 0) {
    engine_.timers().arm(timer_, engine_.now() + delay);
  } else {
    timer_.cancel();
  }
}

// ---------------------------------------------------------------- bytes from the client

void ClientSession::on_received(Bytes bytes) {
  engine_.counters().client_bytes.add(bytes.size());
  if (phase_ == Phase::closing || phase_ == Phase::closed) return;
  if (stash_.empty()) {
    const Phase before = phase_;
    bytes.remove_prefix(receive(bytes));
    if (phase_ != Phase::closed) stash_.append(engine_.buffers(), bytes);
    if (logged_further(before)) continue_input();
  } else {
    stash_.append(engine_.buffers(), bytes);
    continue_input();
  }
  settle();
}

// What is kept from before may be handled now.
void ClientSession::continue_input() {
  if (stash_.empty() || phase_ == Phase::closed) return;
  // Taken out meanwhile: what is handled may close the session, which gives its blocks back.
  Stash input = std::move(stash_);
  const Phase before = phase_;
  const std::size_t consumed = receive(input.view());
  if (phase_ == Phase::closed || phase_ == Phase::closing) {
    input.clear(engine_.buffers());
    return;
  }
  FB_ASSERT(stash_.empty());
  input.consume(engine_.buffers(), consumed);
  stash_ = std::move(input);
  if (logged_further(before)) continue_input();
}

// Gives how many bytes were taken; the rest has to wait.
std::size_t ClientSession::receive(Bytes bytes) {
  switch (phase_) {
    case Phase::starting:
      return login_->header_due ? header_received(bytes) : start_received(bytes);
    case Phase::authenticating:
    case Phase::relayed_login:
      return authentication_received(bytes);
    case Phase::idle:
    case Phase::linked:
      return relay_received(bytes);
    case Phase::closing:
    case Phase::closed:
      return bytes.size();
    default:
      return 0;
  }
}

std::size_t ClientSession::relay_received(Bytes bytes) {
  std::size_t consumed = 0;
  if (asks_hub()) return 0;
  if (relay_.tenant != nullptr) {
    follow_policy();
    FB_ASSERT(!relay_.tenant->says.any() || throttle_ != nullptr);  // see as_tenant
  }
  if (phase_ == Phase::idle && !goes_on()) return bytes.size();
  for (;;) {
    const Bytes now = throttle_ == nullptr ? bytes : may_go_on(bytes);
    if (throttle_ != nullptr && take_answered(bytes, consumed)) continue;
    if (phase_ == Phase::closing || phase_ == Phase::closed) return consumed + bytes.size();
    if (now.empty() && !bytes.empty()) {
      send_both();
      pace(consumed);
      return consumed;
    }
    if (replicas_ != nullptr && replicas_->batch > 0 && link_ != nullptr) {
      send_attempt(bytes);
      return consumed;
    }
    const bool apart = throttle_ != nullptr && throttle_->apart;
    LinkRelayState* link = link_ == nullptr || apart ? nullptr : &link_->relay();
    Relay relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
    if (relay_.tenant != nullptr && link != nullptr && link->at_rest()) {
      renew_claim(link->process_id);
    }
    if (link != nullptr && link->at_rest() &&
        (!link->has(relay_.settings) ||
         link->sequences.to_be_cleaned(relay_.sequences, relay_.serial) ||
         (begun_here() && relay_.begin.undecided == 0 && !now.empty()))) {
      relay.link_up(*link);
    }
    const Relay::ClientProgress progress = relay.from_client(now, link);
    if (link != nullptr) link_->note_said(bytes.substr(0, progress.consumed));
    consumed += progress.consumed;
    bytes.remove_prefix(progress.consumed);
    if (!relay.vacated().empty()) engine_.vacate(pool_->target(), relay.vacated(), true);
    if (relay_.tenant != nullptr) note_objections(relay.objections());
    if (relay_.rules != nullptr) note_rules();
    if (replicas_ != nullptr && link != nullptr) note_sent(progress.consumed);
    if (progress.stop == Relay::ClientStop::need_link && apart && link_ != nullptr) {
      fatal({pg::sqlstate::kInternalError, "a transaction that was lost cannot be ended by this"});
      return consumed + bytes.size();
    }
    if (progress.stop == Relay::ClientStop::need_link && may_ask_for_link(bytes, consumed == 0)) {
      enter(Phase::waiting);
      if (ServerLink* fresh = engine_.acquire(*this)) {
        link_up(*fresh);
        continue;
      }
      arm_wait();
    }
    const bool let_go_on = progress.stop == Relay::ClientStop::need_bytes &&
                           progress.consumed == now.size() && !bytes.empty();
    if (let_go_on) continue;  // it began no statement: what stands behind it is looked at, too
    send_both();
    ask_hub_when_due();
    if (progress.stop == Relay::ClientStop::terminate) {
      terminated_ = ended_ = true;
      consumed += bytes.size();
    }
    if (progress.stop == Relay::ClientStop::violation) {
      fatal({pg::sqlstate::kProtocolViolation, relay.violation()});
    }
    if (phase_ == Phase::linked) count_said(consumed);
    pace(consumed);
    return consumed;
  }
}

void ClientSession::count_said(std::size_t bytes) {
  link_->relay().meter.pool->client_bytes.add(bytes);
  if (relay_.tenant != nullptr) relay_.tenant->client.counters()->received_bytes.add(bytes);
  if (link_->relay().expected.copying_in()) follow_copy();
}

// The statement at the front needs a link. False: it waits for something else first. `again`:
// nothing was taken since it was asked for last.
bool ClientSession::may_ask_for_link(Bytes bytes, bool again) {
  // In session mode the link is the client's own: it comes first, and its statements wait.
  const bool limited = throttle_ != nullptr && mode_ != config::PoolMode::session;
  if (limited && !throttle_->inside() && !enter_limits()) return false;
  if (throttle_ != nullptr && !enter_links()) return false;
  const bool waited = throttle_ != nullptr && (throttle_->passed > 0 || throttle_->has_link_place);
  waiting_since_ = waited ? throttle_->since : engine_.now();
  return replicas_ == nullptr || choose_server(bytes, again);
}

void ClientSession::link_up(ServerLink& link) {
  enter(Phase::linked);
  timer_.cancel();
  link_ = &link;
  if (throttle_ != nullptr) take_link_place();
  link.link(*this);
  link.relay().meter.linked(engine_.now(), engine_.now() - waiting_since_);
  if (relay_.tenant != nullptr) renew_claim(link.process_id());
  Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()}).link_up(link.relay());
}

// The last thing after every event.
void ClientSession::settle() {
  if (ended_) leave();
  if (throttle_ != nullptr && phase_ == Phase::idle) leave_limits();
  if (phase_ == Phase::linked) {
    link_->watch();
  } else if (phase_ == Phase::idle &&
             (relay_.lazy || pool_->settings().client_idle_timeout.count() > 0)) {
    settle_idle();
  } else if (hold_ != Hold::no && phase_ != Phase::closed) {
    update_reading();
    keep_hold();
    return;
  }
  if (phase_ != Phase::closed) update_reading();
}

// Sends what the turn has for both sides. What the server does not take holds the client up.
void ClientSession::send_both() {
  if (link_ != nullptr && phase_ == Phase::linked) {
    link_->send(engine_.to_server());
  } else {
    FB_ASSERT(engine_.to_server().empty());
  }
  send_own();
}

void ClientSession::send_own() {
  if (relay_.attempt != Attempt::none && hold_answer()) return;
  engine_.to_client().flush(*stream_, unsent_, engine_.buffers());
}

// Reads only what can be used: not while the server, or the client itself, does not take what is
// there already.
void ClientSession::update_reading() {
  bool wanted = unsent_.empty() && stash_.size() < kStashMax && (!paced() || reads_on());
  if (phase_ == Phase::linked) {
    wanted = wanted && link_->sent_all() && link_->relay().expected.size() < kExpectedMax;
  }
  if (engine_.suspended() && suspendable()) wanted = wanted && relay_.framer.rest() > 0;
  if (phase_ == Phase::closing) wanted = true;
  if (wanted == reading_) return;
  reading_ = wanted;
  if (wanted) {
    stream_->resume();
  } else {
    stream_->pause();
  }
}

// Who is logging in may be about to use the console.
bool ClientSession::suspendable() const noexcept {
  return phase_ == Phase::idle || phase_ == Phase::waiting || phase_ == Phase::held ||
         phase_ == Phase::linked;
}

bool ClientSession::follow_suspension() {
  if (!suspendable()) return true;
  update_reading();
  const bool answered = phase_ == Phase::idle || (phase_ == Phase::linked && !at_work());
  return answered && relay_.framer.rest() == 0 && unsent_.empty() && !holds_back();
}

// ---------------------------------------------------------------- bytes for the client

void ClientSession::server_spoke(std::size_t bytes) {
  send_own();
  pace(bytes);
  if (unsent_.empty()) return;
  if (gone_) {
    close("the client closed the connection");
    return;
  }
  link_->pause();
  link_->relay().meter.hold(engine_.now());
  update_reading();
}

void ClientSession::on_writable() {
  if (phase_ == Phase::closed) return;
  if (!Conduit::resend(*stream_, unsent_, engine_.buffers())) return;
  if (phase_ == Phase::closing) {
    finish();
    return;
  }
  if (phase_ == Phase::linked && !paced()) {
    link_->resume();
    link_->relay().meter.let_go(engine_.now());
  }
  continue_input();
  settle();
}

void ClientSession::link_writable() {
  continue_input();
  if (phase_ == Phase::linked && link_->relay().expected.copying_in()) follow_copy();
  settle();
}

// In a COPY FROM the server waits for its client only when it has taken all that there is.
void ClientSession::follow_copy() {
  if (link_->relay().streaming) return;
  StatementMeter& meter = link_->relay().meter;
  if (link_->sent_all()) {
    meter.hold(engine_.now());
  } else {
    meter.let_go(engine_.now());
  }
}

void ClientSession::server_done() {
  if (phase_ != Phase::linked) return;
  // What the hub is asked for goes by this link: another one would have to be asked about again.
  ask_hub_when_due();
  if (holds_ready() || asks_hub()) {
    settle();
    return;
  }
  auto& confirming = link_->relay().confirming;
  if (confirming == LinkRelayState::Confirming::confirmed) {
    confirming = LinkRelayState::Confirming::no;
    continue_input();
    if (phase_ != Phase::linked) {
      settle();
      return;
    }
  }
  LinkRelayState& stale = link_->relay();
  if (stale.rerun == LinkRelayState::Rerun::due && stale.expected.empty()) {
    stale.rerun = LinkRelayState::Rerun::done;
    Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()}).forget_batch();
    engine_.counters().statements_rerun.add();
    say_again(std::exchange(stale.said, {}));
    return;
  }
  const bool attempts = replicas_ != nullptr && replicas_->batch > 0;
  const bool answered = attempts && attempt_answered();
  if (answered && !finish_attempt()) {
    continue_input();
    settle();
    return;
  }
  const LinkRelayState& link = link_->relay();
  if (attempts == answered && link.overrun != nullptr && link.overrun->transaction &&
      link.expected.empty()) {
    // Its statement was cancelled for the sake of the transaction's time.
    give_up_transaction(TimeLimit::transaction, link.overrun->told);
    return;
  }
  const bool over =
      attempts == answered && link.at_rest() && relay_.framer.rest() == 0 && link_->sent_all();
  if (over && !begun_here() && !after_transaction()) return;
  const bool in_statement_mode = mode_ == config::PoolMode::statement && !over &&
                                 link.expected.empty() && !link.expected.batch_open() &&
                                 link.status != pg::backend::TransactionStatus::idle;
  if (in_statement_mode) {
    fatal({pg::sqlstate::kFeatureNotSupported,
           "transaction blocks are not allowed in statement pooling mode",
           {},
           "Use pool_mode = \"transaction\" for this database or user."});
    return;
  }
  continue_input();
  settle();
}

// No transaction is open and nothing is owed. False when the session has ended.
bool ClientSession::after_transaction() {
  if (std::exchange(may_ask_, false)) timer_.cancel();
  if (goodbye_) {
    fatal(terminated());
    return false;
  }
  if (relay_.listening != nullptr) settle_listening();
  if (std::exchange(relay_.look, false) && mode_ != config::PoolMode::session) {
    // Statements that hide what they do, or that may have ended what pins: the server knows.
    relay_.pin(PinReason::looking);
    Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
        .take_inventory(link_->relay());
    link_->send(engine_.to_server());
  }
  if (relay_.pins != counted_pins_) count_pins(relay_.pins);
  resent_ = 0;
  if (throttle_ != nullptr && throttle_->inside()) leave_limits();
  if (moves_ && !may_move()) return false;
  if (relay_.pins != 0) {
    if (bound_to_removed()) {
      fatal(host_removed());
      return false;
    }
    if (replicas_ != nullptr) note_bound();
    return true;
  }
  const LinkSequences& sequences = link_->relay().sequences;
  const bool asks = sequences.cleaned && sequences.asked->load(std::memory_order_relaxed);
  if (!moves_ && asks && may_ask_next()) return true;
  give_link_back();
  return true;
}

void ClientSession::give_link_back() {
  ServerLink* link = std::exchange(link_, nullptr);
  free_link(*link);
  enter(throttle_ != nullptr && throttle_->held ? Phase::held : Phase::idle);
  if (replicas_ != nullptr) note_unlinked();
  if (link->relay().listens) {
    if (throttle_ != nullptr) leave_link_place(link);
    link->orphan({.pins = bit(PinReason::listen)});
  } else {
    engine_.release(*link);
  }
  if (throttle_ != nullptr) leave_link_place(nullptr);
}

// Where clients ask for lastval, most do so with the next statement: who has taken a number keeps
// its link for that, but not for long, and not for ever anew if it never does.
bool ClientSession::may_ask_next() {
  ClientSequences& sequences = relay_.sequences;
  if (!std::exchange(sequences.taken, false) || sequences.vain >= kAskVainMax) return false;
  ++sequences.vain;
  may_ask_ = true;
  engine_.timers().arm(timer_, engine_.now() + kAskWithin);
  return true;
}

void ClientSession::ask_over() {
  if (!may_ask_) return;
  if (paced()) {  // it cannot ask before that is over
    engine_.timers().arm(timer_, throttle_->paced.at() + kAskWithin);
    return;
  }
  may_ask_ = false;
  const bool idle = link_->relay().at_rest() && relay_.framer.rest() == 0 && link_->sent_all();
  if (!idle || relay_.pins != 0) return;  // after_transaction will come
  give_link_back();
  settle();
}

void ClientSession::count_pins(Pins pins) {
  Counters& counters = engine_.counters();
  for (std::size_t i = 0; i < kPinNames.size(); ++i) {
    const bool was = (counted_pins_ >> i & 1) != 0;
    const bool is = (pins >> i & 1) != 0;
    if (is && !was) counters.pins_begun[i].add();
    if (was && !is) counters.pins_over[i].add();
  }
  counted_pins_ = pins;
}

// ---------------------------------------------------------------- waiting for a link

void ClientSession::take_link(ServerLink& link) {
  FB_ASSERT(wants_link());
  if (hold_ != Hold::no) leave_hold();
  // Another may be checked for this client: this one was summoned in an earlier wait.
  if (link_ != nullptr && link_ != &link) link_->forget_client();
  link_ = nullptr;
  if (phase_ == Phase::awaiting_server) {
    arm(engine_.config().client_login_timeout);
    meet(link);
    return;
  }
  link_up(link);
  continue_input();
  // With nothing left to say (the client gave up meanwhile) the settings travel alone.
  if (phase_ == Phase::linked && !engine_.to_server().empty()) send_both();
  if (phase_ == Phase::linked) server_done();
  settle();
}

void ClientSession::wait_again() {
  link_ = nullptr;
  if (phase_ == Phase::validating) enter(Phase::awaiting_server);
  if (!wants_link() || (role_is_gone() && !follow_role())) return;
  if (ServerLink* link = engine_.acquire(*this)) take_link(*link);
}

void ClientSession::wait_failed(const Refused& reason) {
  engine_.counters().waits_failed.add();
  if (phase_ == Phase::awaiting_server) {
    fatal(reason);
  } else if (phase_ == Phase::waiting && !wait_for_primary()) {
    // What only a new login can mend ends the session, as it would have ended without us.
    const Pool::Counts counts = pool_->counts();
    const bool hopeless = !counts.reopens && counts.total == 0;
    if (hopeless) {
      measure_refused(reason, engine_.now() - waiting_since_);
      fatal(reason);
    } else {
      reject(reason);
    }
  }
}

void ClientSession::stop_waiting() {
  leave_hold();
  if (link_ != nullptr) {
    link_->forget_client();
    link_ = nullptr;
  } else if (pool_ != nullptr) {
    source().withdraw(ticket_);
  }
  leave_reader();
}

// The statement that waits gets an error in the server's place, as the server would order it: after
// an error in the extended protocol everything up to the next Sync is skipped.
void ClientSession::reject(const Refused& reason) {
  FB_ASSERT(phase_ == Phase::waiting && !stash_.empty());
  stop_waiting();
  timer_.cancel();
  enter(Phase::idle);
  if (throttle_ != nullptr) leave_limits();
  refuse_statement(reason, engine_.now() - waiting_since_);
}

// The statement at the front of the stash is answered with an error.
void ClientSession::refuse_statement(const Refused& reason, Duration waited,
                                     std::unique_ptr<const SessionTenant> as) {
  pool_->statistics().of(engine_.id()).own_errors.add(reason.sqlstate);
  if (as != nullptr) {
    std::swap(relay_.tenant, as);
    relay_.tenant->client.counters()->refused.add();
  }
  measure_refused(reason, waited);
  if (as != nullptr) std::swap(relay_.tenant, as);
  if (relay_.begin.open != 0) give_up_begun(reason, true);
  std::string& out = engine_.to_client().insert();
  pg::write_error(out, reason.report("ERROR"));
  Stash input = std::move(stash_);
  const pg::Framer::Item item = relay_.framer.next(input.view(), kInspectionMax);
  FB_ASSERT(item.kind == pg::Framer::Kind::message || item.kind == pg::Framer::Kind::head);
  relay_.drop_rest = item.kind == pg::Framer::Kind::head;
  const bool query = item.message.is(pg::Frontend::Query);
  // PostgreSQL drops the unnamed statement before it looks at what comes in its place.
  if (query || (item.message.is(pg::Frontend::Parse) && item.message.body.starts_with('\0'))) {
    relay_.drop_unnamed();
  }
  if (query || item.message.is(pg::Frontend::FunctionCall)) {
    pg::write_ready_for_query(out, relay_.lost != nullptr ? pg::backend::TransactionStatus::failed
                                                          : pg::backend::TransactionStatus::idle);
  } else {
    relay_.skip_to_sync = true;
  }
  input.consume(engine_.buffers(), item.bytes.size());
  stash_ = std::move(input);
  send_own();
  continue_input();
  settle();
}

bool ClientSession::at_work() const noexcept {
  return wants_link() || (throttle_ != nullptr && throttle_->held) || awaits_replica() ||
         (phase_ == Phase::linked && !link_->relay().expected.empty());
}

}  // namespace forebay::core
