#include <algorithm>
#include <utility>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// Prepared statements: what becomes of Parse, Bind, Describe and Close on a link.

namespace forebay::core {
namespace {

using pg::Frontend;

/// A server tells names of portals apart by so many bytes (NAMEDATALEN).
constexpr std::size_t kPortalNameMax = 63;
/// In session mode, of so many named statements.
constexpr std::size_t kRememberedMax = 1000;

/// No statement has this name: a server is made to refuse the client's message, and the batch or
/// transaction around it, where it could not know that it has to. For whoever reads its log.
constexpr Bytes kChangedResult = "_forebay_cached_plan_must_not_change_result_type";

std::unique_ptr<SpecialReply> changed_result() {
  auto special = std::make_unique<SpecialReply>();
  special->changed_result = true;
  return special;
}

std::uint32_t size32(std::size_t size) {
  return static_cast<std::uint32_t>(size);
}

}  // namespace

// ---------------------------------------------------------------- Parse

void Relay::know(NewStatement& made, Understood&& understood) {
  made.work = std::move(understood.work);
  made.ends = understood.ends;
  made.uses = understood.uses;
  made.entry = std::move(understood.entry);
  made.route = understood.route;
  made.rules = understood.rules;
}

Relay::Handled Relay::on_parse(const Item& item, LinkRelayState& link) {
  const NamedDefinition cut = cut_name(item.message);
  const bool unseen = !cut.well_formed || !item.message.whole() || link.expected.copying_in();
  if (client_.tenant != nullptr && unseen && refuses_unseen(item, link, Request::parse)) {
    return Handled::yes;
  }
  // A copy-in is aborted by any message; but it may have failed before, and then this is heard.
  if (client_.rules != nullptr && unseen && link.expected.copying_in()) {
    const bool whole = cut.well_formed && item.message.whole();
    const Bytes said = cut.definition.substr(0, cut.definition.find('\0'));
    if (refuses_by_rule(item, link, Request::parse, whole ? rules_of_text(said) : rules_unread(),
                        whole ? said : Bytes())) {
      return Handled::yes;
    }
  }
  // The server finds the words for a malformed message.
  if (!cut.well_formed || link.expected.copying_in()) {
    forward_named(item, link, {.request = Request::parse}, cut.name);
    return Handled::yes;
  }
  NewStatement made{.name = cut.name,
                    .definition = cut.definition,
                    .whole = item.message.whole(),
                    .body_size = item.message.body_size};
  const Bytes said = cut.definition.substr(0, cut.definition.find('\0'));
  // In session mode the server's own statements are not touched.
  const bool position = made.whole && rules_.share_statements && asks_for_position(said);
  const Bytes text = position ? kPositionText : said;
  if (made.whole) {
    Understood understood =
        understand(text, reading_now(link), cut.definition.substr(said.size() + 3));
    if (awaits_names(understood.work, link)) return Handled::wait;
    if (refuses(item, link, Request::parse, text, understood)) return Handled::yes;
    know(made, std::move(understood));
  } else if (client_.rules != nullptr &&
             refuses_by_rule(item, link, Request::parse, rules_unread(), {})) {
    return Handled::yes;
  } else if (refused_on_replica(link, unknown_work(), {})) {
    refuse_on_replica(item, link, Request::parse);
    return Handled::yes;
  } else if (rules_.reader != nullptr) {
    made.work = unknown_work();
    made.entry = unknown_entry();
  }
  if (client_.rules != nullptr && !made.whole) {
    made.rules = {rules_unread(), client_.rules->set->serial()};
  }
  std::string edited(position ? text : Bytes());
  if (made.work != nullptr && !position)
    edited = edit_parse(text, made.work, rules_.reader->texts.shape(), link);
  if (!edited.empty()) {
    edited.append(cut.definition.substr(said.size()));
    made.definition = edited;
    made.edited = true;
  }
  if (!rules_.share_statements) {
    remember_work(made);
    forward_named(item, link, {.request = Request::parse}, made.name);
  } else if (made.name.empty()) {
    parse_unnamed(made, link);
  } else if (const StatementRef known = find_statement(made.name)) {
    parse_duplicate(made, known, link);
  } else {
    parse_named(made, link);
  }
  return Handled::yes;
}

// In session mode names are the server's own; what a statement does to the session is ours to know.
void Relay::remember_work(const NewStatement& made) {
  if (made.name.empty()) {
    client_.unnamed.work = made.work;
    client_.unnamed.ends = made.ends;
    client_.unnamed.uses = made.uses;
    client_.unnamed.entry = made.entry;
    if (client_.rules != nullptr) client_.rules->unnamed = made.rules;
  } else if (made.work != nullptr || made.entry != nullptr || made.rules.mask != 0) {
    if (client_.statements && client_.statements->size() >= kRememberedMax) return;
    if (client_.statements == nullptr) client_.statements = std::make_unique<ClientStatements>();
    client_.statements->set(made.name, {.statement = {},
                                        .pending = false,
                                        .work = made.work,
                                        .ends = made.ends,
                                        .uses = made.uses,
                                        .entry = made.entry,
                                        .rules = made.rules});
  } else if (client_.statements != nullptr) {
    client_.statements->take(made.name);
  }
}

// Where an error in its text is for the client, which said another one.
std::unique_ptr<SpecialReply> Relay::shifted(const NewStatement& made) {
  if (!made.edited || made.work == nullptr || made.work->shifts.empty()) return nullptr;
  auto special = std::make_unique<SpecialReply>();
  special->shifts = made.work->shifts;
  return special;
}

void Relay::send_parse(const NewStatement& made, Bytes name) {
  if (made.edited) {
    pg::write_parse(out_.to_server.insert(), name, made.definition);
    return;
  }
  const std::size_t rest = made.body_size - made.name.size() - 1;
  pg::MessageWriter(out_.to_server.insert(), Frontend::Parse).text(name).followed_by(size32(rest));
  out_.to_server.pass(made.definition);
}

void Relay::parse_named(const NewStatement& made, LinkRelayState& link) {
  const bool kept = made.whole && (client_.statements == nullptr || !client_.statements->full());
  const StatementRef statement =
      kept ? rules_.catalog.find_or_make(made.definition, context_of(made.definition))
           : rules_.catalog.make_unkept();
  if (!kept) client_.pin(PinReason::large_statement);
  if (client_.statements == nullptr) client_.statements = std::make_unique<ClientStatements>();
  const KnownEffects known = effects();
  client_.statements->set(made.name, {.statement = statement,
                                      .batch = link.expected.batch(),
                                      .work = made.work,
                                      .ends = made.ends,
                                      .uses = made.uses,
                                      .effects = known.serial(),
                                      .epoch = link.epoch(),
                                      .entry = made.entry,
                                      .route = made.route,
                                      .rules = made.rules});

  drop_older(statement, link.epoch(), link);
  take_back_types(statement, link);
  const bool has_it = link.statements.use(statement);
  if (has_it && !refuses_parse(link, made.definition)) {
    supply(link, Request::parse,
           {NameChange::Kind::client_parse, std::string(made.name), statement});
    return;
  }
  if (!has_it) {
    make_room(link);
    need_executed(made.work, link);
    link.statements.add(statement, link.expected.batch(), link.epoch());
  }
  send_parse(made, statement->server_name());
  push(link, {.request = Request::parse,
              .change = std::make_unique<NameChange>(NameChange{
                  NameChange::Kind::client_parse, std::string(made.name), statement, !has_it}),
              .special = shifted(made)});
}

// In a failed transaction the server refuses to prepare whatever is not for leaving it. It is
// asked, to find the words, as long as it is certain that the transaction has not ended meanwhile.
bool Relay::refuses_parse(LinkRelayState& link, Bytes definition) {
  return link.status == pg::backend::TransactionStatus::failed && link.expected.empty() &&
         !link.expected.batch_open() &&
         !leaves_failed(definition.substr(0, definition.find('\0')), link);
}

// Whether the server may prepare the text in a failed transaction (IsTransactionExitStmt in its
// source), so that it must not be given a name that it has.
bool Relay::leaves_failed(Bytes text, LinkRelayState& link) {
  const Reading how = reading_now(link);
  if (rules_.reader == nullptr || !how.lexable) return is_transaction_control(text);
  sql::Shape shape;
  const sql::Facts& facts = rules_.reader->cache.facts(text, how.standard, shape);
  if (!facts.known) return is_transaction_control(text);
  if (facts.statements.size() != 1) return true;  // there is nothing in it
  switch (facts.statements.front().kind) {
    case sql::Kind::commit:
    case sql::Kind::rollback:
    case sql::Kind::rollback_to:
    case sql::Kind::prepare_transaction:
      return true;
    default:
      return false;
  }
}

// The server itself refuses the name (42P05), after it looked at the text as it always does: it is
// given the name of the statement that the client already has.
void Relay::parse_duplicate(const NewStatement& made, const StatementRef& known,
                            LinkRelayState& link) {
  need_statement(known, link);
  send_parse(made, known->server_name());
  push(link, {.request = Request::parse,
              .change = std::make_unique<NameChange>(
                  NameChange{NameChange::Kind::reference, std::string(made.name), known})});
}

void Relay::parse_unnamed(const NewStatement& made, LinkRelayState& link) {
  auto& unnamed = client_.unnamed;
  ++unnamed.version;
  unnamed.work = made.work;
  unnamed.ends = made.ends;
  unnamed.uses = made.uses;
  unnamed.entry = made.entry;
  unnamed.route = made.route;
  if (client_.rules != nullptr) client_.rules->unnamed = made.rules;
  if (made.whole) {
    unnamed.definition.assign(made.definition);
    unnamed.exists = true;
    client_.unpin(PinReason::large_unnamed);
  } else {
    std::string().swap(unnamed.definition);
    unnamed.exists = false;
    client_.pin(PinReason::large_unnamed);
  }
  if (made.edited) {
    make_room(link);
    need_executed(made.work, link);
  }
  link.change_unnamed(client_.serial, unnamed.version);
  send_parse(made, {});
  push(link, {.request = Request::parse,
              .unnamed = UnnamedChange::parsed,
              .unnamed_version = unnamed.version,
              .unnamed_change = link.unnamed_change,
              .special = shifted(made)});
}

// ---------------------------------------------------------------- Bind, Describe, Close

// Of the client's statement `name`; `known` is null for the unnamed one and for none.
bool Relay::refuses_bound(const Item& item, Bytes name, const ClientStatements::Named* known,
                          LinkRelayState& link) {
  if (link.reader && bound_to_replica(name, link)) {
    refuse_on_replica(item, link, Request::bind);
    return true;
  }
  const bool none = known == nullptr && !name.empty();
  SessionWorkRef work;
  if (!none) work = known != nullptr ? known->work : client_.unnamed.work;
  if (refuses_loss(item, link, Request::bind, work)) return true;
  if (none) return false;
  if (link.state_rule != nullptr && refuses_state(item, link, Request::bind, work)) return true;
  const SequenceUse uses = known != nullptr ? known->uses : client_.unnamed.uses;
  return refuses_to_ask(item, link, Request::bind, work, uses);
}

Relay::Handled Relay::on_bind(const Item& item, LinkRelayState& link) {
  const auto bind = pg::frontend::Bind::parse(item.message.body);
  if (client_.tenant != nullptr && rules_.share_statements) {
    auto objection = judge_bind(item, bind, link);
    if (refused(objection)) {
      refuse(item, link, Request::bind, std::move(objection->message));
      return Handled::yes;
    }
  }
  if (client_.rules != nullptr && bind &&
      refuses_by_rule(item, link, Request::bind, rules_of_bound(bind->statement),
                      text_of_bound(bind->statement))) {
    return Handled::yes;
  }
  if (!bind && !item.message.whole()) {
    refuse(item, link, Request::bind, "the names in a large Bind message are over 1,000 bytes",
           pg::sqlstate::kProgramLimitExceeded);
    return Handled::yes;
  }
  if (!rules_.share_statements || link.expected.copying_in()) {
    if (bind) open_portal(*bind, item.message, link);
    forward_named(item, link, {.request = Request::bind}, bind ? bind->statement : Bytes());
    return Handled::yes;
  }
  const bool unnamed = bind && bind->statement.empty();
  auto* const known = !bind || unnamed || client_.statements == nullptr
                          ? nullptr
                          : client_.statements->find(bind->statement);
  if (unnamed) renew_unnamed(link);
  if (known != nullptr) renew(*known, link);
  if (bind && refuses_bound(item, bind->statement, known, link)) return Handled::yes;
  // The server finds the words for one that is malformed, but of the client's own statement.
  if (!bind || unnamed) {
    if (bind) open_portal(*bind, item.message, link);
    need_unnamed(link);
    need_executed(client_.unnamed.work, link);
    forward(item, link, {.request = Request::bind});
    return Handled::yes;
  }
  Expected expected{.request = Request::bind};
  std::string foreign;
  Bytes server_name;
  if (known == nullptr) {
    foreign = foreign_name(bind->statement);
    server_name = foreign;
  } else {
    const Usable usable = need_named(*known, link);
    if (usable == Usable::unknown_yet) return Handled::wait;
    need_executed(known->work, link);
    server_name = usable == Usable::yes ? Bytes(known->statement->server_name()) : kChangedResult;
    if (known->pending) {
      expected.change = std::make_unique<NameChange>(
          NameChange{NameChange::Kind::reference, std::string(bind->statement), known->statement});
    }
    if (usable == Usable::changed) expected.special = changed_result();
  }
  open_portal(*bind, item.message, link);
  if (known != nullptr && known->shape == kUntold) {
    client_.statements->untold = {std::string(bind->portal), std::string(bind->statement), true};
  }
  const std::size_t names = bind->portal.size() + bind->statement.size() + 2;
  pg::MessageWriter(out_.to_server.insert(), Frontend::Bind)
      .text(bind->portal)
      .text(server_name)
      .followed_by(size32(item.message.body_size - names));
  out_.to_server.pass(bind->values);
  push(link, std::move(expected));
  return Handled::yes;
}

Relay::Handled Relay::on_describe(const Item& item, LinkRelayState& link) {
  const auto describe = pg::frontend::Describe::parse(item.message.body);
  if (!describe || describe->target == pg::frontend::Target::portal) {
    describe_portal(item, describe ? describe->name : Bytes(), link);
    return Handled::yes;
  }
  if (!rules_.share_statements || link.expected.copying_in()) {
    forward_named(item, link, {.request = Request::describe_statement}, describe->name);
    return Handled::yes;
  }
  if (describe->name.empty()) {
    need_unnamed(link);
    forward(item, link, {.request = Request::describe_statement});
    return Handled::yes;
  }
  Expected expected{.request = Request::describe_statement};
  auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(describe->name);
  std::string foreign;
  Bytes server_name;
  if (known == nullptr) {
    foreign = foreign_name(describe->name);
    server_name = foreign;
  } else {
    const Usable usable = need_named(*known, link);
    if (usable == Usable::unknown_yet) return Handled::wait;
    server_name = usable == Usable::yes ? Bytes(known->statement->server_name()) : kChangedResult;
    const bool tells = known->shape == kUntold || !known->types_told;
    if (tells || known->pending) {
      const auto kind = tells ? NameChange::Kind::told : NameChange::Kind::reference;
      expected.change = std::make_unique<NameChange>(
          NameChange{kind, std::string(describe->name), known->statement});
    }
    if (usable == Usable::changed) expected.special = changed_result();
  }
  pg::write_describe(out_.to_server.insert(), pg::frontend::Target::statement, server_name);
  push(link, std::move(expected));
  return Handled::yes;
}

// The client may learn from it what rows its statement gives.
void Relay::describe_portal(const Item& item, Bytes portal, LinkRelayState& link) {
  Expected expected{.request = Request::describe_portal};
  if (client_.statements != nullptr && client_.statements->untold.open &&
      client_.statements->untold.portal == portal) {
    auto& untold = client_.statements->untold;
    untold.open = false;
    if (const StatementRef statement = find_statement(untold.name)) {
      expected.change =
          std::make_unique<NameChange>(NameChange{NameChange::Kind::told, untold.name, statement});
    }
  }
  forward(item, link, std::move(expected));
}

void Relay::on_close(const Item& item, LinkRelayState& link) {
  const auto close = pg::frontend::Close::parse(item.message.body);
  if (!close || close->target == pg::frontend::Target::portal || !rules_.share_statements ||
      link.expected.copying_in()) {
    if (close && close->target == pg::frontend::Target::statement && client_.statements) {
      client_.statements->take(close->name);
    }
    const bool names = close && close->target == pg::frontend::Target::statement;
    forward_named(item, link, {.request = Request::close}, names ? close->name : Bytes());
    return;
  }
  if (close->name.empty()) {
    const UnnamedChange change = drop_unnamed(link);
    forward(item, link,
            {.request = Request::close,
             .unnamed = change,
             .unnamed_version = client_.unnamed.version,
             .unnamed_change = link.unnamed_change});
    client_.unpin(PinReason::large_unnamed);
    return;
  }
  // Closing what does not exist is no error. The shared statement stays on the server.
  ClientStatements::Named named;
  if (client_.statements != nullptr) named = client_.statements->take(close->name);
  client_.unpin_statements();
  supply(link, Request::close,
         {.kind = NameChange::Kind::client_close,
          .name = std::string(close->name),
          .closed = std::make_unique<ClientStatements::Named>(std::move(named))});
}

// ---------------------------------------------------------------- what is executed

// Remembers what the portal's statement does to the session, if anything.
void Relay::open_portal(const pg::frontend::Bind& bind, const pg::Message& message,
                        LinkRelayState& link) {
  const bool whole = message.whole();
  SessionWorkRef work;
  SequenceUse uses = kTakes;
  link.meter.portal = {nullptr, message.body_size};
  if (link.meter.values != nullptr) link.meter.values->keep(bind.portal, bind.values);
  if (link.meter.parts != nullptr) link.meter.parts->forget(bind.portal);
  client_.portal_ends = Ends::perhaps;
  if (client_.statements != nullptr && client_.statements->untold.open &&
      client_.statements->untold.portal == bind.portal) {
    client_.statements->untold.open = false;
  }
  if (bind.statement.empty()) {
    work = client_.unnamed.work;
    uses = client_.unnamed.uses;
    client_.portal_ends = client_.unnamed.ends;
    link.meter.portal.entry = client_.unnamed.entry;
  } else if (client_.statements != nullptr) {
    if (const auto* named = client_.statements->find(bind.statement)) {
      work = named->work;
      uses = named->uses;
      client_.portal_ends = named->ends;
      link.meter.portal.entry = named->entry;
    } else if (!rules_.share_statements) {
      link.meter.portal.entry = unknown_entry();  // there was no room to remember it
    }
  }
  note_sequences(uses, link);  // for all that Execute will do
  auto& portals = client_.portals;
  if (work == nullptr && portals.empty()) return;
  const Bytes name = bind.portal.substr(0, kPortalNameMax);
  const bool resets = work != nullptr && work->resets();
  std::erase_if(portals, [&](const auto& portal) {
    return portal.name == name && (resets || !portal.work->resets());  // see keep_setting
  });
  if (work == nullptr || portals.size() >= kPortalsMax) return;
  if (work->parameters()) work = whole ? bound_work(*work, bind.values) : unknown_work();
  portals.push_back({std::string(name), std::move(work)});
}

Relay::Handled Relay::on_execute(const Item& item, LinkRelayState& link) {
  SessionWorkRef work;
  measure_part(item.message, link.meter);
  if (client_.portal_ends != Ends::nothing) note_end();
  if (!client_.portals.empty()) {
    const Bytes body = item.message.body;
    const Bytes name = body.substr(0, std::min(body.find('\0'), kPortalNameMax));
    const auto found = std::find_if(client_.portals.rbegin(), client_.portals.rend(),
                                    [&](const auto& portal) { return portal.name == name; });
    if (found != client_.portals.rend()) {
      work = found->work;
    } else if (client_.portals.size() >= kPortalsMax) {
      work = unknown_work();  // there was no room to remember it
    }
  }
  if (work == nullptr) {
    forward(item, link, {.request = Request::execute, .ends = client_.portal_ends});
    if (!client_.portals.empty()) keep_setting(link);
    return Handled::yes;
  }
  if (awaits_hub(work, link) || awaits_names(work, link)) return Handled::wait;
  need_executed(work, link);
  if (rules_.share_statements) have_names(*work, link);
  Expected expected{.request = Request::execute,
                    .ends = client_.portal_ends,
                    .special = std::make_unique<SpecialReply>()};
  expected.special->work = work;
  expected.special->shifts = work->shifts;
  const bool names = rules_.share_statements && work->changes_names();
  if (names) note_names(*work, expected, link);
  client_.undecided_reading = client_.undecided_reading || work->changes_reading();
  note_parsing(*work);
  forward(item, link, std::move(expected));
  restore_startup(*work, link);
  forget_plans(*work, link);
  if (!work->resets()) keep_setting(link);
  if (names) pg::write_empty(out_.to_server.insert(), Frontend::Flush);  // what names it waits
  if (work->has(SessionStep::Kind::discard_all) && client_.startup != nullptr &&
      !client_.startup->entries().empty()) {
    client_.discards = true;
  }
  return Handled::yes;
}

void Relay::on_sync(const Item& item, LinkRelayState& link) {
  if (!std::exchange(client_.discards, false) || link.expected.copying_in()) {
    forward(item, link, {.request = Request::sync});
    return;
  }
  Expected expected{.request = Request::sync, .special = std::make_unique<SpecialReply>()};
  expected.special->withhold_ready = true;
  forward(item, link, std::move(expected));
  start_again(link);
}

}  // namespace forebay::core
