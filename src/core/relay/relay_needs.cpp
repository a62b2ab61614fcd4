#include <algorithm>
#include <utility>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What a link must have before a client's message about a prepared statement can go there.

namespace forebay::core {

using pg::Frontend;

// What the server prepared before a change of the catalog would answer as if that had not been.
void Relay::drop_older(const StatementRef& statement, std::uint64_t epoch, LinkRelayState& link) {
  if (!link.statements.older(statement, epoch)) return;
  if (link.statements.evict(statement, link.expected.batch())) close_on_link(statement, link);
}

// What was found to be stale is of no use to anybody, unless nobody could prepare it again.
void Relay::drop_stale(const StatementRef& statement, LinkRelayState& link) {
  if (link.stale_before > 0 && !statement->unkept()) {
    drop_older(statement, link.stale_before, link);
  }
}

void Relay::close_on_link(const StatementRef& statement, LinkRelayState& link) {
  pg::write_close(out_.to_server.insert(), pg::frontend::Target::statement,
                  statement->server_name());
  push(link, {.request = Request::close,
              .disposition = Disposition::precede,
              .change = std::make_unique<NameChange>(
                  NameChange{NameChange::Kind::link_close, {}, statement})});
}

void Relay::need_statement(const StatementRef& statement, LinkRelayState& link,
                           const SessionWorkRef& work, const ParameterTypes& types) {
  drop_stale(statement, link);
  if (link.statements.use(statement) || statement->unkept()) return;
  make_room(link);
  need_executed(work, link);
  prepare_on_link(statement, Disposition::precede, link, types);
}

// What an EXECUTE executes is needed when that is prepared, when it is bound and when it is
// executed: whether it gives rows, and which, the server decides at the first two
// (PlanCacheComputeResultDesc, ChoosePortalStrategy).
void Relay::need_executed(const SessionWorkRef& work, LinkRelayState& link) {
  if (rules_.share_statements) have_executed(work, link, true);
}

// What follows in a pipeline is parsed by settings that nobody knows before this is answered.
void Relay::note_parsing(const SessionWork& work) {
  if (!work.changes_parsing()) return;
  client_.undecided_parsing = true;
  ++client_.hidden_parsing;
}

void Relay::note_end() {
  const SessionUndo* undo = client_.undo.get();
  const bool passes =
      undo != nullptr && (undo->local != nullptr || undo->hidden_local ||
                          undo->settings->parse_context() != client_.settings->parse_context());
  if (!passes) return;
  client_.undecided_parsing = true;
  ++client_.hidden_parsing;
}

// Whether nobody knows by which settings a text is parsed now.
bool Relay::hides_parsing() const {
  return client_.undecided_parsing || (client_.pins & bit(PinReason::setting)) != 0 ||
         (client_.undo != nullptr && client_.undo->hidden_local) ||
         (client_.settings != nullptr && client_.settings->half_a_date_style());
}

// What else than its text a statement of this client's depends on: who has the same shares it.
std::string Relay::context_of(Bytes definition) const {
  std::string context =
      client_.settings == nullptr ? std::string() : client_.settings->parse_context();
  if (client_.undo != nullptr && client_.undo->local != nullptr) {
    context.append(1, '\1').append(client_.undo->local->parse_context());
  }
  const Bytes sql = definition.starts_with(Statement::kSqlMark)
                        ? definition.substr(Statement::kSqlMark.size())
                        : definition.substr(0, definition.find('\0'));
  const bool hidden = hides_parsing();
  if (hidden || names_the_time(sql)) context += std::to_string(client_.serial);
  if (hidden) context.append(1, '\1').append(std::to_string(client_.hidden_parsing));
  return context;
}

// Whether it would be parsed now as it was when it was made: the settings that this depends on are
// still the same.
bool Relay::parsed_alike(const Statement& statement) const {
  return statement.unkept() || statement.context() == context_of(statement.definition());
}

namespace {

using ParsingSettings = std::vector<std::pair<Bytes, Bytes>>;

// The settings that a context is made of; nothing where there is more in it.
std::optional<ParsingSettings> settings_in(Bytes context) {
  ParsingSettings settings;
  if (context.find('\1') != Bytes::npos) return std::nullopt;
  while (!context.empty()) {
    const std::size_t name = context.find('\0');
    const std::size_t value = name == Bytes::npos ? name : context.find('\0', name + 1);
    if (value == Bytes::npos) return std::nullopt;
    settings.emplace_back(context.substr(0, name), context.substr(name + 1, value - name - 1));
    context.remove_prefix(value + 1);
  }
  return settings;
}

// What takes settings from one to the other; false where PostgreSQL itself would parse anew, since
// names may mean something else.
bool lead(const ParsingSettings& from, const ParsingSettings& to,
          std::vector<ParameterChange>& changes) {
  constexpr Bytes kNaming[] = {"search_path", "role", "session_authorization"};
  const auto find = [](const ParsingSettings& in, Bytes name) {
    return std::find_if(in.begin(), in.end(), [&](const auto& one) { return one.first == name; });
  };
  const auto change = [&](Bytes name, std::optional<Bytes> value) {
    changes.push_back({name, value});
    return std::find(std::begin(kNaming), std::end(kNaming), name) == std::end(kNaming);
  };
  for (const auto& [name, value] : from) {
    if (find(to, name) == to.end() && !change(name, std::nullopt)) return false;
  }
  for (const auto& [name, value] : to) {
    const auto has = find(from, name);
    if ((has == from.end() || has->second != value) && !change(name, value)) return false;
  }
  return true;
}

}  // namespace

// How a server is to parse a statement whose client has changed the settings for that since: by
// those of then, as constants keep what they meant. Nothing where it is to be parsed anew. `now`
// holds what the changes refer to.
std::optional<Relay::ParsingChanges> Relay::as_parsed(const Statement& statement,
                                                      std::string& now) const {
  now = context_of(statement.definition());
  const Bytes definition = statement.definition();
  const bool by_sql = !statement.sql().empty();
  if (!by_sql && !is_analysed(definition.substr(0, definition.find('\0')))) return std::nullopt;
  const auto were = settings_in(statement.context());
  const auto are = settings_in(now);
  ParsingChanges changes;
  if (!were || !are || !lead(*are, *were, changes.before) || !lead(*were, *are, changes.behind)) {
    return std::nullopt;
  }
  return changes;
}

// Has the server prepare a shared statement, inside a batch.
void Relay::prepare_on_link(const StatementRef& statement, Disposition disposition,
                            LinkRelayState& link, const ParameterTypes& types) {
  std::string now;
  // In a failed transaction nothing is set; nor is anything parsed there that constants stand in.
  const bool failed = link.status == pg::backend::TransactionStatus::failed;
  const auto changes =
      failed || parsed_alike(*statement) ? std::nullopt : as_parsed(*statement, now);
  if (changes) change_settings(changes->before, link, disposition);
  parse_on_link(statement, disposition, link, types);
  if (changes) change_settings(changes->behind, link, disposition);
}

// A statement is shared by those with whose settings it was parsed. Who has changed them since has
// it parsed by those of then, or, where names may mean something else, anew from here on, where a
// link does not have it, but never for the others. What was parsed so by SET LOCAL is so only until
// the transaction ends.
void Relay::follow_context(ClientStatements::Named& named, LinkRelayState& link) {
  const SessionUndo* undo = client_.undo.get();
  const bool passing = client_.undecided_parsing ||
                       (undo != nullptr && (undo->local != nullptr || undo->hidden_local));
  const bool passed = named.passing && !passing;
  if (!named.statement || (!passed && link.statements.find(named.statement) != nullptr)) return;
  named.passing = passing;
  std::string now;
  if (parsed_alike(*named.statement) || as_parsed(*named.statement, now)) return;
  const Bytes definition = named.statement->definition();
  client_.statements->replace(named,
                              rules_.catalog.find_or_make(definition, context_of(definition)));
}

// What the link got before the client prepared it would answer as it was then.
Relay::Usable Relay::need_named(ClientStatements::Named& named, LinkRelayState& link) {
  const auto* held = link.statements.find(named.statement);
  if (named.types == nullptr && held != nullptr && held->given) {
    take_back_types(named.statement, link);
    held = link.statements.find(named.statement);
  }
  if (held == nullptr || named.passing) {
    follow_context(named, link);
    held = link.statements.find(named.statement);
  }
  if (named.types != nullptr && held != nullptr && held->types != named.types) {
    keep_types(named, link);
    held = link.statements.find(named.statement);
  }
  const std::uint64_t now = link.epoch();
  if (named.epoch != now) return need_as_told(named, link);
  if (held != nullptr && held->epoch < now) drop_older(named.statement, now, link);
  need_statement(named.statement, link, named.work, named.types);
  return Usable::yes;
}

// The catalog has changed since the client prepared it. A server that has it from before that says
// itself whether its rows are not what they were ("cached plan must not change result type"). One
// that got it later does not know what this client was told, and would give it rows that it takes
// for something else: so it is asked first what they look like.
Relay::Usable Relay::need_as_told(ClientStatements::Named& named, LinkRelayState& link) {
  const auto* held = link.statements.find(named.statement);
  if (held != nullptr && held->epoch < link.stale_before) held = nullptr;
  const bool tells_itself = held != nullptr && held->epoch == named.epoch;
  if (tells_itself || named.shape <= kNoRows) {
    need_statement(named.statement, link, named.work, named.types);
    return Usable::yes;
  }
  if (held != nullptr && held->shape == named.shape) {
    named.epoch = std::max(named.epoch, held->epoch);
    need_statement(named.statement, link, named.work, named.types);
    return Usable::yes;
  }
  if (held != nullptr && held->shape != kUntold && held->epoch > named.epoch) {
    return Usable::changed;
  }
  drop_older(named.statement, named.epoch, link);
  need_statement(named.statement, link, named.work, named.types);
  pg::write_describe(out_.to_server.insert(), pg::frontend::Target::statement,
                     named.statement->server_name());
  pg::write_empty(out_.to_server.insert(), Frontend::Flush);
  link.confirming = LinkRelayState::Confirming::asked;
  push(link, {.request = Request::describe_statement,
              .disposition = Disposition::precede,
              .change = std::make_unique<NameChange>(
                  NameChange{NameChange::Kind::asked, {}, named.statement})});
  return Usable::unknown_yet;
}

void Relay::need_unnamed(LinkRelayState& link) {
  const auto& unnamed = client_.unnamed;
  const bool has_ours =
      link.unnamed_owner == client_.serial && link.unnamed_version == unnamed.version;
  if (has_ours) return;
  if (unnamed.exists) {
    if (unnamed.work != nullptr) {
      make_room(link);
      need_executed(unnamed.work, link);
    }
    pg::write_parse(out_.to_server.insert(), {}, unnamed.definition);
    link.change_unnamed(client_.serial, unnamed.version);
    push(link, {.request = Request::parse,
                .disposition = Disposition::precede,
                .unnamed = UnnamedChange::ours,
                .unnamed_change = link.unnamed_change});
  } else if (link.unnamed_owner != 0) {
    // Somebody else's unnamed statement must not answer for the one that this client lacks.
    pg::write_close(out_.to_server.insert(), pg::frontend::Target::statement, {});
    link.change_unnamed(0, 0);
    push(link, {.request = Request::close,
                .disposition = Disposition::precede,
                .unnamed = UnnamedChange::ours,
                .unnamed_change = link.unnamed_change});
  }
}

void Relay::make_room(LinkRelayState& link) {
  while (link.statements.size() >= rules_.max_prepared_statements) {
    const StatementRef oldest = link.statements.evict(link.expected.batch());
    if (!oldest) return;
    close_on_link(oldest, link);
  }
}

}  // namespace forebay::core
