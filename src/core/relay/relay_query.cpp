#include <algorithm>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "core/relay/statement_types.hpp"
#include "core/relay/text_edits.hpp"
#include "core/relay/text_names.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "forebay/routing/sql/word_after.hpp"

// Texts that do something to the session, in a Query or a Parse.

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;
using pg::Frontend;

/// For statements of SQL's PREPARE: what prepares them on a link.
constexpr std::string_view kPreparing = "_forebay_prepare";

/// Type and length of a message.
constexpr std::uint32_t kHeader = 5;

}  // namespace

// What a text does to the session; null for nothing. Facts and shape are good until the next call.
Relay::Understood Relay::understand(Bytes text, const Reading& reading,
                                    std::optional<Bytes> types) const {
  if (rules_.reader == nullptr) return {.forgets_names = is_deallocate_all(text)};
  if (!reading.lexable) {
    rules_.reader->texts.skip();
    Understood unknown{.work = unknown_work(), .forgets_names = is_deallocate_all(text)};
    unknown.entry = unknown_entry();
    if (client_.tenant != nullptr) unknown.objection = unread();
    if (client_.rules != nullptr) unknown.rules = {rules_unread(), client_.rules->set->serial()};
    return unknown;
  }
  StatementReader& reader = *rules_.reader;
  if (client_.tenant != nullptr) reader.cache.set_policy(policy());
  const sql::Facts& facts = reader.texts.facts(text, reading.standard);
  // What the text executes is looked at, too.
  const bool looks_on = client_.rules != nullptr ||
                        (client_.tenant != nullptr && client_.tenant->policy->tables_with_column);
  const sql::FactsPtr kept(looks_on ? &facts : nullptr);
  SessionWorkRef work = session_work(facts, reader.texts.shape(), text, effects());
  Understood understood{
      .work = std::move(work),
      .ends = ends_of(facts),
      .uses = uses_of(facts),
      .forgets_names = facts.known ? forgets_names(facts) : is_deallocate_all(text)};
  if (client_.tenant != nullptr) understood.objection = judge(text, reading, facts, types);
  understood.entry = entry_of(facts);
  const config::Rule* rule = nullptr;
  if (client_.rules != nullptr) {
    understood.rules = {rules_of(text, reading, facts, reader.texts.shape()),
                        client_.rules->set->serial()};
    rule = rule_among(understood.rules.mask, text, false);
  }
  learn(understood, facts, rule);
  if (client_.splits) understood.route = judged(text, facts, reader.texts.shape(), rule);
  return understood;
}

// What is known of code that statements run without showing it; null where it is not followed.
KnownEffects Relay::effects() const {
  if (!client_.follows || client_.catalog == nullptr || rules_.reader == nullptr) return {};
  return {&rules_.reader->effects_of(client_.catalog->effects), client_.pool};
}

// What a statement was found to do when it was prepared may be more, or less, by what is known now.
void Relay::follow_anew(ClientStatements::Named& named, LinkRelayState& link) {
  const KnownEffects known = effects();
  if (known.names == nullptr || named.effects == known.serial()) return;
  named.effects = known.serial();
  if (!named.statement || named.statement->unkept()) return;
  if (named.work != nullptr && (named.work->unknown || named.work->names_statements())) return;
  if (!parsed_alike(*named.statement)) return;  // it would be read in another way
  const Reading how = reading_now(link);
  if (!how.lexable) return;
  const Bytes definition = named.statement->definition();
  const bool by_sql = named.said != nullptr;
  const Bytes text = by_sql ? Bytes(*named.said) : definition.substr(0, definition.find('\0'));
  sql::Shape shape;
  const sql::Facts& facts = rules_.reader->cache.facts(text, how.standard, shape);
  if (!facts.known) return;
  SessionWorkRef work = session_work(facts, shape, text, known);
  if (!by_sql) {
    named.work = std::move(work);
  } else if (work != nullptr && work->steps.size() == 1 &&
             work->steps.front().kind == StepKind::prepare) {
    named.work = work->steps.front().inner;  // that of a PREPARE alone
  }
}

