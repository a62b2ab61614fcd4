#include <algorithm>
#include <utility>

#include "core/relay/converted_names.hpp"
#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "core/relay/withheld.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What the policy for tenants says of a text or a Bind. In the place of what is refused, the server
// gets something that fails: its transaction, batch and order of replies are then what they are
// after any error, and only the words are ours.

namespace forebay::core {
namespace {

using pg::Frontend;

/// No SQL at all. In the server's log it is what was in the place of the statement.
constexpr std::string_view kRefusedText = "refused_by_forebay";
/// No statement has this name.
constexpr std::string_view kRefusedName = "_forebay_refused";
/// Its detail has the row in the way.
constexpr Bytes kExclusionViolation = "23P01";

/// SQLSTATEs, or their classes, of what speaks of the session, of locks, of what the statement
/// itself writes, or in words of the operator's own (RAISE).
bool tells_of_no_row(Bytes sqlstate) noexcept {
  constexpr Bytes kClasses[] = {"08", "23", "25", "26", "28", "34",   "38",
                                "39", "3B", "40", "57", "P0", "55P03"};
  return std::any_of(std::begin(kClasses), std::end(kClasses),
                     [&](Bytes begin) { return sqlstate.starts_with(begin); }) ||
         sqlstate == pg::sqlstate::kInsufficientPrivilege ||
         sqlstate == pg::sqlstate::kDuplicatePreparedStatement;
}

/// Those whose words quote what they are about. Others may have it unquoted among them, as in
/// "function x() does not exist" (42883) and "x is not a valid encoding name" (42704).
bool quotes_values(Bytes sqlstate) noexcept {
  constexpr Bytes kClasses[] = {"0A", "21", "22",    "3F",    "53",    "54",
                                "55", "58", "42601", "42602", "42P01", "42P10"};
  return std::any_of(std::begin(kClasses), std::end(kClasses),
                     [&](Bytes begin) { return sqlstate.starts_with(begin); });
}

/// Up to the first that may be a value.
Bytes without_quotes(Bytes message) noexcept {
  const auto* end = std::find_if(message.begin(), message.end(), [](char c) {
    return c == '"' || c == '\'' || c == ':' || (c >= '0' && c <= '9') || (c & 0x80) != 0;
  });
  message = message.substr(0, static_cast<std::size_t>(end - message.begin()));
  while (!message.empty() && (message.back() == ' ' || message.back() == '(')) {
    message.remove_suffix(1);
  }
  return message;
}

/// What an error or a notice says of where it is from.
struct Origin {
  Bytes context;          ///< what the server was doing, the innermost first
  Bytes routine;          ///< of the server's source
  bool position = false;  ///< in the client's text, unless there is a context
  bool inner = false;     ///< in a text that the statement has made
};

Origin origin_of(Bytes fields) noexcept {
  Origin origin;
  for (std::size_t at = 0; at < fields.size() && fields[at] != '\0';) {
    const std::size_t end = std::min(fields.find('\0', at), fields.size());
    const Bytes value = fields.substr(at + 1, end - at - 1);
    switch (fields[at]) {
      case 'P':
        origin.position = true;
        break;
      case 'R':
        origin.routine = value;
        break;
      case 'W':
        origin.context = value;
        break;
      case 'q':
        origin.inner = true;
        break;
      default:
        break;
    }
    at = end + 1;
  }
  return origin;
}

/// It is about what the client has written: its text, or what it copies in. A type's name that
/// comes from a row has a position as well, in itself, and a foreign table of a file the context of
/// a copy.
bool is_of_client(const Origin& origin, const ExpectedReplies& expected) noexcept {
  if (origin.inner) return false;
  if (origin.context.empty()) return origin.position;
  return expected.copies_in() && origin.context.starts_with("COPY ");
}

/// No row is read yet.
bool reads_no_row(const ExpectedReplies& expected) noexcept {
  const Request request = expected.head_request();
  return request == Request::parse || request == Request::bind;
}

/// Of procedural languages: the words are the operator's own.
bool is_raised(Bytes routine) noexcept {
  constexpr Bytes kRoutines[] = {"exec_stmt_raise", "PLy_output", "plperl_util_elog", "pltcl_elog"};
  return std::find(std::begin(kRoutines), std::end(kRoutines), routine) != std::end(kRoutines);
}

}  // namespace

// What holds for the statement at hand: with the tables that the catalog says have the column.
const std::shared_ptr<const tenant::Policy>& Relay::policy() const {
  const std::shared_ptr<const tenant::Policy>& said = client_.tenant->policy;
  if (!said->tables_with_column || client_.catalog == nullptr) return said;
  const CatalogEpoch& catalog = *client_.catalog;
  return rules_.reader->policies.of(said, catalog.tables, catalog.now());
}

// Where it is to be learned what a tenant does: of what is not refused.
void Relay::learn(const Understood& understood, const sql::Facts& facts,
                  const config::Rule* rule) const {
  if (client_.tenant == nullptr || client_.tenant->learning == nullptr) return;
  if (understood.objection && understood.objection->mode == tenant::Mode::enforce) return;
  if (rule != nullptr && !rule->error.empty()) return;
  client_.tenant->learning->see(facts, rules_.reader->texts.shape());
}

// What nobody looked at.
tenant::Violation Relay::unread() const {
  if (client_.tenant->learning != nullptr) client_.tenant->learning->see_unknown();
  return {client_.tenant->policy->of_statements(),
          "statement refused for tenants: it is over 64 KiB, malformed, or in an encoding that "
          "cannot be read",
          true};
}

std::optional<tenant::Violation> Relay::judge(Bytes text, const Reading& reading,
                                              const sql::Facts& facts,
                                              std::optional<Bytes> types) const {
  const SessionTenant& tenant = *client_.tenant;
  if (tenant.says.any()) {
    if (auto other = judge_comment(tenant_in_comment(text))) return other;
    if (auto wrong = judge_names(facts, types.has_value())) return wrong;
  }
  const tenant::Policy& policy = *rules_.reader->cache.policy();  // the facts are judged by it
  std::vector<std::uint32_t> parameters;
  const sql::Shape& shape = rules_.reader->texts.shape();
  if (names_are_converted(client_, shape.key()) &&
      (beyond_ascii(policy.column) || beyond_ascii(policy.tables) ||
       beyond_ascii(policy.report_tables) || beyond_ascii(policy.shared_tables) ||
       (policy.catalog != nullptr && policy.catalog->beyond_ascii()))) {
    return tenant::Violation{policy.firewall,
                             "statement refused for tenants: names with letters beyond ASCII need "
                             "client_encoding UTF8, and a database in UTF8"};
  }
  auto found =
      tenant::check_text(policy, tenant.value, text, reading.standard, facts, shape, parameters);
  if ((found && found->mode == tenant::Mode::enforce) || facts.verdict == nullptr) return found;
  if (types && !parameters.empty()) {
    if (auto wrong = tenant::check_types(policy, facts, text, parameters, *types)) return wrong;
  }
  for (const std::string& name : facts.verdict->executes) {
    // Its values would have to be checked as those of a Bind are.
    const StatementRef statement = find_statement(name);
    if (types || (statement && statement->sql().empty())) {
      return tenant::Violation{policy.firewall,
                               "statement refused for tenants: EXECUTE with arguments of a "
                               "statement of the protocol, or in one"};
    }
  }
  if (policy.tables_with_column) {
    if (auto wrong = judge_executed(facts, reading.standard)) return wrong;
  }
  return found;
}

// What EXECUTE names was judged when it was prepared: by what the catalog was then.
std::optional<tenant::Violation> Relay::judge_executed(const sql::Facts& facts,
                                                       sql::StandardStrings standard) const {
  std::vector<const sql::Statement*> all;
  for (const sql::Statement& each : facts.statements) {
    all.push_back(&each);
    for (const sql::Statement& inner : each.inner) all.push_back(&inner);
  }
  std::erase_if(all, [](const sql::Statement* each) { return each->kind != sql::Kind::execute; });
  if (all.empty()) return std::nullopt;
  for (const sql::Statement* each : all) {
    const StatementRef statement = find_statement(each->name);
    if (!statement) continue;
    const Bytes definition = statement->definition();
    const std::string text = statement->sql().empty()
                                 ? std::string(definition.substr(0, definition.find('\0')))
                                 : "PREPARE p " + std::string(statement->sql());
    sql::Shape shape;
    std::vector<std::uint32_t> parameters;
    const sql::Facts& executed = rules_.reader->cache.facts(text, standard, shape);
    auto wrong = tenant::check_text(*rules_.reader->cache.policy(), client_.tenant->value, text,
                                    standard, executed, shape, parameters);
    if (wrong && wrong->mode == tenant::Mode::enforce) return wrong;
  }
  return std::nullopt;
}

// The statement is judged again: what may be said may have changed since it was prepared.
std::optional<tenant::Violation> Relay::judge_bind(const Item& item,
                                                   const std::optional<pg::frontend::Bind>& bind,
                                                   LinkRelayState& link) {
  if (!bind || link.expected.copying_in()) return unread();
  Bytes definition;
  if (!bind->statement.empty()) {
    const auto* known =
        client_.statements == nullptr ? nullptr : client_.statements->find(bind->statement);
    if (known == nullptr || !known->statement->sql().empty()) return std::nullopt;
    definition = known->statement->definition();
  } else if (client_.unnamed.exists) {
    definition = client_.unnamed.definition;
  } else {
    return std::nullopt;
  }
  const Reading reading = reading_now(link);
  if (!reading.lexable) return unread();
  const SessionTenant& tenant = *client_.tenant;
  const Bytes text = definition.substr(0, definition.find('\0'));
  if (tenant.says.any()) {
    if (auto other = judge_comment(tenant_in_comment(text))) return other;
  }
  StatementReader& reader = *rules_.reader;
  reader.cache.set_policy(policy());
  const tenant::Policy& holds = *reader.cache.policy();
  const sql::Facts& facts = reader.texts.facts(text, reading.standard);
  std::vector<std::uint32_t> parameters;
  auto found = tenant::check_text(holds, tenant.value, text, reading.standard, facts,
                                  reader.texts.shape(), parameters);
  if (found && found->mode == tenant::Mode::enforce) return found;
  // Of a large message, so much is there in any case.
  const Bytes values =
      item.message.whole() ? bind->values : bind->values.substr(0, pg::kHeadMin / 2);
  return tenant::check_values(holds, tenant.value, facts, parameters, values);
}

// Takes note of it. True: it is not to be sent.
bool Relay::refused(const std::optional<tenant::Violation>& objection) {
  if (!objection) return false;
  if (objections_.refused + objections_.reported == 0) objections_.first = objection->message;
  const bool refused = objection->mode == tenant::Mode::enforce;
  ++(refused ? objections_.refused : objections_.reported);
  if (rules_.measures != nullptr && rules_.measures->audit.records_refusals()) {
    audit_refusal(*objection);
  }
  return refused;
}

// Of the text at hand of the worker's reader, where it was read.
void Relay::audit_refusal(const tenant::Violation& objection) {
  const bool refused = objection.mode == tenant::Mode::enforce;
  AuditRecord record{.events = audit::bit(refused ? audit::Event::refused : audit::Event::reported),
                     .statement = {.ended = rules_.measures->now},
                     .reason = objection.message};
  if (refused) record.statement.sqlstate = pg::sqlstate::kInsufficientPrivilege;
  if (objection.unread) record.reason = "it is not understood";  // an error may show a secret
  if (!objection.unread && rules_.reader->texts.shape().fault() == sql::ShapeFault::none) {
    record.statement.shape = shape_number(rules_.reader->texts.shape());
    record.statement.text = shape_text(rules_.reader->texts.shape());
  }
  rules_.measures->audit.fresh().push_back(std::move(record));
}

// ---------------------------------------------------------------- the setting that we own

// Whether RESET ALL and DISCARD ALL would take it away.
bool Relay::owns_setting() const {
  return client_.tenant != nullptr && !client_.tenant->policy->setting.empty() &&
         client_.startup != nullptr && !client_.startup->entries().empty();
}

// Executes what nobody follows any more: see kExecutedMax.
bool Relay::executes_unknown(const SessionWork& work) {
  return work.unknown ||
         std::any_of(work.steps.begin(), work.steps.end(), [](const SessionStep& step) {
           return step.inner != nullptr && executes_unknown(*step.inner);
         });
}

// What takes it away must stand where it is put back before anything else of the client's is done.
bool Relay::loses_setting(Request request, const SessionWorkRef& work, LinkRelayState& link) {
  if (!owns_setting()) return false;
  if (client_.discards) return true;
  if (work == nullptr) return false;
  const bool resets = work->resets();
  switch (request) {
    case Request::query: {
      if (resets && !may_edit(*work, rules_.reader->texts.shape())) return true;
      if (work->has(SessionStep::Kind::discard_all) && link.expected.batch_open()) return true;
      if (!rules_.share_statements || !work->names_statements()) return false;
      renew_executed(*work, {}, link);
      return std::any_of(work->steps.begin(), work->steps.end(), [&](const SessionStep& step) {
        if (step.kind != SessionStep::Kind::execute) return false;
        const SessionWorkRef inner = work_of_name(step.name);
        return inner != nullptr && executes_unknown(*inner);
      });
    }
    case Request::parse:
      return resets && !rules_.share_statements;  // what a name means there, nobody follows
    default:
      return executes_unknown(*work) || (resets && client_.portals.size() >= kPortalsMax);
  }
}

bool Relay::refuses_loss(const Item& item, LinkRelayState& link, Request request,
                         const SessionWorkRef& work) {
  if (!loses_setting(request, work, link)) return false;
  tenant::Violation objection{tenant::Mode::enforce,
                              "statement refused for tenants: RESET ALL or DISCARD ALL may undo "
                              "the setting \"" +
                                  client_.tenant->policy->setting +
                                  "\" here: send it in a Query of its own, behind a Sync"};
  static_cast<void>(refused(objection));
  refuse(item, link, request, std::move(objection.message));
  return true;
}

// Behind an Execute, in a transaction in which a portal is there that takes it away: a portal may
// be another one than its name says, where a Bind has failed.
void Relay::keep_setting(LinkRelayState& link) {
  if (!owns_setting() || std::none_of(client_.portals.begin(), client_.portals.end(),
                                      [](const auto& portal) { return portal.work->resets(); })) {
    return;
  }
  const std::string& name = client_.tenant->policy->setting;
  if (const std::string* value = client_.startup->find(name)) {
    change_settings({{name, *value}}, link, Disposition::precede);
  }
}

// ---------------------------------------------------------------- instead

void Relay::refuse(const Item& item, LinkRelayState& link, Request request, std::string why,
                   Bytes sqlstate, std::string hint) {
  drop(item);
  std::string& out = out_.to_server.insert();
  Expected expected{.request = request, .special = std::make_unique<SpecialReply>()};
  expected.special->refusal = std::move(why);
  expected.special->refused_as = sqlstate;
  expected.special->refusal_hint = std::move(hint);
  switch (request) {
    case Request::parse:
      pg::write_parse_text(out, kRefusedName, kRefusedText);
      break;
    case Request::bind:
      pg::write_bind(out, {}, kRefusedName, {});
      break;
    default:
      pg::write_query(out, kRefusedText);
      expected.unnamed = drop_unnamed(link);
      expected.unnamed_version = client_.unnamed.version;
      expected.unnamed_change = link.unnamed_change;
  }
  push(link, std::move(expected));
}

bool withholds_values(const ClientRelayState* client) noexcept {
  return client != nullptr && client->tenant != nullptr &&
         client->tenant->policy->firewall == tenant::Mode::enforce;
}

bool withholds_notice(const ClientRelayState* client, const LinkRelayState& link,
                      const pg::Message& notice) {
  if (!withholds_values(client) || link.expected.empty() || reads_no_row(link.expected)) {
    return false;
  }
  if (tells_of_no_row(pg::backend::Fields::parse(notice.body).sqlstate)) return false;
  if (!notice.whole()) return true;
  const Origin origin = origin_of(notice.body);
  return !is_of_client(origin, link.expected) && !is_raised(origin.routine);
}

bool tell_without_values(const ClientRelayState* client, LinkRelayState& link,
                         const pg::Message& error, Conduit& to_client) {
  if (!withholds_values(client)) return false;
  const auto fields = pg::backend::Fields::parse(error.body);
  const bool excludes = fields.sqlstate == kExclusionViolation;
  if (fields.fatal() || (tells_of_no_row(fields.sqlstate) && !excludes)) return false;
  if (reads_no_row(link.expected)) return false;
  Bytes words;  // of the head of a large message, none
  if (error.whole()) {
    const Origin origin = origin_of(error.body);
    if (is_of_client(origin, link.expected) || is_raised(origin.routine)) return false;
    if (excludes) words = fields.message;
    if (quotes_values(fields.sqlstate)) words = without_quotes(fields.message);
    const bool more =
        !fields.detail.empty() || !fields.hint.empty() || !origin.context.empty() || origin.inner;
    if (!more && words == fields.message) return false;
  }
  pg::write_error(to_client.insert(),
                  {"ERROR",
                   fields.sqlstate,
                   words.find(' ') == Bytes::npos ? Bytes("an error about a value") : words,
                   {},
                   "What it is about is not told, since it may be of another tenant's "
                   "row: the server's log has it."});
  link.rest = Disposition::discard;
  return true;
}

bool ServerRelay::tell_refusal(const SpecialReply* special, Told& told) {
  if (client_ == nullptr || special == nullptr || special->refusal.empty()) return false;
  const Bytes sqlstate = special->refused_as.empty() ? Bytes(pg::sqlstate::kInsufficientPrivilege)
                                                     : Bytes(special->refused_as);
  pg::write_error(to_client_.insert(),
                  {"ERROR", sqlstate, special->refusal, {}, special->refusal_hint});
  told = {sqlstate, true};
  link_.rest = Disposition::discard;
  return true;
}

}  // namespace forebay::core
