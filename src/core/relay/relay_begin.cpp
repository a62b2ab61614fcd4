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
  pg::Framer framer = client_.framer;
  const Item item = framer.next(bytes, kInspectionMax);
  if (item.kind != ItemKind::message) return 0;
  if (!item.message.is(Frontend::Query)) return answer_extended_control(bytes, setting);
  const auto query = pg::frontend::Query::parse(item.message.body);
  if (!query) return 0;
  const Control control = control_of(query->text, setting);
  if (control.tag.empty()) return 0;
  client_.framer = framer;
  client_.drop_unnamed();
  carry_out(control);
  pg::write_ready_for_query(out_.to_client.insert(), status_here());
  return item.bytes.size();
}

// The same by Parse, Bind, Describe, Execute; all of it has to be there. What comes behind it in
// its batch is in the transaction, or behind it, as ever.
std::size_t Relay::answer_extended_control(Bytes bytes, Bytes setting) {
  pg::Framer framer = client_.framer;
  std::optional<pg::frontend::Parse> parsed;
  Control control;
  bool bound = false;
  bool described = false;
  for (std::size_t at = 0;;) {
    const Item item = framer.next(bytes.substr(at), kInspectionMax);
    if (item.kind != ItemKind::message) return 0;
    at += item.bytes.size();
    switch (static_cast<Frontend>(item.message.type)) {
      case Frontend::Parse:
        parsed = pg::frontend::Parse::parse(item.message.body);
        if (at != item.bytes.size() || !parsed || !parsed->statement.empty()) return 0;
        if (parsed->parameter_types != Bytes("\0\0", 2)) return 0;
        control = control_of(parsed->text, setting);
        if (control.tag.empty()) return 0;
        break;
      case Frontend::Bind: {
        const auto bind = pg::frontend::Bind::parse(item.message.body);
        if (bound || !bind || !bind->portal.empty() || !binds_nothing(bind->values)) return 0;
        if (parsed && !bind->statement.empty()) return 0;
        if (!parsed) control = control_of(text_of_prepared(bind->statement), setting);
        if (control.tag.empty()) return 0;
        bound = true;
        break;
      }
      case Frontend::Describe: {
        const auto describe = pg::frontend::Describe::parse(item.message.body);
        const bool portal = describe && describe->target == pg::frontend::Target::portal;
        if (!bound || described || !portal || !describe->name.empty()) return 0;
        described = true;
        break;
      }
      case Frontend::Execute: {
        const auto execute = pg::frontend::Execute::parse(item.message.body);
        if (!bound || !execute || !execute->portal.empty()) return 0;
        client_.framer = framer;
        std::string& out = out_.to_client.insert();
        if (parsed) remember_control(*parsed, control);
        if (parsed) pg::write_empty(out, pg::Backend::ParseComplete);
        pg::write_empty(out, pg::Backend::BindComplete);
        if (described) pg::write_empty(out, pg::Backend::NoData);
        carry_out(control);
        return at;
      }
      default:
        return 0;
    }
  }
}

// Of what the client has prepared by the protocol; empty where that is not known.
Bytes Relay::text_of_prepared(Bytes name) const {
  if (name.empty()) {
    return client_.unnamed.exists ? text_in(client_.unnamed.definition) : Bytes();
  }
  const auto* named = client_.statements == nullptr ? nullptr : client_.statements->find(name);
  const bool known = named != nullptr && named->statement && !named->pending &&
                     !named->statement->unkept() && named->statement->sql().empty();
  return known ? text_in(named->statement->definition()) : Bytes();
}

// It is the client's unnamed statement.
void Relay::remember_control(const pg::frontend::Parse& parse, Control& control) {
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
