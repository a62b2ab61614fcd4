#include <algorithm>

#include "core/relay/relay.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using pg::Frontend;
using Kind = pg::Framer::Kind;

constexpr std::string_view kSettingsStatement = "_forebay_set";
constexpr std::string_view kSettingsText = "SELECT pg_catalog.set_config($1, $2, false)";

// The body of a Parse, whole or only its head, cut behind the name.
struct NamedDefinition {
  Bytes name;
  Bytes definition;
  bool well_formed;
};

NamedDefinition cut_name(const pg::Message& message) {
  const std::size_t end = message.body.find('\0');
  if (end == Bytes::npos) return {{}, {}, false};
  const Bytes definition = message.body.substr(end + 1);
  const bool well_formed = !message.whole() || pg::frontend::Parse::parse(message.body).has_value();
  return {message.body.substr(0, end), definition, well_formed};
}

// Whether a text is nothing but the begin or end of a transaction: valid whatever a server's
// catalog holds.
bool is_transaction_control(Bytes text) {
  std::string words;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';';
    if (!blank) {
      words.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c);
    } else if (!words.empty() && words.back() != ' ') {
      words.push_back(' ');
    }
    if (words.size() > 24) return false;
  }
  if (!words.empty() && words.back() == ' ') words.pop_back();
  for (const Bytes end : {" transaction", " work"}) {
    if (words.ends_with(end) && words != "start transaction")
      words.resize(words.size() - end.size());
  }
  return words == "begin" || words == "start transaction" || words == "commit" || words == "end" ||
         words == "rollback" || words == "abort";
}

std::uint32_t size32(std::size_t size) {
  return static_cast<std::uint32_t>(size);
}

}  // namespace

Relay::ClientProgress Relay::from_client(Bytes bytes, LinkRelayState* link) {
  ClientProgress progress;
  while (progress.consumed < bytes.size()) {
    if (link != nullptr && link->expected.size() >= kExpectedMax) {
      progress.stop = ClientStop::full;
      return progress;
    }
    const pg::Framer before = client_.framer;
    const Item item = client_.framer.next(bytes.substr(progress.consumed), kInspectionMax);
    switch (item.kind) {
      case Kind::need:
        return progress;
      case Kind::run:
        if (link != nullptr && !client_.drop_rest) out_.to_server.pass(item.bytes);
        if (client_.framer.rest() == 0) client_.drop_rest = false;
        break;
      case Kind::malformed:
        violation_ = pg::message_kind(pg::Sender::client, item.message.type).name == nullptr
                         ? "invalid frontend message type " +
                               std::to_string(static_cast<unsigned char>(item.message.type))
                         : "invalid message length";
        progress.stop = ClientStop::violation;
        return progress;
      case Kind::message:
      case Kind::head:
        switch (on_message(item, link)) {
          case Handled::yes:
            break;
          case Handled::need_link:
            client_.framer = before;
            progress.stop = ClientStop::need_link;
            return progress;
          case Handled::terminate:
            progress.stop = ClientStop::terminate;
            return progress;
          case Handled::violation:
            progress.stop = ClientStop::violation;
            return progress;
        }
        break;
    }
    progress.consumed += item.bytes.size();
  }
  return progress;
}

Relay::Handled Relay::on_message(const Item& item, LinkRelayState* link) {
  const pg::Message& message = item.message;
  if (message.is(Frontend::Terminate)) return Handled::terminate;
  if (message.is(Frontend::Password)) {
    violation_ = "invalid frontend message type 112";
    return Handled::violation;
  }
  client_.drop_rest = false;
  if (client_.skip_to_sync && !message.is(Frontend::Sync)) {
    drop(item);
    return Handled::yes;
  }
  if (link == nullptr) return on_unlinked(item);
  on_linked(item, *link);
  return Handled::yes;
}