// Where executions of the text at hand are counted, and whether they are in the audit log.
StatementEntryRef Relay::entry_of(const sql::Facts& facts) const {
  if (rules_.measures == nullptr || client_.statistics == nullptr) return nullptr;
  const AuditTrail& audit = rules_.measures->audit;
  const audit::Events events = audit.active() ? audit.events_of(facts) : 0;
  StatementTable& statements = rules_.measures->statements;
  if (events == 0 && !statements.active()) return nullptr;
  // The entry of a shape is shared with texts that are understood.
  if (events != 0 && !facts.known) return audit.unknown();
  StatementEntryRef entry =
      statements.find(rules_.reader->texts.shape(), client_.pool, *client_.statistics);
  if (entry != nullptr) entry->audited = events;
  return entry;
}

StatementEntryRef Relay::unknown_entry() const {
  return rules_.measures == nullptr ? nullptr : rules_.measures->audit.unknown();
}

// ---------------------------------------------------------------- Query

Relay::Handled Relay::on_query(const Item& item, LinkRelayState& link) {
  const auto query = pg::frontend::Query::parse(item.message.body);
  if (client_.tenant != nullptr && (!item.message.whole() || !query)) {
    if (refuses_unseen(item, link, Request::query)) return Handled::yes;
  }
  if (item.message.whole() && !query) {
    forward(item, link, {.request = Request::query});  // malformed: the server does nothing
    return Handled::yes;
  }
  if (item.message.whole() && asks_for_position(query->text))
    return on_query(position_query(), link);
  if (!item.message.whole() && refused_on_replica(link, unknown_work(), {})) {
    refuse_on_replica(item, link, Request::query);
    return Handled::yes;
  }
  Understood understood;
  if (item.message.whole()) {
    understood = understand(query->text, reading_now(link), std::nullopt);
    if (awaits_names(understood.work, link)) return Handled::wait;
    if (refuses(item, link, Request::query, query->text, understood) ||
        refuses_to_ask(item, link, Request::query, understood.work, understood.uses)) {
      return Handled::yes;
    }
    if (awaits_hub(understood.work, link)) return Handled::wait;
  } else if (client_.rules != nullptr &&
             refuses_by_rule(item, link, Request::query, rules_unread(), {})) {
    return Handled::yes;
  } else {
    if (rules_.reader != nullptr) understood.work = unknown_work();
    understood.entry = unknown_entry();
  }
  send_query(item, query ? query->text : Bytes(), understood, link);
  return Handled::yes;
}

// The server drops its unnamed statement for every Query.
void Relay::send_query(const Item& item, Bytes text, Understood& understood, LinkRelayState& link) {
  Expected expected{.request = Request::query,
                    .unnamed = drop_unnamed(link),
                    .ends = understood.ends,
                    .unnamed_version = client_.unnamed.version,
                    .unnamed_change = link.unnamed_change};
  note_sequences(understood.uses, link);
  expected.sent.bytes = item.message.body_size + kHeader;
  expected.sent.entry = std::move(understood.entry);
  if (item.message.whole()) {
    expected.sent.note = note_of(text, link.meter.slow_after);
    if (rules_.share_statements && understood.forgets_names) {
      ++link.all_gone;
      expected.change =
          std::make_unique<NameChange>(NameChange{.kind = NameChange::Kind::all_gone});
    }
  }
  if (understood.ends != Ends::nothing) note_end();
  SessionWorkRef work = std::move(understood.work);
  if (work == nullptr) {
    forward(item, link, std::move(expected));
    return;
  }
  expected.special = std::make_unique<SpecialReply>();
  const bool again = !link.expected.batch_open() && work->has(StepKind::discard_all) &&
                     client_.startup != nullptr && !client_.startup->entries().empty();
  expected.special->withhold_ready = again;
  if (work->unknown) {
    note_parsing(*work);
    expected.special->work = std::move(work);
    forward(item, link, std::move(expected));
    return;
  }
  expected.special->undecided_names = work->changes_reading();
  note_parsing(*work);
  TextEdits edits(text);
  edit_query(*work, edits, expected, link);
  if (expected.special->undecided_names) ++link.all_gone;
  if (edits.empty()) {
    forward(item, link, std::move(expected));
  } else {
    expected.special->shifts = edits.shifts();
    pg::write_query(out_.to_server.insert(), edits.text());
    push(link, std::move(expected));
  }
  if (again) start_again(link);
}

