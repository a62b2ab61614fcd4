#include <algorithm>
#include <utility>

#include "core/relay/held_begin.hpp"
#include "core/relay/relay.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// lazy_begin: a BEGIN is answered here, and goes to a server ahead of what is said next.

namespace forebay::core {
namespace {

using pg::Frontend;
using pg::backend::TransactionStatus;
using Choice = sql::TransactionModes::Choice;
using Isolation = sql::TransactionModes::Isolation;
using ItemKind = pg::Framer::Kind;

/// No longer text is looked at.
constexpr std::size_t kLongest = 1024;

// The first letter of a text, small; a text that begins with a comment may have a hint there.
char first_letter(Bytes text) {
  const std::size_t at = text.find_first_not_of(" \t\n\r");
  return at == Bytes::npos ? '\0' : static_cast<char>(text[at] | 0x20);
}

bool may_begin(char letter) {
  return letter == 'b' || letter == 's';
}

bool may_end(char letter) {
  return letter == 'c' || letter == 'e' || letter == 'r' || letter == 'a';
}

Bytes text_in(Bytes definition) {
  return definition.substr(0, definition.find('\0'));
}

// Of a Bind: no parameters, and not more formats than any statement without columns takes.
bool binds_nothing(Bytes values) {
  const auto take = [&values]() -> std::size_t {
    if (values.size() < 2) return 2;
    const std::size_t count = load_u16(values.data());
    values.remove_prefix(2);
    return count;
  };
  if (take() != 0 || take() != 0) return false;
  const std::size_t formats = take();
  return formats <= 1 && values.size() == 2 * formats;
}

/// What a setting that says whose the transaction is, is answered with.
constexpr Bytes kSetTag = "SET";
/// How a definition without declared types of parameters ends.
constexpr Bytes kNoTypes("\0\0", 2);

}  // namespace

// A standby knows neither SERIALIZABLE nor READ WRITE, and it may be that there is no other server.
bool HeldBegin::may_hold(const sql::TransactionModes& modes) noexcept {
  return modes.isolation != Isolation::serializable && modes.read_only != Choice::no;
}

void HeldBegin::begin(const sql::TransactionModes& modes) noexcept {
  open = 1;
  undecided = 0;
  read_only = modes.read_only == Choice::yes ? 1 : 0;
  deferrable = modes.deferrable == Choice::yes ? 1 : 0;
  not_deferrable = modes.deferrable == Choice::no ? 1 : 0;
  isolation = static_cast<std::uint8_t>(modes.isolation) & 7;
}

std::string HeldBegin::text() const {
  std::string text = "BEGIN";
  switch (static_cast<Isolation>(isolation)) {
    case Isolation::read_uncommitted:
      text += " ISOLATION LEVEL READ UNCOMMITTED";
      break;
    case Isolation::read_committed:
      text += " ISOLATION LEVEL READ COMMITTED";
      break;
    case Isolation::repeatable_read:
      text += " ISOLATION LEVEL REPEATABLE READ";
      break;
    default:
      break;
  }
  if (read_only != 0) text += " READ ONLY";
  if (deferrable != 0) text += " DEFERRABLE";
  if (not_deferrable != 0) text += " NOT DEFERRABLE";
  return text;
}

bool Relay::begun_read_only() const {
  return client_.begin.read_only != 0 || defaults_to("default_transaction_read_only", "on");
}

// What a text says of a transaction that no server need hear of now. What somebody wants to judge,
// to count or to refuse is looked at where everything is.
Relay::Control Relay::control_of(Bytes text, Bytes setting) const {
  if (!setting.empty() && tenant_in_setting(text, setting)) {
    Control control;
    control.tag = kSetTag;
    control.understood.ends = Ends::nothing;
    return control;
  }
  const char letter = first_letter(text);
  const bool open = client_.begin.open != 0;
  if (!(open ? may_end(letter) : may_begin(letter)) || text.size() > kLongest) return {};
  const Reading how = reading(client_.welcome);
  if (rules_.reader == nullptr || !how.lexable) return {};
  Control control;
  control.understood = understand(text, how, std::nullopt);
  const Understood& understood = control.understood;
  // Rules may be of one tenant, and nobody knows yet whose the transaction is.
  const bool says = client_.tenant != nullptr && client_.tenant->says.any();
  const bool judged = understood.objection || (understood.rules.mask != 0 && !says) ||
                      understood.work != nullptr ||
                      (understood.entry != nullptr && understood.entry->audited != 0);
  const sql::Facts& facts = rules_.reader->texts.facts(text, how.standard);
  if (judged || !facts.known || facts.statements.size() != 1) return {};
  const sql::Statement& statement = facts.statements.front();
  if (statement.kind == sql::Kind::begin && !open && HeldBegin::may_hold(statement.modes)) {
    control.tag = letter == 'b' ? "BEGIN" : "START TRANSACTION";
    control.modes = statement.modes;
  }
  if (open && !statement.chain) {
    if (statement.kind == sql::Kind::commit) control.tag = "COMMIT";
    if (statement.kind == sql::Kind::rollback) control.tag = "ROLLBACK";
  }
  return control;
}

void Relay::carry_out(const Control& control) {
  if (control.tag == kSetTag) {
    client_.begin.undecided = 0;
  } else if (client_.begin.open != 0) {
    client_.begin.open = 0;
  } else {
    client_.begin.begin(control.modes);
  }
  pg::write_command_complete(out_.to_client.insert(), control.tag);
}

std::size_t Relay::answer_control(Bytes bytes, Bytes setting) {
  ControlAhead ahead = control_ahead(bytes, setting);
  if (ahead.size == 0) return 0;
  std::string& out = out_.to_client.insert();
  client_.framer = ahead.framer;
  if (ahead.query) client_.drop_unnamed();
  if (ahead.parsed) remember_control(*ahead.parsed, ahead.control);
  if (ahead.parsed) pg::write_empty(out, pg::Backend::ParseComplete);
  if (ahead.asks) {
    pg::MessageWriter(out, pg::Backend::ParameterDescription).u16(0);
    pg::write_empty(out, pg::Backend::NoData);
  }
  if (ahead.executes && !ahead.query) pg::write_empty(out, pg::Backend::BindComplete);
  if (ahead.described) pg::write_empty(out, pg::Backend::NoData);
  if (ahead.executes) carry_out(ahead.control);
  if (ahead.query) pg::write_ready_for_query(out, status_here());
  return ahead.size;
}

Relay::ControlAhead Relay::control_ahead(Bytes bytes, Bytes setting) const {
  ControlAhead ahead;
  ahead.framer = client_.framer;
  const Item item = ahead.framer.next(bytes, kInspectionMax);
  if (item.kind != ItemKind::message) return ahead;
  if (!item.message.is(Frontend::Query)) {
    ahead.framer = client_.framer;
    look_at_extended(bytes, setting, ahead);
    return ahead;
  }
  const auto query = pg::frontend::Query::parse(item.message.body);
  if (!query) return ahead;
  ahead.control = control_of(query->text, setting);
  if (ahead.control.tag.empty()) return ahead;
  ahead.query = ahead.executes = true;
  ahead.size = item.bytes.size();
  return ahead;
}

// The same by Parse, Describe, Bind, Describe, Execute, up to the Execute, which has to be there;
// or a Parse, or a Describe of the statement, behind which something else is there. What comes
// behind it in its batch is in the transaction, or behind it, as ever.
void Relay::look_at_extended(Bytes bytes, Bytes setting, ControlAhead& ahead) const {
  bool bound = false;
  Bytes name;  // of the statement
  std::size_t prepared = 0;
  pg::Framer behind_prepared = ahead.framer;
  for (std::size_t at = 0;;) {
    const Item item = ahead.framer.next(bytes.substr(at), kInspectionMax);
    if (item.kind == ItemKind::need) return;
    const Bytes body = item.message.body;
    const bool first = at == 0;
    const auto type = item.kind == ItemKind::message ? static_cast<Frontend>(item.message.type)
                                                     : Frontend::Terminate;
    at += item.bytes.size();
    if (type == Frontend::Parse && first) {
      ahead.parsed = pg::frontend::Parse::parse(body);
      if (!ahead.parsed || !may_remember(*ahead.parsed)) return;
      name = ahead.parsed->statement;
      ahead.control = control_of(ahead.parsed->text, setting);
    } else if (type == Frontend::Describe) {
      const auto describe = pg::frontend::Describe::parse(body);
      const bool portal = describe && describe->target == pg::frontend::Target::portal;
      const bool twice = portal ? ahead.described : ahead.asks;
      if (!describe || twice || bound != portal) return;
      if (first) name = describe->name;
      if (first) ahead.control = control_of(text_of_prepared(name), setting);
      if (describe->name != (portal ? Bytes() : name)) return;
      (portal ? ahead.described : ahead.asks) = true;
    } else if (type == Frontend::Bind && !bound) {
      const auto bind = pg::frontend::Bind::parse(body);
      if (!bind || !bind->portal.empty() || !binds_nothing(bind->values)) return;
      if (first) name = bind->statement;
      if (first) ahead.control = control_of(text_of_prepared(name), setting);
      if (bind->statement != name) return;
      bound = true;
    } else if (type == Frontend::Execute && bound) {
      const auto execute = pg::frontend::Execute::parse(body);
      if (!execute || !execute->portal.empty()) return;
      ahead.executes = true;
      ahead.size = at;
      return;
    } else {
      if (bound || prepared == 0) return;
      ahead.framer = behind_prepared;
      ahead.size = prepared;
      return;
    }
    if (ahead.control.tag.empty()) return;
    if (bound) continue;
    prepared = at;
    behind_prepared = ahead.framer;
  }
}

// Of what the client has prepared by the protocol, without parameters; empty where that is not
// known.
Bytes Relay::text_of_prepared(Bytes name) const {
  Bytes definition;
  if (name.empty()) {
    if (client_.unnamed.exists) definition = client_.unnamed.definition;
  } else {
    const auto* named = client_.statements == nullptr ? nullptr : client_.statements->find(name);
    const bool known = named != nullptr && named->statement && !named->pending &&
                       !named->statement->unkept() && named->statement->sql().empty();
    if (known) definition = named->statement->definition();
  }
  const Bytes text = text_in(definition);
  return definition.substr(std::min(text.size() + 1, definition.size())) == kNoTypes ? text
                                                                                     : Bytes();
}

bool Relay::may_remember(const pg::frontend::Parse& parse) const {
  if (parse.parameter_types != kNoTypes) return false;
  if (parse.statement.empty()) return true;
  const bool full = client_.statements != nullptr && client_.statements->full();
  return rules_.share_statements && !full && !find_statement(parse.statement);
}

void Relay::remember_control(const pg::frontend::Parse& parse, Control& control) {
  if (!parse.statement.empty()) {
    name_unlinked(parse.statement,
                  rules_.catalog.find_or_make(parse.definition, context_of(parse.definition)),
                  std::move(control.understood));
    return;
  }
  auto& unnamed = client_.unnamed;
  ++unnamed.version;
  unnamed.definition.assign(parse.definition);
  unnamed.exists = true;
  unnamed.work = nullptr;
  unnamed.ends = control.understood.ends;
  unnamed.uses = control.understood.uses;
  unnamed.entry = std::move(control.understood.entry);
  unnamed.route = control.understood.route;
  if (client_.rules != nullptr) client_.rules->unnamed = control.understood.rules;
}

// Ahead of what the client says, in the same write.
void Relay::send_begin(LinkRelayState& link) {
  FB_ASSERT(client_.begin.open != 0);
  pg::write_query(out_.to_server.insert(), client_.begin.text());
  link.change_unnamed(0, 0);
  push(link, {.request = Request::query,
              .disposition = Disposition::discard,
              .unnamed = UnnamedChange::ours,
              .unnamed_change = link.unnamed_change});
}

void Relay::fail_begun(const Refused& why, bool told, PoolCounters* counters) {
  FB_ASSERT(client_.begin.open != 0 && client_.lost == nullptr);
  client_.begin.open = 0;
  client_.lost = std::make_unique<ClientRelayState::LostTransaction>();
  client_.lost->why = why;
  client_.lost->told = client_.lost->failed = told;
  client_.lost->counters = counters;
}

// As a client without a link knows it.
TransactionStatus Relay::status_here() const noexcept {
  return client_.begin.open != 0 ? TransactionStatus::in_transaction : TransactionStatus::idle;
}

}  // namespace forebay::core
