#include <algorithm>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// Prepared statements: what becomes of Parse, Bind, Describe and Close on a link.

namespace forebay::core {
namespace {

using pg::Frontend;

std::uint32_t size32(std::size_t size) {
  return static_cast<std::uint32_t>(size);
}

}  // namespace

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
  client_.statements->set(name, {statement, true, link.expected.batch()});

  drop_older(statement, link.epoch(), link);
  const bool has_it = link.statements.use(statement);
  if (has_it && !refuses_parse(link, definition)) {
    supply(link, Request::parse, NameChange::Kind::client_parse, name, statement);
    return;
  }
  if (!has_it) {
    make_room(link);
    link.statements.add(statement, link.expected.batch(), link.epoch());
  }
  const std::uint32_t rest = size32(item.message.body_size - name.size() - 1);
  pg::MessageWriter(out_.to_server.insert(), Frontend::Parse)
      .text(statement->server_name())
      .followed_by(rest);
  out_.to_server.pass(definition);
  push(link, {.request = Request::parse,
              .change = std::make_unique<NameChange>(NameChange{
                  NameChange::Kind::client_parse, std::string(name), statement, !has_it})});
}

// In a failed transaction the server refuses to prepare whatever does not end it. It is asked, to
// find the words, as long as it is certain that the transaction has not ended meanwhile.
bool Relay::refuses_parse(const LinkRelayState& link, Bytes definition) {
  return link.status == pg::backend::TransactionStatus::failed && link.expected.empty() &&
         !link.expected.batch_open() &&
         !is_transaction_control(definition.substr(0, definition.find('\0')));
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
    client_.unpin(PinReason::large_unnamed);
  } else {
    std::string().swap(unnamed.definition);
    unnamed.exists = false;
    client_.pin(PinReason::large_unnamed);
  }
  link.change_unnamed(client_.serial, unnamed.version);
  forward(item, link,
          {.request = Request::parse,
           .unnamed = UnnamedChange::parsed,
           .unnamed_version = unnamed.version,
           .unnamed_change = link.unnamed_change});
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
  supply(link, Request::close, NameChange::Kind::client_close, close->name,
         std::move(named.statement));
}

// ---------------------------------------------------------------- what a link must have

// What the server prepared before a change of the catalog would answer as if that had not been.
void Relay::drop_older(const StatementRef& statement, std::uint64_t epoch, LinkRelayState& link) {
  if (!link.statements.older(statement, epoch)) return;
  if (link.statements.evict(statement, link.expected.batch())) close_on_link(statement, link);
}

void Relay::close_on_link(const StatementRef& statement, LinkRelayState& link) {
  pg::write_close(out_.to_server.insert(), pg::frontend::Target::statement,
                  statement->server_name());
  push(link, {.request = Request::close,
              .disposition = Disposition::precede,
              .change = std::make_unique<NameChange>(
                  NameChange{NameChange::Kind::link_close, {}, statement})});
}

void Relay::need_statement(const StatementRef& statement, LinkRelayState& link) {
  if (link.stale_before > 0) drop_older(statement, link.stale_before, link);
  if (link.statements.use(statement) || statement->unkept()) return;
  make_room(link);
  link.statements.add(statement, link.expected.batch(), link.epoch());
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
  while (link.statements.size() >= std::max(1u, rules_.max_prepared_statements)) {
    const StatementRef oldest = link.statements.evict(link.expected.batch());
    if (!oldest) return;
    close_on_link(oldest, link);
  }
}

// A name that no statement of this client has goes to the server as it is, which finds the words
// for the error; unless it looks like one of ours, which some other client may have.
std::string Relay::foreign_name(Bytes name) const {
  std::string foreign(name);
  const std::size_t begin = name.find_first_not_of('_');
  if (begin != Bytes::npos && begin > 0 && name.substr(begin).starts_with("forebay_")) {
    foreign.insert(0, "_");
  }
  return foreign;
}

}  // namespace forebay::core
