#include <algorithm>

#include "core/relay/relay.hpp"
#include "core/relay/text_edits.hpp"
#include "core/relay/text_names.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "forebay/routing/sql/word_after.hpp"

// Names of prepared statements that are the servers' own: no client's message reaches those.

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;

/// So many statements are put into a text to take parameters back to what the client began with.
constexpr std::size_t kRestoredMax = 1000;
/// What stands for taken names stays on the link, until there have been so many.
constexpr std::uint32_t kGoneMax = 1000;

bool is_ours(Bytes name) {
  return name.starts_with(StatementCatalog::kNamePrefix);
}

}  // namespace

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

// A message of the protocol as the client says it, but for what foreign_name does with `name`,
// which stands in its body.
void Relay::forward_named(const Item& item, LinkRelayState& link, Expected&& expected, Bytes name) {
  const std::string foreign = foreign_name(name);
  if (foreign == name) {
    forward(item, link, std::move(expected));
    return;
  }
  const Bytes body = item.message.body;
  const auto begin = static_cast<std::size_t>(name.data() - body.data());
  const std::size_t behind = begin + name.size();
  pg::MessageWriter(out_.to_server.insert(), item.message.type)
      .bytes(body.substr(0, begin))
      .bytes(foreign)
      .followed_by(item.message.body_size - static_cast<std::uint32_t>(behind));
  out_.to_server.pass(body.substr(behind));
  push(link, std::move(expected));
}

// A name that stands where nobody looks for it; one of ours, and nobody else has the link after
// that.
void Relay::unseen_name(const SessionStep& step, LinkRelayState& link) {
  client_.pin(PinReason::unknown);
  if (is_ours(step.name)) link.poisoned = true;
}

StatementRef Relay::find_statement(Bytes name) const {
  const auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(name);
  return known == nullptr ? StatementRef() : known->statement;
}

// Replaces the client's name by the shared one, and has the link hold what EXECUTE needs.
void Relay::edit_name(SessionStep& step, const TextNames& names, TextEdits& edits, sql::Span span,
                      std::string& before, Expected& expected, LinkRelayState& link) {
  const Bytes text = edits.original();
  const sql::Span name = sql::name_after(text, span, step.key_word(), link.reading.standard);
  if (name.empty()) {
    unseen_name(step, link);
    return;
  }
  const TextNames::Meaning* const mine = names.find(step.name);
  if (mine == nullptr && client_.statements != nullptr) {
    auto* named = client_.statements->find(step.name);
    if (named != nullptr) follow_context(*named, link);
  }
  const StatementRef known = mine == nullptr ? find_statement(step.name) : mine->statement;
  if (step.kind == StepKind::prepare) {
    if (known) {
      // The server finds the words for a name that is taken, when it has looked at the text.
      if (++link.gone > kGoneMax) link.poisoned = true;
      const std::string taken = std::string(kTakenName) + "_" + std::to_string(link.gone);
      before = "PREPARE " + taken + " AS SELECT";
      edits.replace_name(name.begin, name.end, taken);
      return;
    }
    std::string definition(Statement::kSqlMark);
    definition += apart(text.substr(name.end, span.end - name.end));
    step.prepared = rules_.catalog.find_or_make(definition, context_of(definition));
    if (names.held(step.prepared, link.statements)) {
      before = "DEALLOCATE " + step.prepared->server_name();
    }
    step.said_front = front_of(text.substr(0, name.end), text.substr(name.end));
    edits.replace_name(name.begin, name.end, step.prepared->server_name());
    step.sent_front = step.said_front + edits.moved(name.end) +
                      static_cast<std::int32_t>(before.empty() ? 0 : before.size() + 1);
    return;
  }
  if (!known) {
    const std::string foreign = foreign_name(step.name);
    if (foreign != step.name) edits.replace_name(name.begin, name.end, quoted_identifier(foreign));
    return;
  }
  step.prepared = known;
  note_name(expected, step.name, known);
  if (step.kind == StepKind::execute) {
    expected.special->lacks_unmade = true;
    step.values = text.substr(name.end, span.end - name.end).find('(') != Bytes::npos;
    step.inner = mine == nullptr ? work_of_name(step.name) : executed_work(mine->work);
    have_executed(step.inner, link, link.expected.batch_open());
    if (mine == nullptr) have_ready(known, link, link.expected.batch_open());
    edits.replace_name(name.begin, name.end, known->server_name());
  } else {
    const std::string gone = std::string(kGoneName) + "_" + std::to_string(++link.gone);
    before = "PREPARE " + gone + " AS SELECT";
    edits.replace_name(name.begin, name.end, gone);
  }
}

// So many statements `restore` gives for it.
std::size_t Relay::restored_by(const SessionWork& work) const {
  if (client_.startup == nullptr) return 0;
  std::size_t count = 0;
  for (const SessionStep& step : work.steps) {
    if (step.kind == StepKind::reset) ++count;
    if (step.kind == StepKind::reset_all) count += client_.startup->entries().size();
    if (step.kind == StepKind::execute && step.inner != nullptr) count += restored_by(*step.inner);
  }
  return count;
}

// A body of BEGIN ATOMIC has semicolons of its own: nothing is put into such a text. Nor is one
// made many times as long.
bool Relay::may_edit(const SessionWork& work, const sql::Shape& shape) const {
  return shape.parts().size() == work.statements && restored_by(work) <= kRestoredMax;
}

// The first step whose name would reach the server as it stands in the text, and must not.
const SessionStep* Relay::bare_name(Request request, Bytes text, const SessionWork& work,
                                    LinkRelayState& link) const {
  const sql::Shape& shape = rules_.reader->texts.shape();
  const bool edited = rules_.share_statements &&
                      (request == Request::parse ? work.statements == 1 && !shape.parts().empty()
                                                 : may_edit(work, shape));
  const bool judged =
      rules_.share_statements && (client_.tenant != nullptr || client_.rules != nullptr);
  std::uint32_t part = 0;
  for (std::uint16_t i = 0; i < work.statements; ++i) {
    sql::Span span;
    if (edited) {
      span = request == Request::parse ? shape.parts().front()
                                       : statement_span(shape, part, i, work.statements);
    }
    for (const SessionStep& step : work.steps) {
      if (step.statement != i || !step.names_statement()) continue;
      if (!judged && !is_ours(step.name)) continue;
      const bool found =
          edited && !sql::name_after(text, span, step.key_word(), link.reading.standard).empty();
      if (!found) return &step;
    }
  }
  return nullptr;
}

// True: it was refused instead.
bool Relay::refuses_names(const Item& item, LinkRelayState& link, Request request, Bytes text,
                          const SessionWorkRef& work) {
  if (work == nullptr || !work->names_statements()) return false;
  const SessionStep* const step = bare_name(request, text, *work, link);
  if (step == nullptr) return false;
  const std::string name = "prepared statement \"" + step->name + '"';
  if (!is_ours(step->name)) {
    refuse(item, link, request, name + " is named in a text that cannot be changed",
           pg::sqlstate::kInsufficientPrivilege, "Name it in a text of its own.");
  } else if (step->kind == StepKind::prepare) {
    refuse(item, link, request, name + " has a reserved name", pg::sqlstate::kReservedName,
           "Names that begin with \"_forebay_\" are Forebay's own.");
  } else {
    refuse(item, link, request, name + " does not exist", pg::sqlstate::kInvalidStatementName);
  }
  return true;
}

}  // namespace forebay::core
