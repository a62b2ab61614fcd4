#include <algorithm>
#include <charconv>
#include <string>

#include "core/relay/relay.hpp"
#include "core/relay/text_edits.hpp"
#include "core/relay/text_names.hpp"
#include "core/relay/withheld.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// Errors that speak of what was sent, which is not what the client said: names, positions, and what
// prepares a statement on a link that does not have it.

namespace forebay::core {
namespace {

using pg::Backend;

// The EXECUTE that is one of the statements of a text; or the one that this executes in turn.
const SessionStep* executed_by(const SessionWork& work, std::uint16_t statement) {
  for (const SessionStep& step : work.steps) {
    if (step.statement != statement || step.kind != SessionStep::Kind::execute) continue;
    const SessionStep* inner = step.inner == nullptr ? nullptr : executed_by(*step.inner, 0);
    if (inner != nullptr) return inner;
    return step.prepared ? &step : nullptr;
  }
  return nullptr;
}

// Where an error says that it is, in digits; empty for nowhere.
Bytes position_in(Bytes error) {
  for (std::size_t at = 0; at < error.size() && error[at] != '\0';) {
    const std::size_t end = error.find('\0', at);
    if (end == Bytes::npos) break;
    if (error[at] == 'P') return error.substr(at + 1, end - at - 1);
    at = end + 1;
  }
  return {};
}

// The same in characters, from 1 on; 0 for nowhere.
std::uint32_t character_in(Bytes error) {
  const Bytes digits = position_in(error);
  std::uint32_t character = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), character);
  return character;
}

bool in_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// What an error at this character speaks of, without quotes; empty for nothing.
Bytes word_at(Bytes text, std::int64_t character) {
  std::size_t at = 0;
  for (std::int64_t left = character; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
    if (begins && --left == 0) break;
  }
  if (character < 1 || at >= text.size()) return {};
  if (text[at] == '"' || text[at] == '\'') ++at;
  const auto in_word = [&](char c) {
    return in_name(c) || (static_cast<unsigned char>(c) & 0x80) != 0;
  };
  constexpr Bytes kOperators = "+-*/<>=~!@#%^&|`?";
  std::size_t end = at;
  while (end < text.size() && in_word(text[end])) ++end;
  if (end == at) end = std::min(text.find_first_not_of(kOperators, at), text.size());
  return text.substr(at, end - at);
}

// Where a name of ours stands in the body of an error, or one with further underscores in front; no
// mere part of a longer name.
std::size_t find_server_name(Bytes body) {
  constexpr Bytes kPrefix = StatementCatalog::kNamePrefix;
  for (std::size_t at = body.find(kPrefix, 1); at != Bytes::npos; at = body.find(kPrefix, at + 1)) {
    std::size_t begin = at;
    while (begin > 0 && body[begin - 1] == '_') --begin;
    if (begin > 0 && !in_name(body[begin - 1])) return at;
  }
  return Bytes::npos;
}

bool has_word(Bytes text, Bytes word) {
  if (word.empty()) return false;
  for (std::size_t at = text.find(word); at != Bytes::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at == 0 || !in_name(text[at - 1]);
    if (begins && (end == text.size() || !in_name(text[end]))) return true;
  }
  return false;
}

// What a text calls the statement that it prepares or executes, first of all where it fails: the
// client may have several names for it, and something before that in the text may have taken one.
std::string name_in_text(const SpecialReply* special, Bytes server_name) {
  if (special == nullptr || special->work == nullptr) return {};
  std::string name;
  const bool taken = server_name.starts_with(kTakenName);
  for (const SessionStep& step : special->work->steps) {
    const bool fails = step.statement == special->completed;
    if (taken && fails && step.kind == SessionStep::Kind::prepare) return step.name;
    if (!step.prepared || step.prepared->server_name() != server_name) continue;
    if (fails) return step.name;
    if (name.empty()) name = step.name;
  }
  return name;
}

}  // namespace

// Errors about prepared statements name them as the server knows them; the client is told its own
// name. Gives false when there is nothing to rewrite.
bool ServerRelay::rewrite_error(const Item& item, Bytes sqlstate) {
  if (tell_without_values(client_, link_, item.message, to_client_)) return true;
  if (sqlstate != pg::sqlstate::kInvalidStatementName &&
      sqlstate != pg::sqlstate::kDuplicatePreparedStatement &&
      sqlstate != pg::sqlstate::kProtocolViolation && sqlstate != pg::sqlstate::kSyntaxError) {
    return false;
  }
  if (client_ == nullptr || !rules_.share_statements || !item.message.whole()) return false;
  const Bytes body = item.message.body;
  const std::size_t at = find_server_name(body);
  if (at == Bytes::npos) return false;
  std::size_t end = at + StatementCatalog::kNamePrefix.size();
  while (end < body.size() && in_name(body[end])) ++end;
  const Bytes server_name = body.substr(at, end - at);
  std::string name = name_in_text(link_.expected.special(), server_name);
  if (name.empty()) name = link_.expected.name_at_head();
  if (name.empty() && client_->statements != nullptr) {
    name = client_->statements->name_of(server_name);
  }
  if (name.empty()) name = link_.expected.closed_name(server_name);
  // Something hidden took away what the link had (DEALLOCATE ALL in a function): not to be pooled.
  const auto* known = client_->statements == nullptr ? nullptr : client_->statements->find(name);
  if (sqlstate == pg::sqlstate::kInvalidStatementName && known != nullptr && !known->pending &&
      link_.statements.use(known->statement)) {
    link_.poisoned = true;
  }
  const bool escaped = body[at - 1] == '_';
  if (escaped) name = server_name;
  if (name.empty()) return false;
  pg::MessageWriter(to_client_.insert(), Backend::ErrorResponse)
      .bytes(body.substr(0, escaped ? at - 1 : at))
      .bytes(name)
      .bytes(body.substr(end));
  link_.rest = Disposition::forward;
  return true;
}