// What PostgreSQL would answer without doing anything needs no server.
Relay::Handled Relay::on_unlinked(const Item& item) {
  const pg::Message& message = item.message;
  switch (static_cast<Frontend>(message.type)) {
    case Frontend::Sync:
      client_.skip_to_sync = false;
      pg::write_ready_for_query(out_.to_client.insert(), pg::backend::TransactionStatus::idle);
      return Handled::yes;
    case Frontend::Flush:
    case Frontend::CopyDone:  // ignored outside COPY
    case Frontend::CopyFail:
      return Handled::yes;
    case Frontend::Parse:
      return parse_unlinked(item);
    case Frontend::Close: {
      const auto close = pg::frontend::Close::parse(message.body);
      if (!close || !rules_.share_statements) return Handled::need_link;
      if (close->target == pg::frontend::Target::statement) {
        if (close->name.empty()) {
          client_.unnamed.exists = false;
        } else if (client_.statements != nullptr) {
          client_.statements->take(close->name);
        }
      }
      pg::write_empty(out_.to_client.insert(), pg::Backend::CloseComplete);
      return Handled::yes;
    }
    default:
      return Handled::need_link;
  }
}

// What some server of the pool has accepted before needs none to be prepared again: one will have
// it when it is used. Many clients prepare in a blocking call, and would never come to end the
// transaction that keeps the last link busy; so the begin and the end of a transaction, which any
// server accepts, need none from the first.
Relay::Handled Relay::parse_unlinked(const Item& item) {
  const auto parse = pg::frontend::Parse::parse(item.message.body);
  const bool known = parse && client_.statements != nullptr &&
                     client_.statements->find(parse->statement) != nullptr;
  if (!parse || !rules_.share_statements || parse->statement.empty() || known) {
    return Handled::need_link;
  }
  StatementRef statement = rules_.catalog.find(parse->definition);
  if (!statement || !statement->was_accepted_by(client_.pool)) {
    if (!is_transaction_control(parse->text)) return Handled::need_link;
    statement = rules_.catalog.find_or_make(parse->definition);
  }
  if (client_.statements == nullptr) client_.statements = std::make_unique<ClientStatements>();
  client_.statements->set(parse->statement, {std::move(statement), false});
  pg::write_empty(out_.to_client.insert(), pg::Backend::ParseComplete);
  return Handled::yes;
}

void Relay::on_linked(const Item& item, LinkRelayState& link) {
  const auto type = static_cast<Frontend>(item.message.type);
  if (type == Frontend::CopyDone || type == Frontend::CopyFail) {
    link.expected.push_copy_end();
    out_.to_server.pass(item.bytes);
    return;
  }
  if (link.expected.skipping() && type != Frontend::Sync) {
    drop(item);  // the server would skip it, too
    return;
  }
  switch (type) {
    case Frontend::Query:
      forward(item, link,
              {.request = Request::query,
               .unnamed = client_.unnamed.exists ? UnnamedChange::dropped : UnnamedChange::none,
               .unnamed_version = client_.unnamed.version});
      client_.unnamed.exists = false;
      return;
    case Frontend::Sync:
      forward(item, link, {.request = Request::sync});
      return;
    case Frontend::FunctionCall:
      forward(item, link, {.request = Request::function_call});
      return;
    case Frontend::Flush:
      out_.to_server.pass(item.bytes);
      return;
    default:
      on_extended(item, link);
      return;
  }
}

void Relay::on_extended(const Item& item, LinkRelayState& link) {
  switch (static_cast<Frontend>(item.message.type)) {
    case Frontend::Parse:
      on_parse(item, link);
      return;
    case Frontend::Bind:
      on_bind(item, link);
      return;
    case Frontend::Describe:
      on_describe(item, link);
      return;
    case Frontend::Close:
      on_close(item, link);
      return;
    case Frontend::Execute:
      forward(item, link, {.request = Request::execute});
      return;
    default:
      FB_ASSERT(false);
  }
}