// What must stand in the text that is sent, statement by statement.
void Relay::edit_query(const SessionWork& work, TextEdits& edits, Expected& expected,
                       LinkRelayState& link) {
  const sql::Shape& shape = rules_.reader->texts.shape();
  auto named = std::make_shared<SessionWork>(work);
  if (!may_edit(work, shape)) {
    client_.pin(PinReason::unknown);
    link.settings_doubtful = true;
    expected.special->work = std::move(named);
    return;
  }
  // Once: what one of its statements needs makes no room for another's.
  if (rules_.share_statements && work.names_statements()) {
    renew_executed(work, {}, link);
    const bool in_batch = link.expected.batch_open();
    make_room(link);
    if (!in_batch && link.expected.batch_open()) {
      // Behind it, have_ready makes a batch of its own: where that fails, the Query is not skipped.
      pg::write_empty(out_.to_server.insert(), Frontend::Sync);
      push(link, {.request = Request::sync, .disposition = Disposition::discard});
    }
  }
  TextNames names;
  std::uint16_t sent = 0;
  std::uint32_t part = 0;
  for (std::uint16_t i = 0; i < work.statements; ++i) {
    const sql::Span span = statement_span(shape, part, i, work.statements);
    std::string before;
    std::vector<std::string> behind;
    for (SessionStep& step : named->steps) {
      if (step.statement != i) continue;
      if (rules_.share_statements && step.kind == StepKind::list_names) {
        edit_list(edits, span, link, link.expected.batch_open());
      }
      if (rules_.share_statements && step.names_statement()) {
        expected.special->undecided_names = true;
        edit_name(step, names, edits, span, before, expected, link);
      }
      names.passed(step);
      restore(step, behind);
    }
    if (!before.empty()) {
      edits.replace(span.begin, span.begin, before + ";");
      expected.special->hidden.push_back(sent++);
    }
    ++sent;
    for (const std::string& statement : behind) {
      edits.replace(span.end, span.end, ";" + statement);
      expected.special->hidden.push_back(sent++);
    }
  }
  expected.special->work = std::move(named);
}

// The part of the text that is statement i. Only texts whose statements are one part each are
// edited anywhere but at their end: a body of BEGIN ATOMIC is DDL.
sql::Span Relay::statement_span(const sql::Shape& shape, std::uint32_t& part, std::uint16_t i,
                                std::uint16_t statements) {
  const auto parts = shape.parts();
  FB_ASSERT(part < parts.size());
  const std::uint32_t first = part;
  const bool last = i + 1 == statements;
  part = last ? static_cast<std::uint32_t>(parts.size()) : part + 1;
  return {parts[first].begin, parts[part - 1].end};
}

// The first temporary table of a session: see forget_plans.
bool Relay::makes_temporary(const SessionStep& step) const {
  if ((client_.pins & bit(PinReason::temporary)) != 0) return false;
  if (step.kind == StepKind::hold) return step.reason == PinReason::temporary;
  return step.kind == StepKind::execute && step.runs && step.inner != nullptr &&
         std::any_of(step.inner->steps.begin(), step.inner->steps.end(),
                     [&](const SessionStep& inner) { return makes_temporary(inner); });
}

// What takes back to where the client began what RESET takes back to where the server did.
void Relay::restore(const SessionStep& step, std::vector<std::string>& statements) const {
  if (step.kind == StepKind::execute && step.runs && step.inner != nullptr) {
    for (const SessionStep& inner : step.inner->steps) restore(inner, statements);
  }
  if (step.kind == StepKind::hold && makes_temporary(step)) statements.emplace_back(kForgetPlans);
  if (client_.startup == nullptr) return;
  const auto set = [&](const std::string& name, const std::string& value) {
    // SET takes no snapshot, as RESET takes none; but a list of identifiers is no single string.
    if (is_identifier_list(name)) {
      statements.push_back("SELECT pg_catalog.set_config(" + quoted_literal(name) + "," +
                           quoted_literal(value) + (step.local ? ",true)" : ",false)"));
    } else {
      statements.push_back((step.local ? "SET LOCAL \"" : "SET \"") + name + "\" TO " +
                           quoted_literal(value));
    }
  };
  if (step.kind == StepKind::reset) {
    const std::string name = parameter_name(step.name);
    if (const std::string* value = client_.startup->find(name)) set(name, *value);
  } else if (step.kind == StepKind::reset_all) {
    for (const auto& [name, value] : client_.startup->entries()) set(name, value);
  }
}

