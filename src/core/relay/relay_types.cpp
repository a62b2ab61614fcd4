#include "core/relay/relay.hpp"
#include "core/relay/statement_types.hpp"

// The types of parameters. In PostgreSQL those of a prepared statement are found when it is parsed,
// and stay, whatever becomes of the tables. A driver that was told them sends its values in their
// binary formats.
namespace forebay::core {

std::string with_types(const Statement& statement, Bytes types) {
  const Bytes definition = statement.definition();
  std::string typed(definition.substr(0, definition.find('\0') + 1));
  return typed.append(types);
}

// A server that parsed the text for somebody else may take other types: the table has been altered
// since, perhaps past us. Then the client has it by another name, with the types that it knows.
void Relay::keep_types(ClientStatements::Named& named, LinkRelayState& link) {
  const auto* held = link.statements.find(named.statement);
  if (held == nullptr) return;
  if (held->types != nullptr && *held->types == *named.types) {
    named.types = held->types;  // so that the next Bind sees at once that they are the same
    return;
  }
  const Statement& statement = *named.statement;
  if (statement.unkept() || !statement.sql().empty()) return;
  const std::string typed = with_types(statement, *named.types);
  if (typed == statement.definition()) {
    link.statements.take_types(named.statement, named.types);
    return;
  }
  // Its constants mean what they meant.
  std::string now;
  const bool kept = !parsed_alike(statement) && as_parsed(statement, now);
  const std::string context = kept ? std::string(statement.context()) : context_of(typed);
  client_.statements->replace(named, rules_.catalog.find_or_make(typed, context));
}

// Who was told no types has those of now, not those that somebody else was told once.
void Relay::take_back_types(const StatementRef& statement, LinkRelayState& link) {
  const auto* held = link.statements.find(statement);
  if (held == nullptr || !held->given) return;
  if (with_types(*statement, *held->types) == statement->definition()) return;
  if (link.statements.evict(statement, link.expected.batch())) close_on_link(statement, link);
}

// A server has said what types a statement's parameters have: to the client, or because we asked.
void ServerRelay::on_parameters(const Item& item) {
  const NameChange* change = link_.expected.change();
  if (change == nullptr || !item.message.whole()) return;
  const bool told = change->kind == NameChange::Kind::told;
  if (!told && change->kind != NameChange::Kind::asked) return;
  auto* named = !told || client_ == nullptr || client_->statements == nullptr
                    ? nullptr
                    : client_->statements->find(change->name);
  if (named != nullptr && named->statement != change->statement) named = nullptr;
  if (named != nullptr) named->types_told = true;
  // Without parameters there is nothing to keep.
  constexpr std::size_t kNone = 2;
  if (item.message.body.size() <= kNone) return;
  const auto types = std::make_shared<const std::string>(item.message.body);
  link_.statements.take_types(change->statement, types);
  if (named != nullptr) named->types = types;
}

}  // namespace forebay::core