// ---------------------------------------------------------------- Parse

void Relay::on_parse(const Item& item, LinkRelayState& link) {
  const NamedDefinition parse = cut_name(item.message);
  // The server finds the words for a malformed message; a copy-in is aborted by any message.
  if (!parse.well_formed || !rules_.share_statements || link.expected.copying_in()) {
    forward(item, link, {.request = Request::parse});
  } else if (parse.name.empty()) {
    parse_unnamed(item, parse.definition, link);
  } else if (const auto* known =
                 client_.statements == nullptr ? nullptr : client_.statements->find(parse.name)) {
    parse_duplicate(item, parse.name, parse.definition, known->statement, link);
  } else {
    parse_named(item, parse.name, parse.definition, link);
  }
}

void Relay::parse_named(const Item& item, Bytes name, Bytes definition, LinkRelayState& link) {
  const bool whole = item.message.whole();
  const StatementRef statement =
      whole ? rules_.catalog.find_or_make(definition) : rules_.catalog.make_unkept();
  if (!whole) client_.pin(PinReason::large_statement);
  if (client_.statements == nullptr) client_.statements = std::make_unique<ClientStatements>();
  client_.statements->set(name, {statement, true});

  if (link.statements.use(statement)) {
    supply(link, Request::parse, NameChange::Kind::client_parse, name, statement);
    return;
  }
  make_room(link);
  link.statements.add(statement, true);
  const std::uint32_t rest = size32(item.message.body_size - name.size() - 1);
  pg::MessageWriter(out_.to_server.insert(), Frontend::Parse)
      .text(statement->server_name())
      .followed_by(rest);
  out_.to_server.pass(definition);
  push(link, {.request = Request::parse,
              .change = std::make_unique<NameChange>(
                  NameChange{NameChange::Kind::client_parse, std::string(name), statement, true})});
}

// The server itself refuses the name (42P05), after it looked at the text as it always does: it is
// given the name of the statement that the client already has.
void Relay::parse_duplicate(const Item& item, Bytes name, Bytes definition,
                            const StatementRef& known, LinkRelayState& link) {
  const StatementRef statement = known;
  need_statement(statement, link);
  const std::uint32_t rest = size32(item.message.body_size - name.size() - 1);
  pg::MessageWriter(out_.to_server.insert(), Frontend::Parse)
      .text(statement->server_name())
      .followed_by(rest);
  out_.to_server.pass(definition);
  push(link, {.request = Request::parse,
              .change = std::make_unique<NameChange>(
                  NameChange{NameChange::Kind::reference, std::string(name), statement})});
}

void Relay::parse_unnamed(const Item& item, Bytes definition, LinkRelayState& link) {
  auto& unnamed = client_.unnamed;
  ++unnamed.version;
  if (item.message.whole()) {
    unnamed.definition.assign(definition);
    unnamed.exists = true;
    client_.unpin(PinReason::large_statement);
  } else {
    std::string().swap(unnamed.definition);
    unnamed.exists = false;
    client_.pin(PinReason::large_statement);
  }
  link.unnamed_owner = client_.serial;
  link.unnamed_version = unnamed.version;
  forward(item, link,
          {.request = Request::parse,
           .unnamed = UnnamedChange::parsed,
           .unnamed_version = unnamed.version});
}

// ---------------------------------------------------------------- Bind, Describe, Close