// ---------------------------------------------------------------- names of prepared statements

// What EXECUTE of a name does.
SessionWorkRef Relay::work_of_name(Bytes name) const {
  const auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(name);
  return known == nullptr ? nullptr : executed_work(known->work);
}

void Relay::note_name(Expected& expected, const std::string& name, const StatementRef& statement) {
  if (expected.change != nullptr) return;
  expected.change =
      std::make_unique<NameChange>(NameChange{NameChange::Kind::reference, name, statement});
}

// In the batch of the message that needs it; or ahead of a Query, in a batch of its own: if that
// fails, the Query fails for lack of it, and the client is told why (ServerRelay::tell_unmade).
void Relay::have_ready(const StatementRef& statement, LinkRelayState& link, bool in_batch) {
  drop_stale(statement, link);
  if (link.statements.use(statement) || statement->unkept()) return;
  std::string now;
  if (!parsed_alike(*statement) && !as_parsed(*statement, now)) {
    link.poisoned = true;  // nobody else is to find it there
  }
  if (in_batch) {
    prepare_on_link(statement, Disposition::precede, link);
    return;
  }
  prepare_on_link(statement, Disposition::discard, link);
  pg::write_empty(out_.to_server.insert(), Frontend::Sync);
  push(link, {.request = Request::sync, .disposition = Disposition::discard});
}

// What an EXECUTE executes may be one itself, that the protocol prepared. All of them at once, so
// that none makes room for another.
void Relay::have_executed(const SessionWorkRef& work, LinkRelayState& link, bool in_batch) {
  if (work == nullptr) return;
  for (const SessionStep& step : work->steps) {
    if (step.kind == StepKind::deallocate && step.prepared && !in_batch) {
      // What the protocol has prepared deallocates this in the place of the client's: have_names.
      std::string& out = out_.to_server.insert();
      pg::write_close(out, pg::frontend::Target::statement, kGoneName);
      pg::write_parse_text(out, kGoneName, "SELECT");
      pg::write_empty(out, Frontend::Sync);
      for (const Request request : {Request::close, Request::parse, Request::sync}) {
        Expected expected{.request = request, .disposition = Disposition::discard};
        expected.special = std::make_unique<SpecialReply>();
        expected.special->may_fail = true;
        push(link, std::move(expected));
      }
    }
    if (step.kind != StepKind::execute || !step.prepared) continue;
    have_executed(step.inner, link, in_batch);
    have_ready(step.prepared, link, in_batch);
  }
}

void Relay::parse_on_link(const StatementRef& statement, Disposition disposition,
                          LinkRelayState& link, const ParameterTypes& types) {
  link.statements.add(statement, link.expected.batch(), link.epoch(), types);
  std::string& out = out_.to_server.insert();
  const auto ask = [&](Request request, StatementRef made) {
    Expected expected{.request = request, .disposition = disposition};
    if (disposition == Disposition::discard || !statement->sql().empty()) {
      expected.special = std::make_unique<SpecialReply>();
      expected.special->may_fail = disposition == Disposition::discard;
      expected.special->makes = statement;
    }
    if (made) {
      expected.change = std::make_unique<NameChange>(
          NameChange{NameChange::Kind::link_parse, {}, std::move(made)});
    }
    push(link, std::move(expected));
  };
  const Bytes sql = statement->sql();
  if (sql.empty()) {
    const std::string typed = types == nullptr ? std::string() : with_types(*statement, *types);
    pg::write_parse(out, statement->server_name(), typed.empty() ? statement->definition() : typed);
    ask(Request::parse, statement);
    return;
  }
  std::string text = "PREPARE " + statement->server_name();
  link.statements.take_front(statement, static_cast<std::int32_t>(text.size()));
  text.append(sql);
  // Where the last one failed, it was not closed: its name would be taken for good.
  pg::write_close(out, pg::frontend::Target::statement, kPreparing);
  ask(Request::close, {});
  pg::write_parse_text(out, kPreparing, text);
  ask(Request::parse, {});
  pg::write_bind(out, kPreparing, kPreparing, {});
  ask(Request::bind, {});
  pg::write_execute(out, kPreparing, 0);
  ask(Request::execute, statement);
  pg::write_close(out, pg::frontend::Target::portal, kPreparing);
  ask(Request::close, {});
  pg::write_close(out, pg::frontend::Target::statement, kPreparing);
  ask(Request::close, {});
}

