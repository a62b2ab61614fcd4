#include <algorithm>
#include <bit>
#include <utility>

#include "core/relay/converted_names.hpp"
#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// Rules for single statements: which one holds for what the client says, and what it does. Nothing
// of this is reached by a session that no rule may concern.

namespace forebay::core {
namespace {

using rules::Mask;
using sql::Kind;

/// So much of a statement is logged.
constexpr std::size_t kLoggedMax = 500;

// The prepared statements that a statement executes.
void executed(const sql::Statement& statement, std::vector<std::string>& names) {
  const bool runs = statement.kind == Kind::execute || statement.kind == Kind::create_table_as;
  if (runs && !statement.name.empty()) names.push_back(statement.name);
  for (const sql::Statement& inner : statement.inner) executed(inner, names);
}

// What a definition of the protocol begins with.
Bytes text_in(Bytes definition) {
  return definition.substr(0, definition.find('\0'));
}

// A text that prepares what `statement` is; empty where it was not kept.
std::string text_of(const StatementRef& statement) {
  if (statement->unkept()) return {};
  if (!statement->sql().empty()) return "PREPARE p" + std::string(statement->sql());
  return std::string(text_in(statement->definition()));
}

Bytes sqlstate_of(const config::Rule& rule) {
  return rule.sqlstate.empty() ? pg::sqlstate::kInsufficientPrivilege : Bytes(rule.sqlstate);
}

}  // namespace

Mask Relay::rules_unread() const {
  const SessionRules& session = *client_.rules;
  return session.mine & session.set->of_unknown();
}

// Those of what is prepared by EXECUTE count as the text's own.
Mask Relay::rules_of(Bytes text, const Reading& how, const sql::Facts& facts,
                     const sql::Shape& shape, unsigned depth) const {
  const SessionRules& session = *client_.rules;
  if (names_are_converted(client_, shape.key())) {
    // Which of the rules it would match, nobody can say.
    for (Mask left = session.mine; left != 0; left &= left - 1) {
      const config::Rule& rule = (*session.set)[static_cast<std::size_t>(std::countr_zero(left))];
      if (beyond_ascii(rule.tables) || beyond_ascii(rule.functions)) return rules_unread();
    }
  }
  std::vector<std::string> names;
  for (const sql::Statement& statement : facts.statements) executed(statement, names);
  Mask mask = session.set->of_shape(text, how.standard, shape, facts) & session.mine;
  mask = session.set->found_in(mask, text);
  for (const std::string& name : names) {
    if (client_.statements == nullptr) break;
    if (auto* named = client_.statements->find(name)) mask |= rules_of(*named, depth + 1);
  }
  return mask;
}

Mask Relay::rules_of_text(Bytes text, unsigned depth) const {
  const Reading how = reading(client_.welcome);
  if (rules_.reader == nullptr || text.empty() || !how.lexable) return rules_unread();
  sql::Shape shape;
  return rules_of(text, how, rules_.reader->cache.facts(text, how.standard, shape), shape, depth);
}

// What was judged by other rules is judged again.
Mask Relay::rules_of(ClientStatements::Named& named, unsigned depth) const {
  const std::uint32_t serial = client_.rules->set->serial();
  if (named.rules.serial == serial) return named.rules.mask;
  if (depth > kExecutedMax) return rules_unread();
  // In session mode its text is not known any more: it was judged when it was prepared.
  named.rules = {0, serial};
  if (named.statement) named.rules.mask = rules_of_text(text_of(named.statement), depth);
  return named.rules.mask;
}

// Of the statement that a Bind is for.
Mask Relay::rules_of_bound(Bytes statement) const {
  if (!statement.empty()) {
    auto* named = client_.statements == nullptr ? nullptr : client_.statements->find(statement);
    return named == nullptr ? 0 : rules_of(*named);
  }
  RulesMatched& unnamed = client_.rules->unnamed;
  const std::uint32_t serial = client_.rules->set->serial();
  if (unnamed.serial != serial) {
    const bool known = client_.unnamed.exists;
    unnamed = {known ? rules_of_text(text_in(client_.unnamed.definition)) : rules_unread(), serial};
  }
  return unnamed.mask;
}

// For people. Empty where nobody knows.
Bytes Relay::text_of_bound(Bytes statement) const {
  if (statement.empty()) return text_in(client_.unnamed.definition);
  const StatementRef known = find_statement(statement);
  if (!known || known->unkept()) return {};
  return known->sql().empty() ? text_in(known->definition()) : known->sql();
}

// The first rule that does not only try; null for none. `noted`: those before it, too.
const config::Rule* Relay::rule_among(Mask mask, Bytes text, bool noted) const {
  const rules::RuleSet& set = *client_.rules->set;
  for (; mask != 0; mask &= mask - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(mask));
    const config::Rule& rule = set[i];
    if (!rule.applications.empty() && !runs_application(rule.applications)) continue;
    if (noted) note_rule(set, i, text);
    if (!rule.dry_run) return &rule;
  }
  return nullptr;
}

bool Relay::runs_application(const std::vector<std::string>& names) const {
  const std::string* name =
      client_.settings == nullptr ? nullptr : client_.settings->find(kApplicationName);
  return std::find(names.begin(), names.end(), name == nullptr ? std::string() : *name) !=
         names.end();
}