void Relay::on_bind(const Item& item, LinkRelayState& link) {
  const auto bind = pg::frontend::Bind::parse(item.message.body);
  if (!bind || !rules_.share_statements || link.expected.copying_in()) {
    forward(item, link, {.request = Request::bind});
    return;
  }
  if (bind->statement.empty()) {
    need_unnamed(link);
    forward(item, link, {.request = Request::bind});
    return;
  }
  Expected expected{.request = Request::bind};
  std::string foreign;
  Bytes server_name;
  const auto* known =
      client_.statements == nullptr ? nullptr : client_.statements->find(bind->statement);
  if (known == nullptr) {
    foreign = foreign_name(bind->statement);
    server_name = foreign;
  } else {
    need_statement(known->statement, link);
    server_name = known->statement->server_name();
    if (known->pending) {
      expected.change = std::make_unique<NameChange>(
          NameChange{NameChange::Kind::reference, std::string(bind->statement), known->statement});
    }
  }
  const std::size_t names = bind->portal.size() + bind->statement.size() + 2;
  pg::MessageWriter(out_.to_server.insert(), Frontend::Bind)
      .text(bind->portal)
      .text(server_name)
      .followed_by(size32(item.message.body_size - names));
  out_.to_server.pass(bind->values);
  push(link, std::move(expected));
}

void Relay::on_describe(const Item& item, LinkRelayState& link) {
  const auto describe = pg::frontend::Describe::parse(item.message.body);
  if (!describe || describe->target == pg::frontend::Target::portal) {
    forward(item, link, {.request = Request::describe_portal});
    return;
  }
  if (!rules_.share_statements || link.expected.copying_in()) {
    forward(item, link, {.request = Request::describe_statement});
    return;
  }
  if (describe->name.empty()) {
    need_unnamed(link);
    forward(item, link, {.request = Request::describe_statement});
    return;
  }
  Expected expected{.request = Request::describe_statement};
  const auto* known =
      client_.statements == nullptr ? nullptr : client_.statements->find(describe->name);
  if (known == nullptr) {
    const std::string foreign = foreign_name(describe->name);
    pg::write_describe(out_.to_server.insert(), pg::frontend::Target::statement, foreign);
  } else {
    const StatementRef statement = known->statement;
    need_statement(statement, link);
    if (known->pending) {
      expected.change = std::make_unique<NameChange>(
          NameChange{NameChange::Kind::reference, std::string(describe->name), statement});
    }
    pg::write_describe(out_.to_server.insert(), pg::frontend::Target::statement,
                       statement->server_name());
  }
  push(link, std::move(expected));
}

void Relay::on_close(const Item& item, LinkRelayState& link) {
  const auto close = pg::frontend::Close::parse(item.message.body);
  if (!close || close->target == pg::frontend::Target::portal || !rules_.share_statements ||
      link.expected.copying_in()) {
    forward(item, link, {.request = Request::close});
    return;
  }
  if (close->name.empty()) {
    forward(item, link,
            {.request = Request::close,
             .unnamed = client_.unnamed.exists ? UnnamedChange::dropped : UnnamedChange::none,
             .unnamed_version = client_.unnamed.version});
    client_.unnamed.exists = false;
    client_.unpin(PinReason::large_statement);
    return;
  }
  // Closing what does not exist is no error. The shared statement stays on the server.
  ClientStatements::Named named;
  if (client_.statements != nullptr) named = client_.statements->take(close->name);
  supply(link, Request::close, NameChange::Kind::client_close, close->name,
         std::move(named.statement));
}

// ---------------------------------------------------------------- what a link must have

void Relay::need_statement(const StatementRef& statement, LinkRelayState& link) {
  if (link.statements.use(statement) || statement->unkept()) return;
  make_room(link);
  link.statements.add(statement, true);
  pg::write_parse(out_.to_server.insert(), statement->server_name(), statement->definition());
  push(link, {.request = Request::parse,
              .disposition = Disposition::precede,
              .change = std::make_unique<NameChange>(
                  NameChange{NameChange::Kind::link_parse, {}, statement})});
}