// ---------------------------------------------------------------- Parse

// The text of a Parse with the shared name in it; empty where it stays as it is. `work` becomes
// what executing it does.
std::string Relay::edit_parse(Bytes text, SessionWorkRef& work, const sql::Shape& shape,
                              LinkRelayState& link, unsigned depth) {
  if (!rules_.share_statements || work->statements != 1) return {};
  const sql::Span all{0, static_cast<std::uint32_t>(text.size())};
  const sql::Span part = shape.parts().empty() ? all : shape.parts().front();
  TextEdits edits(text);
  const auto as_edited = [&](std::shared_ptr<SessionWork> made) {
    made->said = text;
    made->shifts = edits.shifts();
    work = std::move(made);
    return edits.text();
  };
  if (work->has(StepKind::list_names)) {
    edit_list(edits, part, link, true);
    return edits.empty() ? std::string() : as_edited(std::make_shared<SessionWork>(*work));
  }
  const auto found = std::find_if(work->steps.begin(), work->steps.end(),
                                  [](const SessionStep& step) { return step.names_statement(); });
  if (found == work->steps.end()) return {};
  renew_executed(*work, {}, link, depth);
  const sql::Span name = sql::name_after(text, part, found->key_word(), link.reading.standard);
  if (name.empty()) {
    unseen_name(*found, link);
    return {};
  }
  auto named = std::make_shared<SessionWork>(*work);
  SessionStep& step = named->steps[static_cast<std::size_t>(found - work->steps.begin())];
  const StatementRef known = find_statement(step.name);
  std::string replacement;
  if (step.kind == StepKind::prepare) {
    // Whether the name is taken shows when it is executed.
    std::string definition(Statement::kSqlMark);
    definition += apart(text.substr(name.end, part.end - name.end));
    step.prepared = rules_.catalog.find_or_make(definition, context_of(definition));
    replacement = step.prepared->server_name();
  } else if (known) {
    step.prepared = known;
    if (step.kind == StepKind::execute) {
      step.inner = work_of_name(step.name);
      step.values = text.substr(name.end, part.end - name.end).find('(') != Bytes::npos;
    }
    if (step.inner != nullptr) named->depth = static_cast<std::uint16_t>(step.inner->depth + 1);
    replacement = step.kind == StepKind::deallocate ? std::string(kGoneName) : known->server_name();
  } else {
    replacement = foreign_name(step.name);
    if (replacement == step.name) return {};
    replacement = quoted_identifier(replacement);
  }
  edits.replace_name(name.begin, name.end, replacement);
  step.said_front = front_of(text.substr(0, name.end), text.substr(name.end));
  step.sent_front = step.said_front + edits.moved(name.end);
  return as_edited(std::move(named));
}

// What a name in a text means, the server looks up when it binds and executes that, and not when it
// prepares it. Whether one means something else than at that time.
bool Relay::outdated(const SessionWork& work, const StatementRef& self) const {
  return std::any_of(work.steps.begin(), work.steps.end(), [&](const SessionStep& step) {
    if (step.kind == StepKind::list_names) return true;
    if (step.kind != StepKind::execute && step.kind != StepKind::deallocate) return false;
    const StatementRef now = find_statement(step.name);
    if (step.kind == StepKind::deallocate) return bool(now) != bool(step.prepared);
    return now != step.prepared && (!now || now != self);
  });
}