// A statement that is sent again, to another server, counts again.
void Relay::note_rule(const rules::RuleSet& set, std::size_t i, Bytes text) const {
  StatementReader& reader = *rules_.reader;
  set.hits(i).add(reader.worker);
  const config::Rule& rule = set[i];
  const bool audited = (rule.log || !rule.error.empty()) && rules_.measures != nullptr &&
                       rules_.measures->audit.records_rules();
  if (!rule.log && !audited) return;
  sql::Shape shape;
  const Reading how = reading(client_.welcome);  // else literals would be shown
  const bool legible = how.lexable && !text.empty();
  if (legible) lex(text, how.standard, {}, shape);
  const bool shown = legible && shape.fault() == sql::ShapeFault::none;
  if (audited) audit_rule(rule, shown ? &shape : nullptr);
  if (!rule.log) return;
  std::string line = "rule \"" + rule.name + "\"" + (rule.dry_run ? " (dry run)" : "") + ": ";
  line += shown ? sql::printable(shape.key()).substr(0, kLoggedMax)
                : "a statement that cannot be looked at";
  reader.rule_log.push_back(std::move(line));
}

// Written as it is met, whatever the server will say to it: what a client binds it may execute
// later, or never. `shape`: null where nobody knows.
void Relay::audit_rule(const config::Rule& rule, const sql::Shape* shape) const {
  AuditRecord record{.events = audit::bit(audit::Event::rule),
                     .statement = {.ended = rules_.measures->now},
                     .reason = rule.error,
                     .rule = rule.name};
  if (!rule.error.empty()) {
    record.events |= audit::bit(rule.dry_run ? audit::Event::reported : audit::Event::refused);
    if (!rule.dry_run) record.statement.sqlstate = sqlstate_of(rule);
  }
  if (shape != nullptr) {
    record.statement.shape = shape_number(*shape);
    record.statement.text = shape_text(*shape);
  }
  rules_.measures->audit.fresh().push_back(std::move(record));
}

// What is asked of the link is under the rule from here on. True: it was refused instead.
bool Relay::refuses_by_rule(const Item& item, LinkRelayState& link, Request request, Mask mask,
                            Bytes text) {
  if (!link.expected.owes_client()) link.rule.reset();
  const bool runs = request != Request::parse;
  const config::Rule* rule = rule_among(mask, text, runs);
  if (rule == nullptr) return false;
  if (!rule->error.empty()) {
    if (!runs) rule_among(mask, text, true);
    refuse(item, link, request, rule->error, sqlstate_of(*rule),
           "The rule \"" + rule->name + "\" in the configuration of Forebay refuses it.");
    return true;
  }
  if (runs && rule->max_statements > 0 && !takes_place(*rule, link)) {
    refuse(item, link, request,
           "too many statements of rule \"" + rule->name +
               "\" at a time (max_statements = " + std::to_string(rule->max_statements) + ")",
           pg::sqlstate::kConfigurationLimitExceeded, "Try again later.");
    return true;
  }
  const auto timeout = rule->statement_timeout;
  if (runs && timeout.count() > 0 &&
      (link.rule == nullptr || timeout < link.rule->statement_timeout)) {
    link.rule = std::shared_ptr<const config::Rule>(client_.rules->set, rule);
  }
  return false;
}

// What runs there now counts for the rule. False: as many run as may.
bool Relay::takes_place(const config::Rule& rule, LinkRelayState& link) const {
  const auto& set = client_.rules->set;
  if (link.places == nullptr || !link.places->of(*set)) {
    link.places = std::make_unique<RulePlaces>(set);
  }
  return link.places->enter(set->index_of(rule));
}

// Where a text goes: what its facts, a hint and the rules say.
Route Relay::judged(Bytes text, const sql::Facts& facts, const sql::Shape& shape,
                    const config::Rule* rule) const {
  using split::Access;
  const Hint hint = hint_of(text);
  if (hint == Hint::primary ||
      (rule != nullptr && (!rule->error.empty() || rule->target == config::RuleTarget::primary))) {
    return {Access::write, shape.hash().low, true};
  }
  const bool to_replica =
      hint == Hint::replica || (rule != nullptr && rule->target == config::RuleTarget::replica);
  Access access = access_of(facts, rules_.reader->functions_of(client_.catalog));
  const bool advisory = locks_by_advice(facts);
  const bool by_functions =
      access == Access::write && !advisory && split::reads_but_for_functions(facts);
  if (to_replica && by_functions) access = Access::read;
  if (hint == Hint::replica && access == Access::begin) access = Access::begin_read_only;
  const bool standby = (access == Access::read || by_functions) && asks_for_standby(facts, text);
  if (standby) access = Access::write;
  Route route{access, shape.hash().low, advisory};
  if (rule != nullptr && rule->max_replica_lag.count() > 0) {
    route = route.of_rule(client_.rules->set->index_of(*rule));
  }
  if (hint == Hint::replica) return route.for_a_replica();
  return by_functions && !standby ? route.for_its_functions() : route;
}

}  // namespace forebay::core