void Relay::need_unnamed(LinkRelayState& link) {
  const auto& unnamed = client_.unnamed;
  const bool has_ours =
      link.unnamed_owner == client_.serial && link.unnamed_version == unnamed.version;
  if (has_ours) return;
  if (unnamed.exists) {
    pg::write_parse(out_.to_server.insert(), {}, unnamed.definition);
    push(link, {.request = Request::parse, .disposition = Disposition::precede});
    link.unnamed_owner = client_.serial;
    link.unnamed_version = unnamed.version;
  } else if (link.unnamed_owner != 0) {
    // Somebody else's unnamed statement must not answer for the one that this client lacks.
    pg::write_close(out_.to_server.insert(), pg::frontend::Target::statement, {});
    push(link, {.request = Request::close, .disposition = Disposition::precede});
    link.unnamed_owner = 0;
  }
}

void Relay::make_room(LinkRelayState& link) {
  while (link.statements.size() >= std::max(1u, rules_.max_prepared_statements)) {
    const StatementRef oldest = link.statements.oldest();
    link.statements.remove(oldest);
    pg::write_close(out_.to_server.insert(), pg::frontend::Target::statement,
                    oldest->server_name());
    push(link, {.request = Request::close,
                .disposition = Disposition::precede,
                .change = std::make_unique<NameChange>(
                    NameChange{NameChange::Kind::link_close, {}, oldest})});
  }
}

void Relay::link_up(LinkRelayState& link) {
  if (client_.welcome != link.welcome) {
    if (client_.welcome != nullptr) {
      for (const auto& [name, value] : link.welcome->parameters) {
        const std::string* told = client_.welcome->find(name);
        if ((told != nullptr && *told == value) || client_.settings->find(parameter_name(name))) {
          continue;
        }
        pg::write_parameter_status(out_.to_client.insert(), name, value);
      }
    }
    client_.welcome = link.welcome;
  }
  if (client_.settings == link.settings) return;

  std::string& out = out_.to_server.insert();
  if (!link.has_settings_statement) {
    pg::write_parse_text(out, kSettingsStatement, kSettingsText);
    push(link, {.request = Request::parse, .disposition = Disposition::discard});
    link.has_settings_statement = true;
  }
  for (const ParameterChange& change : difference(*link.settings, *client_.settings)) {
    const std::pair<Bytes, bool> arguments[] = {{change.name, false},
                                                {change.value.value_or(""), !change.value}};
    pg::write_bind(out, {}, kSettingsStatement, arguments);
    push(link, {.request = Request::bind, .disposition = Disposition::discard});
    pg::write_execute(out, {}, 0);
    push(link, {.request = Request::execute, .disposition = Disposition::discard});
  }
  pg::write_empty(out, Frontend::Sync);
  push(link, {.request = Request::sync, .disposition = Disposition::discard});
  link.settings = client_.settings;
}

// ---------------------------------------------------------------- tools

void Relay::forward(const Item& item, LinkRelayState& link, Expected&& expected) {
  out_.to_server.pass(item.bytes);
  push(link, std::move(expected));
}

void Relay::drop(const Item& item) {
  client_.drop_rest = item.kind == Kind::head;
}

void Relay::supply(LinkRelayState& link, Request request, NameChange::Kind kind, Bytes name,
                   StatementRef statement) {
  push(link, {.request = request,
              .disposition = Disposition::supply,
              .change = std::make_unique<NameChange>(
                  NameChange{kind, std::string(name), std::move(statement)})});
  ServerRelay::emit_supplied(link, client_, out_.to_client);
}

void Relay::push(LinkRelayState& link, Expected&& expected) {
  if (link.expected.push(std::move(expected))) return;
  // The server will not answer: it skips the message, or a copy-in swallowed it.
  std::vector<Expected> voided;
  voided.push_back(std::move(expected));
  ServerRelay::undo(voided, link, &client_);
}

// A name that no statement of this client has goes to the server as it is, which finds the words
// for the error; unless it looks like one of ours, which some other client may have.
std::string Relay::foreign_name(Bytes name) const {
  std::string foreign(name);
  if (name.starts_with("_forebay_")) foreign.insert(0, "_");
  return foreign;
}

}  // namespace forebay::core