// The definition with the names as they are now, where it was made with others; else empty.
std::string Relay::renewed(Bytes definition, SessionWorkRef& work, const StatementRef& self,
                           LinkRelayState& link, unsigned depth) {
  if (work == nullptr || !rules_.share_statements || !work->names_statements()) return {};
  renew_executed(*work, self, link, depth);
  if (!outdated(*work, self)) return {};
  const Reading how = reading_now(link);
  if (!how.lexable) return {};
  const std::size_t end = definition.find('\0');
  const std::string text(work->said.empty() ? definition.substr(0, end) : Bytes(work->said));
  sql::Shape shape;
  const sql::Facts& facts = rules_.reader->cache.facts(text, how.standard, shape);
  work = session_work(facts, shape, text, effects());
  if (work == nullptr) return {};
  std::string edited = edit_parse(text, work, shape, link, kExecutedMax);
  if (edited.empty()) edited = text;
  return edited.append(definition.substr(end));
}

void Relay::renew(ClientStatements::Named& named, LinkRelayState& link, unsigned depth) {
  follow_anew(named, link);
  if (named.work == nullptr || !named.work->names_statements()) return;
  // Held here: the statements that it executes may execute it, and be renewed with it.
  const StatementRef before = named.statement;
  SessionWorkRef work = named.work;
  if (!before || before->unkept()) return;
  const std::string definition = renewed(before->definition(), work, before, link, depth);
  if (definition.empty()) return;
  named.work = std::move(work);
  client_.statements->replace(named,
                              rules_.catalog.find_or_make(definition, context_of(definition)));
  named.epoch = link.epoch();
  named.shape = kUntold;
}

// The statements that it executes, in which there may be names, too.
void Relay::renew_executed(const SessionWork& work, const StatementRef& self, LinkRelayState& link,
                           unsigned depth) {
  if (client_.statements == nullptr || depth >= kExecutedMax) return;
  for (const SessionStep& step : work.steps) {
    if (step.kind != StepKind::execute) continue;
    auto* named = client_.statements->find(step.name);
    if (named != nullptr && named->statement != self) renew(*named, link, depth + 1);
  }
}

void Relay::renew_unnamed(LinkRelayState& link) {
  auto& unnamed = client_.unnamed;
  if (!unnamed.exists) return;
  std::string definition = renewed(unnamed.definition, unnamed.work, {}, link, 0);
  if (definition.empty() || definition == unnamed.definition) return;
  unnamed.definition = std::move(definition);
  ++unnamed.version;
}

// What follows in its batch waits until it is known whether it has done what it says.
void Relay::note_names(const SessionWork& work, Expected& expected, LinkRelayState& link) {
  for (const SessionStep& step : work.steps) {
    if (step.names_statement() && step.prepared) note_name(expected, step.name, step.prepared);
  }
  expected.special->undecided_names = true;
  ++link.all_gone;
}

// What the server must have when a statement about prepared statements is executed.
void Relay::have_names(const SessionWork& work, LinkRelayState& link) {
  for (const SessionStep& step : work.steps) {
    if (!step.names_statement() || !step.prepared) continue;
    switch (step.kind) {
      case StepKind::execute:  // that has been prepared (need_executed)
        if (step.runs && step.inner != nullptr) have_names(*step.inner, link);
        break;
      case StepKind::prepare:
        // A name that is taken is the server's to refuse; one of another client's makes room.
        if (find_statement(step.name)) {
          need_statement(step.prepared, link);
        } else if (link.statements.evict(step.prepared, link.expected.batch())) {
          close_on_link(step.prepared, link);
        }
        break;
      default:
        if (!find_statement(step.name)) break;
        pg::write_close(out_.to_server.insert(), pg::frontend::Target::statement, kGoneName);
        push(link, {.request = Request::close, .disposition = Disposition::precede});
        pg::write_parse_text(out_.to_server.insert(), kGoneName, "SELECT");
        push(link, {.request = Request::parse, .disposition = Disposition::precede});
    }
  }
}

}  // namespace forebay::core
