#include <algorithm>
#include <array>
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

/// What a setting that says whose the transaction is, is answered with.
constexpr Bytes kSetTag = "SET";
constexpr Bytes kCallTag = "SELECT 1";
/// Of a text without parameters.
constexpr Bytes kNoTypes("\0\0", 2);
constexpr std::uint32_t kText = 25;

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
  if (auto said = setting_said_by(text, setting)) {
    Control control;
    control.tag = said->call ? kCallTag : kSetTag;
    control.understood.ends = Ends::nothing;
    control.said = std::move(said);
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

// With the types of its parameters, which have to be such as nobody need ask a server for.
Relay::Control Relay::control_of_definition(Bytes definition, Bytes setting) const {
  const Bytes text = text_in(definition);
  if (text.size() == definition.size()) return {};
  const Bytes types = definition.substr(text.size() + 1);
  Control control = control_of(text, setting);
  const bool fit = control.said ? may_say(*control.said, types) : types == kNoTypes;
  return fit ? std::move(control) : Control{};
}

std::optional<SettingSaid> Relay::setting_said_by(Bytes text, Bytes setting) const {
  const Reading how = reading(client_.welcome);
  if (setting.empty() || text.size() > kLongest || !how.lexable) return std::nullopt;
  sql::Shape shape;
  sql::lex(text, how.standard, {}, shape);
  return setting_said(text, shape, setting);
}

void Relay::carry_out(const Control& control) {
  if (control.said) {
    client_.begin.undecided = 0;
  } else if (client_.begin.open != 0) {
    client_.begin.open = 0;
  } else {
    client_.begin.begin(control.modes);
  }
  std::string& out = out_.to_client.insert();
  if (control.gives_row()) pg::write_data_row(out, std::array{Bytes(control.said->value)});
  pg::write_command_complete(out, control.tag);
}

void Relay::describe_control(const ControlAhead& ahead, bool binary) {
  std::string& out = out_.to_client.insert();
  if (!ahead.control.gives_row()) {
    pg::write_empty(out, pg::Backend::NoData);
    return;
  }
  pg::write_row_description(out, std::array{Bytes(ahead.control.said->column)});
  if (binary) out.back() = '\1';  // the format of its only column
}

std::optional<std::string> Relay::said_ahead(Bytes bytes, Bytes setting) const {
  ControlAhead ahead = control_ahead(bytes, setting);
  if (!ahead.executes || !ahead.control.said) return std::nullopt;
  return std::move(ahead.control.said->value);
}

// A text that the server would not even begin with is no such one.
std::optional<Relay::BeginSaid> Relay::begin_said(Bytes text, Bytes setting) const {
  const Reading how = reading(client_.welcome);
  if (rules_.reader == nullptr || !how.lexable || client_.begin.open != 0) return std::nullopt;
  sql::Shape shape;
  sql::lex(text, how.standard, {}, shape);
  if (shape.fault() != sql::ShapeFault::none || shape.parts().size() < 2) return std::nullopt;
  const Bytes second = shape.parts()[1].of(text);
  auto said = setting_said_by(second, setting);
  if (!said || said->bound) return std::nullopt;
  if (control_of(shape.parts()[0].of(text), {}).tag.empty()) return std::nullopt;
  const std::size_t rest = shape.parts().size() > 2 ? shape.parts()[2].begin : 0;
  if (!rules_.reader->cache.facts(text, how.standard, shape).known) return std::nullopt;
  return BeginSaid{std::move(said->value), rest};
}

// What was answered is blanks from here on, in the place where the client's message stands: all
// that looks at the rest, now or when there is a server for it, finds it where it was.
std::size_t Relay::answer_begin_said(Bytes bytes, Bytes setting) {
  pg::Framer framer = client_.framer;
  const Item item = framer.next(bytes, kInspectionMax);
  const auto query = pg::frontend::Query::parse(item.message.body);
  const auto found = query ? begin_said(query->text, setting) : std::nullopt;
  if (!found) return 0;
  sql::Shape shape;
  sql::lex(query->text, reading(client_.welcome).standard, {}, shape);
  const Control says = control_of(shape.parts()[1].of(query->text), setting);
  carry_out(control_of(shape.parts()[0].of(query->text), {}));
  std::string& out = out_.to_client.insert();
  if (says.gives_row()) pg::write_row_description(out, std::array{Bytes(says.said->column)});
  carry_out(says);
  client_.drop_unnamed();
  if (found->rest == 0) {
    client_.framer = framer;
    pg::write_ready_for_query(out, status_here());
    return item.bytes.size();
  }
  std::fill_n(const_cast<char*>(query->text.data()), found->rest, ' ');
  return 0;
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
    const bool bound = ahead.control.said && ahead.control.said->bound;
    const std::uint32_t type = ahead.types.size() > 2 ? load_u32(ahead.types.data() + 2) : 0;
    pg::MessageWriter description(out, pg::Backend::ParameterDescription);
    description.u16(bound ? 1 : 0);
    if (bound) description.u32(type == 0 ? kText : type);
  }
  if (ahead.asks) describe_control(ahead, false);
  if (ahead.executes && !ahead.query) pg::write_empty(out, pg::Backend::BindComplete);
  if (ahead.described || (ahead.query && ahead.control.gives_row())) {
    describe_control(ahead, ahead.binary);
  }
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
  const auto take_definition = [&](Bytes definition) {
    ahead.types = definition.substr(std::min(text_in(definition).size() + 1, definition.size()));
    ahead.control = control_of_definition(definition, setting);
  };
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
      take_definition(ahead.parsed->definition);
    } else if (type == Frontend::Describe) {
      const auto describe = pg::frontend::Describe::parse(body);
      const bool portal = describe && describe->target == pg::frontend::Target::portal;
      const bool twice = portal ? ahead.described : ahead.asks;
      if (!describe || twice || bound != portal) return;
      if (first) name = describe->name;
      if (first) take_definition(definition_of_prepared(name));
      if (describe->name != (portal ? Bytes() : name)) return;
      (portal ? ahead.described : ahead.asks) = true;
    } else if (type == Frontend::Bind && !bound) {
      const auto bind = pg::frontend::Bind::parse(body);
      if (!bind || !bind->portal.empty()) return;
      if (first) name = bind->statement;
      if (first) take_definition(definition_of_prepared(name));
      if (bind->statement != name) return;
      SettingSaid nothing;
      SettingSaid& said = ahead.control.said ? *ahead.control.said : nothing;
      if (!take_bound(said, bind->values, ahead.binary)) return;
      bound = true;
    } else if (type == Frontend::Execute && bound) {
      const auto execute = pg::frontend::Execute::parse(body);
      if (!execute || !execute->portal.empty()) return;
      if (ahead.control.gives_row() && execute->max_rows != 0) return;
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

// Of what the client has prepared by the protocol; empty where that is not known.
Bytes Relay::definition_of_prepared(Bytes name) const {
  if (name.empty()) return client_.unnamed.exists ? Bytes(client_.unnamed.definition) : Bytes();
  const auto* named = client_.statements == nullptr ? nullptr : client_.statements->find(name);
  const bool known = named != nullptr && named->statement && !named->pending &&
                     !named->statement->unkept() && named->statement->sql().empty();
  return known ? Bytes(named->statement->definition()) : Bytes();
}

bool Relay::may_remember(const pg::frontend::Parse& parse) const {
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