ServerRelay::Shifts ServerRelay::shifts_for(const SpecialReply& special, Bytes error) const {
  if (special.makes) return shifts_of(special.makes, nullptr, front_on_link(special.makes));
  const SessionStep* const execute =
      special.work == nullptr ? nullptr : executed_by(*special.work, special.completed);
  if (execute == nullptr || !of_executed(*execute, error)) return special.shifts;
  return shifts_of(execute->prepared, &execute->name, front_on_link(execute->prepared));
}

std::int32_t ServerRelay::front_on_link(const StatementRef& made) const {
  const auto* held = link_.statements.find(made);
  return held == nullptr ? 0 : held->front;
}

// Where the text that made a statement on a link, with so much in front of it, differs from the one
// that the client prepared it by, as `name`.
ServerRelay::Shifts ServerRelay::shifts_of(const StatementRef& made, const std::string* name,
                                           std::int32_t front) const {
  if (client_ == nullptr || client_->statements == nullptr) return {};
  const ClientStatements& statements = *client_->statements;
  const auto* named =
      statements.find(name != nullptr ? *name : statements.name_of(made->server_name()));
  if (named == nullptr || named->statement != made) return {};
  if (named->said != nullptr) return {{0, front - named->front}};
  return named->work == nullptr ? Shifts() : Shifts(named->work->shifts);
}

// An error of what an EXECUTE executes speaks of the text that made that on this link; an error of
// the values that the EXECUTE gives, of its own. Whether it is the former.
bool ServerRelay::of_executed(const SessionStep& execute, Bytes error) const {
  const auto fields = pg::backend::Fields::parse(error);
  // The text itself was read before anything in it was executed.
  if (fields.sqlstate == pg::sqlstate::kSyntaxError) return false;
  if (!execute.values) return true;
  // Constants of what is executed were read when it was prepared.
  constexpr Bytes kDataException = "22";
  if (fields.sqlstate.starts_with(kDataException)) return false;
  const Bytes definition = execute.prepared->definition();
  const Bytes sql = execute.prepared->sql();
  const Bytes text = sql.empty() ? definition.substr(0, definition.find('\0')) : sql;
  const std::int64_t character =
      std::int64_t{character_in(error)} - front_on_link(execute.prepared);
  return has_word(fields.message, word_at(text, character));
}

// What the client's text needs could not be prepared: the text will fail for lack of it, or because
// the transaction has failed.
void ServerRelay::note_unmade(const Item& item, Bytes sqlstate, const SpecialReply* special) {
  if (client_ == nullptr || special == nullptr || !special->makes || link_.unmade != nullptr)
    return;
  if (sqlstate == pg::sqlstate::kInFailedTransaction || !item.message.whole()) return;
  link_.unmade = std::make_unique<LinkRelayState::Unmade>(LinkRelayState::Unmade{
      special->makes, std::string(item.message.body), front_on_link(special->makes)});
}

// The client hears why, as if its own text had failed by it.
bool ServerRelay::tell_unmade(const Item& item, const SpecialReply* special, Told& told) {
  if (link_.unmade == nullptr || client_ == nullptr) return false;
  if (special == nullptr || !special->lacks_unmade) return false;
  const Statement& made = *link_.unmade->statement;
  const bool lacks = told.sqlstate == pg::sqlstate::kInvalidStatementName &&
                     has_word(item.message.body, made.server_name());
  if (!lacks && told.sqlstate != pg::sqlstate::kInFailedTransaction) return false;
  const Bytes error = link_.unmade->error;
  told = {pg::backend::Fields::parse(error).sqlstate, false};
  const pg::Message whole{static_cast<char>(Backend::ErrorResponse),
                          static_cast<std::uint32_t>(error.size()), error};
  const SessionStep* const execute =
      special->work == nullptr ? nullptr : executed_by(*special->work, special->completed);
  const bool named = execute != nullptr && execute->prepared == link_.unmade->statement;
  const Shifts shifts =
      shifts_of(link_.unmade->statement, named ? &execute->name : nullptr, link_.unmade->front);
  if (!tell_without_values(client_, link_, whole, to_client_) && !shift_position(error, shifts)) {
    pg::MessageWriter(to_client_.insert(), Backend::ErrorResponse).bytes(error);
  }
  link_.rest = Disposition::discard;
  return true;
}

// The position in an error speaks of the text that was sent; the client knows its own.
bool ServerRelay::shift_position(Bytes body, const Shifts& shifts) {
  if (shifts.empty() || client_ == nullptr) return false;
  const Bytes position = position_in(body);
  const std::uint32_t sent = character_in(body);
  std::int32_t shift = 0;
  for (const auto& [from, by] : shifts) {
    if (sent > from) shift = by;
  }
  if (shift == 0) return false;
  const auto own = std::max<std::int64_t>(std::int64_t{sent} - shift, 1);
  const auto begin = static_cast<std::size_t>(position.data() - body.data());
  pg::MessageWriter(to_client_.insert(), Backend::ErrorResponse)
      .bytes(body.substr(0, begin))
      .bytes(std::to_string(own))
      .bytes(body.substr(begin + position.size()));
  link_.rest = Disposition::forward;
  return true;
}

}  // namespace forebay::core
