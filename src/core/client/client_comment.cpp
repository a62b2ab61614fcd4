#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/client/replica_use.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "core/server/server_link.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/routing/tenant/check.hpp"

// Users who may have all tenants' data say whose each of their transactions is (comment_users,
// setting_users).
//
// Whose it is, is decided by the message that begins it, before anything of that is handled; and
// until a Query or a Sync is answered nothing behind it is looked at, since nobody knows whether
// the transaction goes on. Who becomes another tenant's is what it was after its login, on another
// link; what it has prepared by the protocol stays, and is judged where it is bound. What names
// another tenant within a transaction is refused where it is judged (Relay::judge_comment).
//
// No decision is remembered beside SessionTenant itself: the message that waits for a link, or for
// a setting, is decided again when it comes to its turn, and is the same tenant's then.
namespace forebay::core {
namespace {

Bytes text_of(Bytes definition) {
  return definition.substr(0, definition.find('\0'));
}

// Not what is ours: settings, the inventory.
bool owes_client(const LinkRelayState& link) {
  bool owes = false;
  link.expected.each([&](const Expected& expected) {
    owes = owes || expected.disposition != Disposition::discard;
  });
  return owes;
}

// Whether nothing more need come to see what the batch at the front begins with.
bool is_whole_batch(Bytes bytes, pg::Framer framer) {
  // More is not read while nothing of it is taken.
  const bool full = bytes.size() >= kInspectionMax;
  for (;;) {
    const pg::Framer::Item item = framer.next(bytes, kInspectionMax);
    if (item.kind == pg::Framer::Kind::need) return full;
    const bool goes_on =
        item.kind == pg::Framer::Kind::message &&
        (item.message.is(pg::Frontend::Parse) || item.message.is(pg::Frontend::Bind) ||
         item.message.is(pg::Frontend::Describe));
    if (!goes_on) return true;
    bytes.remove_prefix(item.bytes.size());
  }
}

}  // namespace

// What may be handled now, a message at a time; nothing: it waits, or is refused in a moment.
Bytes ClientSession::as_tenant(Bytes bytes) {
  throttle_->apart = false;
  throttle_->answered = 0;
  pg::Framer framer = relay_.framer;
  const pg::Framer::Item item = framer.next(bytes, kInspectionMax);
  if (item.kind == pg::Framer::Kind::run) return item.bytes;
  if (item.kind != pg::Framer::Kind::message && item.kind != pg::Framer::Kind::head) {
    // A server that the session keeps hears of no BEGIN before all of what decides it is here.
    throttle_->apart = relay_.begin.open != 0 && is_at_rest();
    return bytes;
  }
  const pg::Message& message = item.message;
  // Nothing is carried out of what is skipped, or said in a transaction that was lost.
  if (relay_.skip_to_sync || relay_.lost != nullptr || is_no_statement(message) ||
      message.is(pg::Frontend::Terminate)) {
    // The server that the session keeps has not heard of its transaction, and is not asked.
    throttle_->apart = relay_.lost != nullptr || (relay_.begin.open != 0 && is_at_rest());
    return item.bytes;
  }
  if (link_ != nullptr) {
    const LinkRelayState& link = link_->relay();
    if (link.expected.batch_open() || link.expected.copying_in()) return item.bytes;
    if (owes_client(link)) return {};
    if (link.status != pg::backend::TransactionStatus::idle) return item.bytes;
  }
  if (relay_.begin.open != 0 && relay_.begin.undecided == 0) return item.bytes;
  if (closes_nothing_there(message)) {
    throttle_->apart = true;  // what stands behind it is to be the first that its link hears
    return item.bytes;
  }
  const auto named = named_tenant(message);
  if (!named) {
    const Here here = answer_here(bytes, message);
    if (here == Here::begun) return item.bytes;
    if (here != Here::no) return {};
  }
  return become_tenant(named) ? item.bytes : Bytes();
}

// BEGIN, which the first statement behind it decides; its end, if none comes; and what says by the
// setting whose it is. Nothing of these is a server's to know.
ClientSession::Here ClientSession::answer_here(Bytes bytes, const pg::Message& message) {
  if (mode_ != config::PoolMode::transaction || !message.whole()) return Here::no;
  const bool begun = relay_.begin.open != 0;
  const Bytes text = text_said(message);
  if (!begun && !may_begin_transaction(text)) return Here::no;
  const std::string setting =
      relay_.tenant->says.setting ? relay_.tenant->policy->setting : std::string();
  const auto relay = [this] {
    return Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
  };
  std::optional<std::string> said;
  const bool at_once = !begun && message.is(pg::Frontend::Query);
  if (begun) {
    said = relay().said_ahead(bytes, setting);
  } else if (at_once && !setting.empty()) {
    if (auto found = relay().begin_said(text, setting)) said = std::move(found->value);
  }
  if (said && !become_tenant(Bytes(*said))) return Here::waits;
  if (link_ != nullptr && !lets_go_to_begin() && (relay_.pins == 0 || !is_at_rest())) {
    return Here::waits;
  }
  if (said && at_once) {
    throttle_->answered = relay().answer_begin_said(bytes, setting);
    if (throttle_->answered > 0) return Here::answered;
    return relay_.begin.open != 0 ? Here::begun : Here::no;
  }
  throttle_->answered = relay().answer_control(bytes, begun ? Bytes(setting) : Bytes());
  if (throttle_->answered == 0) {
    if (said) relay_.begin.undecided = 1;
    return is_whole_batch(bytes, relay_.framer) ? Here::no : Here::waits;
  }
  if (!begun && relay_.begin.open != 0) relay_.begin.undecided = 1;
  if (goodbye_ && link_ != nullptr && relay_.begin.open == 0) fatal(terminated());
  if (relay_.begin.open == 0 && bound_to_removed()) fatal(host_removed());
  return Here::answered;
}

// True: there is more to look at.
bool ClientSession::take_answered(Bytes& bytes, std::size_t& consumed) {
  const std::size_t answered = std::exchange(throttle_->answered, 0);
  consumed += answered;
  bytes.remove_prefix(answered);
  return answered > 0 && !bytes.empty();
}

// Its server has said and heard all.
bool ClientSession::is_at_rest() const {
  return link_ != nullptr && phase_ == Phase::linked && link_->relay().at_rest() &&
         link_->sent_all();
}

// What is kept for a moment, for lastval, does not keep a BEGIN.
bool ClientSession::lets_go_to_begin() {
  send_both();
  if (relay_.pins != 0 || !is_at_rest()) return false;
  if (std::exchange(may_ask_, false)) timer_.cancel();
  give_link_back();
  return true;
}

// Between two transactions it needs no server: only cursors WITH HOLD are portals then.
bool ClientSession::closes_nothing_there(const pg::Message& message) const {
  if (!message.is(pg::Frontend::Close)) return false;
  const auto close = pg::frontend::Close::parse(message.body);
  return close && (close->target == pg::frontend::Target::statement ||
                   (relay_.pins & (bit(PinReason::held_cursor) | bit(PinReason::looking) |
                                   bit(PinReason::unknown))) == 0);
}

// The text of a whole Query or Parse, or of what a Bind or Describe is for; empty where there is
// none.
Bytes ClientSession::text_said(const pg::Message& message) const {
  if (message.is(pg::Frontend::Query)) return text_of(message.body);
  if (message.is(pg::Frontend::Parse)) return text_of(cut_name(message).definition);
  Bytes name;
  if (message.is(pg::Frontend::Bind)) {
    const auto bind = pg::frontend::Bind::parse(message.body);
    if (!bind) return {};
    name = bind->statement;
  } else if (message.is(pg::Frontend::Describe)) {
    const auto describe = pg::frontend::Describe::parse(message.body);
    if (!describe || describe->target != pg::frontend::Target::statement) return {};
    name = describe->name;
  } else {
    return {};
  }
  if (name.empty()) return relay_.unnamed.exists ? text_of(relay_.unnamed.definition) : Bytes();
  const auto* known = relay_.statements == nullptr ? nullptr : relay_.statements->find(name);
  const bool kept = known != nullptr && known->statement && known->statement->sql().empty();
  return kept ? text_of(known->statement->definition()) : Bytes();
}

// What the comment of its text says, or of that which it executes.
std::optional<Bytes> ClientSession::named_tenant(const pg::Message& message) const {
  if (!relay_.tenant->says.comment) return std::nullopt;
  if (message.is(pg::Frontend::Query) || message.is(pg::Frontend::Parse)) {
    return tenant_said(message);
  }
  Bytes name;
  if (message.is(pg::Frontend::Bind)) {
    const std::size_t portal = message.body.find('\0');
    if (portal == Bytes::npos) return Bytes();
    name = message.body.substr(portal + 1);
  } else if (message.is(pg::Frontend::Describe) && message.body.starts_with('S')) {
    name = message.body.substr(1);
  } else {
    return std::nullopt;
  }
  if (name.find('\0') == Bytes::npos) return Bytes();
  name = text_of(name);
  if (name.empty()) {
    return relay_.unnamed.exists ? tenant_in_comment(text_of(relay_.unnamed.definition))
                                 : std::nullopt;
  }
  const auto* known = relay_.statements == nullptr ? nullptr : relay_.statements->find(name);
  if (known == nullptr || !known->statement || !known->statement->sql().empty()) {
    return std::nullopt;
  }
  return tenant_in_comment(text_of(known->statement->definition()));
}

// No transaction is open. False: what begins one waits, is refused, or the session has ended.
bool ClientSession::become_tenant(const std::optional<Bytes>& named) {
  const SessionTenant& mine = *relay_.tenant;
  const auto value = named ? tenant::normal_value(mine.policy->type, *named)
                           : std::optional<std::string>(mine.usual);
  if (!value || value->empty()) {
    refuse_as({}, {pg::sqlstate::kInsufficientPrivilege,
                   named ? "the statement, by its comment or setting, names no tenant: \"" +
                               std::string(named->substr(0, 100)) + "\""
                         : "nothing says which tenant the transaction belongs to",
                   {},
                   mine.says.comment
                       ? "Begin its first statement with a comment such as /* tenant=acme */."
                       : "Say so behind BEGIN, by a statement that is nothing else: SET LOCAL " +
                             mine.policy->setting + " = 'acme', or SELECT set_config('" +
                             mine.policy->setting + "', 'acme', true)."});
    return false;
  }
  if (const auto banned = ban_of(*value, pg::sqlstate::kInsufficientPrivilege)) {
    refuse_as(*value, *banned);
    return false;
  }
  if (*value == mine.value) {
    relay_.begin.undecided = 0;
    return true;
  }
  if (link_ != nullptr) {
    send_both();  // a Flush, perhaps
    if (!link_->relay().at_rest() || !link_->sent_all()) return false;
  }
  relay_.begin.undecided = 0;
  return change_tenant(*value);
}

// What is refused now is booked to who was named, or to nobody.
void ClientSession::refuse_as(const std::string& tenant, Refused reason) {
  throttle_->since = engine_.now();
  throttle_->refused_as = tenant_session(tenant, relay_.tenant->policy, relay_.tenant->database);
  refuse_next(std::move(reason));
}

// Nothing of the session is with its link, if it has one. False: it has ended.
bool ClientSession::change_tenant(const std::string& value) {
  Relay relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
  relay.tell_of_startup(link_ == nullptr ? nullptr : &link_->relay());
  send_own();
  if (std::exchange(may_ask_, false)) timer_.cancel();
  leave_listening();
  if (link_ != nullptr) {
    let_go_of_link();  // it is cleaned of what the session has there
    enter(Phase::idle);
    if (replicas_ != nullptr) note_unlinked();
  } else {
    leave_limits();
  }
  relay.forget_session();
  if (counted_pins_ != 0) count_pins(0);
  relay_.serial = engine_.shared().next_serial.fetch_add(1, std::memory_order_relaxed);
  be_tenant(value, relay_.tenant->policy, relay_.tenant->database, relay_.tenant->says);
  own_setting();
  if (role_is_gone() && !follow_role()) return false;
  if (is_misplaced()) return move();
  moves_ = false;
  follow_rules();
  follow_limits();
  return true;
}

// Whether more is read, though bytes of its tenant's are to be paid for: the next transaction may
// be another's, and if not, it waits then.
bool ClientSession::reads_on() const noexcept {
  if (!throttle_->says) return false;
  return phase_ == Phase::idle || (phase_ == Phase::linked && link_->relay().at_rest());
}

// The setting that is the tenant's is one of those that the session began with.
void ClientSession::own_setting() {
  const std::string& setting = relay_.tenant->policy->setting;
  if (setting.empty()) return;
  ParameterSets& sets = engine_.shared().parameter_sets;
  for (ParameterSetRef* set : {&relay_.settings, &relay_.startup}) {
    *set = sets.with(**set, setting, relay_.tenant->value);
  }
}

}  // namespace forebay::core
