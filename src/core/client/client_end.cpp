#include <string>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/client/gone_stream.hpp"
#include "core/client/replica_use.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// How a session ends, or loses its server connection and goes on.
namespace forebay::core {
namespace {

using std::chrono::milliseconds;

/// What a server did not begin to answer is sent to others so often. Who has it killed after a
/// longer time does not want to see it again.
constexpr std::uint8_t kResendMax = 2;
constexpr milliseconds kResendWithin{1000};
/// So long a client may take to read the last words and hang up.
constexpr milliseconds kLinger{2000};

constexpr const char* kInUse =
    "All connections of the pool are in use: raise pool_size, or look for transactions that stay "
    "open.";

// Where the server refuses more of them, a larger pool would change nothing.
constexpr const char* kServerFull =
    "The server takes no more connections: raise its max_connections, or the limit of the role or "
    "the database there, or lower the pool_size of others; or look for transactions that stay "
    "open.";

const char* hint_for(const Pool& pool) {
  return pool.server_full() ? kServerFull : kInUse;
}

std::string none_free_within(const char* key, milliseconds time) {
  return std::string("no server connection became free within ") + key + " (" +
         std::to_string(time.count()) + " ms)";
}

}  // namespace

void ClientSession::drain() {
  switch (phase_) {
    case Phase::waiting:
    case Phase::held:
      goodbye_ = true;
      return;
    case Phase::idle:
      if (relay_.begin.open != 0) {
        goodbye_ = true;
        return;
      }
      break;
    case Phase::linked:
      goodbye_ = true;
      server_done();
      return;
    case Phase::closing:
    case Phase::closed:
      return;
    default:
      break;
  }
  fatal(terminated());
}

void ClientSession::reconsider() {
  if (pool_ == nullptr) return;
  const PoolKey& key = pool_->key();
  if (!engine_.runtime().serves(key.database, user(), key.user)) {
    drain();
  } else if (login_ == nullptr) {
    follow_rules();
    follow_other_limits();
    follow_place();
    if (phase_ == Phase::linked && link_->removed()) leave_removed();
  }
}

// Who is in no transaction goes at once; a stream of replication has none that would end.
void ClientSession::leave_removed() {
  if (link_->dedicated() && link_->relay().streaming) {
    fatal(host_removed());
  } else {
    server_done();
  }
}

Refused ClientSession::host_removed() const {
  return terminated("Database \"" + pool_->key().database + "\" does not have the host \"" +
                    to_string(link_->host()) +
                    "\" any more, and the session is bound to its connection there.");
}

// Between two transactions: nothing would ever lead it to another server.
bool ClientSession::bound_to_removed() const {
  return link_ != nullptr && link_->removed() && relay_.pins != 0 &&
         (relay_.pins & bit(PinReason::looking)) == 0;
}

void ClientSession::on_end() {
  ended_ = true;
  switch (phase_) {
    case Phase::closing:
      finish();
      return;
    case Phase::closed:
      return;
    case Phase::waiting:
    case Phase::held:
      probe();
      break;
    case Phase::linked:
      if (!link_->relay().expected.empty()) probe();
      break;
    case Phase::idle:
      break;
    case Phase::looking_up:
    case Phase::relayed_login:
    case Phase::awaiting_server:
    case Phase::validating:
      // Somebody who sends all that it has to say at once is served to the end, too.
      if (stash_.empty()) close("the client closed the connection");
      return;
    default:
      // What is here is not enough to go on with, and nothing more will come.
      close("the client closed the connection");
      return;
  }
  settle();
}

// The client will send no more, but its statement is not answered. If it has merely shut down its
// sending side, it reads the answer; if it is gone, its system answers whatever we send with a
// reset, which is on_lost. What we send tells it something that it knows already.
void ClientSession::probe() {
  if (!unsent_.empty() || (link_ != nullptr && link_->relay().framer.rest() > 0)) return;
  if (relay_.welcome == nullptr || relay_.welcome->parameters.empty()) return;
  const auto& [name, value] = relay_.welcome->parameters.front();
  pg::write_parameter_status(engine_.to_client().insert(), name, value);
  send_own();
}

void ClientSession::on_lost(const std::string& reason) {
  if (phase_ == Phase::closed) return;
  if (!leaves_work()) {
    close(reason);
    return;
  }
  // PostgreSQL reads on until it comes to the good-bye.
  stream_ = std::make_unique<GoneStream>(stream_->peer());
  gone_ = ended_ = true;
  unsent_.clear(engine_.buffers());
  on_writable();
}

// Whether something that the client said waits for the answer to what it said before.
bool ClientSession::holds_back() const {
  if (stash_.empty()) return false;
  pg::Framer framer = relay_.framer;
  return framer.next(stash_.view(), kInspectionMax).kind != pg::Framer::Kind::need;
}

// The client will say no more. What it asked for is answered, then it goes.
void ClientSession::leave() {
  if (asks_hub()) return;
  if (phase_ == Phase::linked) {
    if (holds_back() || (relay_.listening != nullptr && relay_.listening->holds_ready)) return;
    const LinkRelayState& link = link_->relay();
    // A walsender ends at once with its client, without a last answer; a copy that the client does
    // not end any more is ended as failed.
    const bool streams = link.streaming && link_->sent_all();
    const bool copying = link.expected.copying_in();
    // A batch without its Sync comes to nothing, but not what was said before it.
    const bool owes = !link.expected.empty() && !link.expected.batch_open();
    if (!streams && !copying && (owes || link.expected.owes_ready())) return;
  } else if (phase_ != Phase::idle) {
    return;
  }
  if (engine_.shared().journal.wants_connections()) {
    note(Weight::normal, "client_disconnected", "the client closed the connection");
  }
  close_after_sending();
}

// Whether the client, which is gone, has said good-bye, and something before that is still to be
// carried out.
bool ClientSession::leaves_work() {
  const bool works = phase_ == Phase::linked || phase_ == Phase::waiting || phase_ == Phase::held;
  if (!works || (!terminated_ && !says_goodbye())) return false;
  const LinkRelayState* link = phase_ == Phase::linked ? &link_->relay() : nullptr;
  const Bytes said = link == nullptr ? Bytes() : link_->unanswered();
  return Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
      .has_effect(stash_.view(), link, said);
}

bool ClientSession::says_goodbye() const {
  pg::Framer framer = relay_.framer;
  Bytes bytes = stash_.view();
  for (;;) {
    const pg::Framer::Item item = framer.next(bytes, kInspectionMax);
    if (item.kind == pg::Framer::Kind::need || item.kind == pg::Framer::Kind::malformed)
      return false;
    if (item.kind == pg::Framer::Kind::message && item.message.is(pg::Frontend::Terminate)) {
      return true;
    }
    bytes.remove_prefix(item.bytes.size());
  }
}

void ClientSession::login_wait_over() {
  if (hold_ > Hold::counted) return fatal(no_room_to_hold());
  if (login_held_for_primary()) return;
  Counters& counters = engine_.counters();
  counters.waits_failed.add();
  const milliseconds login = engine_.config().client_login_timeout;
  if (without_primary()) {
    counters.client_login_timeouts.add();
    fatal(no_primary_to_log_in("client_login_timeout", login));
    return;
  }
  const milliseconds wait = pool_->settings().query_wait_timeout;
  const bool shorter = wait.count() > 0 && (login.count() == 0 || wait < login);
  (shorter ? counters.query_wait_timeouts : counters.client_login_timeouts).add();
  if (throttle_ != nullptr && throttle_->awaits_link_place) {
    fatal(no_link_place(shorter ? "query_wait_timeout" : "client_login_timeout",
                        shorter ? wait : login));
    return;
  }
  fatal({pg::sqlstate::kTooManyConnections,
         shorter ? none_free_within("query_wait_timeout", wait)
                 : none_free_within("client_login_timeout", login),
         {},
         hint_for(source())});
}

void ClientSession::on_timer(void* self) {
  auto& session = *static_cast<ClientSession*>(self);
  switch (session.phase_) {
    case Phase::waiting:
      if (session.hold_ > Hold::counted) return session.reject(session.no_room_to_hold());
      if (!session.notified_) {
        session.notify_of_wait();
        return;
      }
      if (session.held_for_primary(session.waiting_since_)) return;
      session.engine_.counters().waits_failed.add();
      session.engine_.counters().query_wait_timeouts.add();
      session.reject(
          {pg::sqlstate::kQueryCanceled,
           "canceling statement: " +
               none_free_within("query_wait_timeout", session.pool_->settings().query_wait_timeout),
           {},
           hint_for(session.source())});
      return;
    case Phase::awaiting_server:
      session.login_wait_over();
      return;
    case Phase::held:
    case Phase::linked:
      if (session.throttle_ != nullptr && session.throttle_->held) {
        session.hold_over();
      } else if (session.awaits_replica()) {
        session.go_on_waiting();
      } else {
        session.ask_over();
      }
      return;
    case Phase::idle:
      session.over_time(session.relay_.begin.open != 0 ? TimeLimit::idle_transaction
                                                       : TimeLimit::client_idle);
      return;
    case Phase::console:
      session.move_to_console();
      return;
    case Phase::closing:
      session.close("the client did not hang up");
      return;
    case Phase::relayed_login:
      if (session.login_goes_on()) return;
      [[fallthrough]];
    default:
      session.engine_.counters().client_login_timeouts.add();
      session.note(Weight::warning, "login_timeout", "login took longer than client_login_timeout");
      session.fatal({pg::sqlstate::kInvalidAuthorization,
                     "canceling authentication due to timeout (client_login_timeout)"});
  }
}

void ClientSession::fatal(const Refused& reason) {
  if (phase_ == Phase::closing || phase_ == Phase::closed) return;
  if (login_ != nullptr) {
    engine_.counters().logins_failed.add();
    engine_.counters().login_errors.add(reason.sqlstate);
  } else {
    pool_->statistics().of(engine_.id()).own_errors.add(reason.sqlstate);
  }
  relay_.attempt = Attempt::none;  // what waited to be shown never will be
  note(Weight::normal, login_ != nullptr ? "login_refused" : "client_terminated", reason.message);
  if (phase_ == Phase::linked && link_->relay().framer.rest() > 0 &&
      link_->relay().rest == Disposition::forward) {
    // The client would take an error for the rest of a row.
    stream_->reset();
    close(reason.message);
    return;
  }
  pg::write_error(engine_.to_client().insert(), reason.report("FATAL"));
  send_own();
  close_after_sending();
}

void ClientSession::close_after_sending() {
  let_go_of_link();
  stash_.clear(engine_.buffers());
  leave_reader();
  enter(Phase::closing);
  arm(kLinger);
  update_reading();
  finish();
}

// The last words are with the system: a connection that is closed with unread bytes is reset, and
// the words are lost, so what the client still sends is read until it hangs up.
void ClientSession::finish() {
  if (!unsent_.empty()) return;
  if (ended_) {
    close({});
    return;
  }
  stream_->shut_down_sending();
}

void ClientSession::let_go_of_link() {
  if (throttle_ != nullptr) {
    throttle_->outdated = false;
    leave_limits();
  }
  if (phase_ == Phase::waiting || phase_ == Phase::awaiting_server) {
    if (link_ != nullptr && link_->phase() == ServerLink::Phase::opening) {
      std::exchange(link_, nullptr)->close();
    } else {
      stop_waiting();
    }
    if (throttle_ != nullptr) leave_link_place(nullptr);
    return;
  }
  ServerLink* link = std::exchange(link_, nullptr);
  if (throttle_ != nullptr) leave_link_place(link);
  if (link == nullptr) return;
  switch (link->phase()) {
    case ServerLink::Phase::opening:
      link->close();
      return;
    case ServerLink::Phase::linked:
      audit_unanswered(*link);
      if (relay_.in_message()) {
        link->break_off();
      } else {
        link->orphan(residue(link->relay()));
      }
      return;
    default:
      link->forget_client();
      return;
  }
}

// What the session leaves on its link.
Residue ClientSession::residue(const LinkRelayState& link) const {
  if (mode_ == config::PoolMode::session) return {.everything = true};
  Residue residue;
  residue.pins = static_cast<Pins>(relay_.pins & kResiduePins);
  if (link.listens) residue.pins |= bit(PinReason::listen);
  residue.everything = relay_.undo != nullptr || relay_.look || link.expected.changes_session() ||
                       (residue.pins & ~kVisiblePins) != 0;
  return residue;
}

void ClientSession::close(std::string_view why) {
  if (phase_ == Phase::closed) return;
  timer_.cancel();
  if (counted_pins_ != 0) count_pins(0);
  leave_listening();
  let_go_of_link();
  leave_server_id();
  if (!why.empty() && login_ == nullptr && engine_.shared().journal.wants_connections()) {
    note(Weight::normal, "client_disconnected", std::string(why));
  }
  if (pool_ != nullptr && login_ == nullptr) {
    pool_->client_went();
    if (pool_->wanted_empty(engine_.now())) {
      engine_.vacate(pool_->target(), pool_->target().database, false);
    }
  }
  if (login_ != nullptr && login_->console) {
    engine_.shared().console_clients.fetch_sub(1, std::memory_order_relaxed);
  }
  leave_places();
  leave_hold();
  stash_.clear(engine_.buffers());
  unsent_.clear(engine_.buffers());
  if (replicas_ != nullptr) replicas_->held.clear(engine_.buffers());
  engine_.to_client().clear();
  stream_.reset();
  enter(Phase::closed);
  engine_.session_closed(*this);
}

void ClientSession::link_lost(ServerLink& link, const std::string& reason, bool said,
                              bool in_message) {
  link_ = nullptr;
  if (phase_ != Phase::linked) return;
  if (std::exchange(may_ask_, false)) timer_.cancel();
  if (replicas_ != nullptr && survive_replica(link, reason)) {
    note(Weight::warning, "server_connection_lost", reason);
    continue_input();
    settle();
    return;
  }
  enter(Phase::idle);
  const bool keeps = mode_ != config::PoolMode::session && relay_.pins == 0 && !goodbye_;
  if (keeps && !said && !in_message && !link.dedicated()) {
    // All that the session is stands here, not there.
    if (send_again(link, reason)) return;
    resent_ = 0;
    audit_unanswered(link);
    if (throttle_ != nullptr) leave_limits();
    if (cancel_unanswered(link)) return;
    note(Weight::warning, "server_connection_lost", reason);
    Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
        .on_link_lost(link.relay(), reason);
    if (!engine_.measures().fresh.empty()) keep_samples(&link);
    send_own();
    holds_ready();  // it may have been lost behind the answer
    if (link.relay().settings_refused && !stash_.empty() && relay_.lost == nullptr &&
        link.relay().confirming != LinkRelayState::Confirming::no) {
      const std::string body = link.relay().own_error;
      const auto fields = pg::backend::Fields::parse(body);
      refuse_statement({std::string(fields.sqlstate), reason,
                        "The session has the settings again that it began with."});
      return;
    }
    continue_input();
    settle();
    return;
  }
  audit_unanswered(link);
  if (said) {
    close_after_sending();
  } else if (in_message) {
    // The client would take an error for the rest of a row.
    stream_->reset();
    close("the server connection was lost in the middle of a message: " + reason);
  } else {
    const Refused why = Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
                            .what_is_lost(link.relay(), reason);
    if (!engine_.measures().fresh.empty()) keep_samples(&link);
    fatal(why);
  }
}

// What the server has not begun to answer goes to another, where that changes nothing but the time.
bool ClientSession::send_again(ServerLink& link, const std::string& reason) {
  const Bytes said = link.unanswered();
  if (said.empty() || resent_ >= kResendMax || link.relay().settings_cancelled) return false;
  if (!link.undone() && !pool_->settings().resend_reads) return false;
  if (!link.fenced() && engine_.now() - link.linked_since() > kResendWithin) return false;
  Relay relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
  if (!relay.take_back(link.relay(), said, link.undone())) return false;
  ++resent_;
  engine_.counters().statements_resent.add();
  note(Weight::normal, "statement_resent", reason);
  say_again(said);
  return true;
}

// A cancel request met the change of settings ahead of what it was meant for. That is cancelled, if
// nothing has come of it: a server that was sent it may have gone on with it in other settings.
bool ClientSession::cancel_unanswered(ServerLink& link) {
  const Bytes said = link.unanswered();
  if (said.empty() || !link.relay().settings_cancelled) return false;
  Relay relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
  if (!relay.take_back(link.relay(), said, false)) return false;
  put_in_front(said);
  const std::string body = link.relay().own_error;
  refuse_statement(
      {pg::sqlstate::kQueryCanceled, std::string(pg::backend::Fields::parse(body).message)});
  return true;
}

// The session has it at the front of its input, as if it had come only now.
void ClientSession::say_again(Bytes said) {
  put_in_front(said);
  continue_input();
  settle();
}

void ClientSession::put_in_front(Bytes said) {
  Stash again;
  again.append(engine_.buffers(), said);
  again.append(engine_.buffers(), stash_.view());
  stash_.clear(engine_.buffers());
  stash_ = std::move(again);
}

void ClientSession::note(Weight weight, std::string_view event, std::string text) {
  const PeerFacts peer = stream_->peer();
  const std::string address =
      peer.unix_socket ? std::string("unix") : to_string(Endpoint{peer.address, peer.port});
  std::string database;
  std::string user;
  if (login_ != nullptr) {
    database = login_->facts.database;
    user = login_->facts.user;
  } else if (pool_ != nullptr) {
    database = pool_->key().database;
    user = this->user();
  }
  engine_.note({.weight = weight,
                .event = event,
                .text = std::move(text),
                .database = database,
                .user = user,
                .tenant = relay_.tenant == nullptr ? std::string_view() : relay_.tenant->value,
                .peer = address});
}

}  // namespace forebay::core
