#include <algorithm>
#include <array>
#include <cstdint>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using pg::Frontend;
using ItemKind = pg::Framer::Kind;

constexpr const char* kInvalidFormat = "invalid message format";

// Where there is to be none.
bool has_body(const pg::Message& message) {
  return !message.body.empty() || !message.whole();
}

void refuse_body(std::string& out) {
  pg::write_error(out, {"ERROR", pg::sqlstate::kProtocolViolation, kInvalidFormat});
}

// What FunctionCall is there for. Others may change the session, as set_config or an advisory lock.
bool is_large_object_function(Bytes body) {
  constexpr std::array<std::uint32_t, 20> kIds{715,  764,  765,  767,  952,  953,  954,
                                               955,  956,  957,  958,  964,  1004, 3170,
                                               3171, 3172, 3457, 3458, 3459, 3460};
  return body.size() >= 4 && std::ranges::binary_search(kIds, load_u32(body.data()));
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
    const Item item = client_.framer.next(
        {bytes.data() + progress.consumed, bytes.size() - progress.consumed}, kInspectionMax);
    switch (item.kind) {
      case ItemKind::need:
        return progress;
      case ItemKind::run:
        if (link != nullptr && !client_.drop_rest) out_.to_server.pass(item.bytes);
        if (client_.framer.rest() == 0) client_.drop_rest = false;
        break;
      case ItemKind::malformed:
        violation_ = pg::message_kind(pg::Sender::client, item.message.type).name == nullptr
                         ? "invalid frontend message type " +
                               std::to_string(static_cast<unsigned char>(item.message.type))
                         : "invalid message length";
        progress.stop = ClientStop::violation;
        return progress;
      case ItemKind::message:
      case ItemKind::head:
        if (link != nullptr && must_wait(item.message, *link)) {
          client_.framer = before;
          progress.stop = ClientStop::full;
          return progress;
        }
        switch (on_message(item, link)) {
          case Handled::yes:
            break;
          case Handled::need_link:
            client_.framer = before;
            if (const std::size_t answered = client_.lazy && link == nullptr
                                                 ? answer_control(bytes.substr(progress.consumed))
                                                 : 0) {
              progress.consumed += answered;
              continue;
            }
            progress.stop = ClientStop::need_link;
            return progress;
          case Handled::wait:
            client_.framer = before;
            progress.stop = ClientStop::full;
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
  if (client_.skip_to_sync) {
    if (!message.is(Frontend::Sync)) {
      drop(item);
      return Handled::yes;
    }
    // The server has heard nothing of the batch.
    if (link != nullptr && !link->expected.batch_open()) return on_unlinked(item);
  }
  if (link == nullptr) return client_.lost == nullptr ? on_unlinked(item) : on_lost(item);
  return on_linked(item, *link);
}

// What PostgreSQL would answer without doing anything needs no server.
Relay::Handled Relay::on_unlinked(const Item& item) {
  const pg::Message& message = item.message;
  switch (static_cast<Frontend>(message.type)) {
    case Frontend::Sync:
      client_.skip_to_sync = false;
      drop(item);
      if (has_body(message)) refuse_body(out_.to_client.insert());
      pg::write_ready_for_query(out_.to_client.insert(), status_here());
      return Handled::yes;
    case Frontend::Flush:
      client_.skip_to_sync = has_body(message);
      drop(item);
      if (client_.skip_to_sync) refuse_body(out_.to_client.insert());
      return Handled::yes;
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
          client_.drop_unnamed();
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
  const Bytes types = parse->parameter_types.substr(2);
  Understood understood = understand(parse->text, reading(client_.welcome), types);
  if (understood.objection) return Handled::need_link;
  if (understood.rules.mask != 0) {
    const config::Rule* rule = rule_among(understood.rules.mask, parse->text, false);
    if (rule != nullptr && !rule->error.empty()) return Handled::need_link;
  }
  const SessionWorkRef& work = understood.work;
  if (work != nullptr && !work->unknown && work->names_statements()) return Handled::need_link;
  const std::uint64_t epoch = client_.catalog == nullptr ? 0 : client_.catalog->now();
  StatementRef statement = rules_.catalog.find(parse->definition, context_of(parse->definition));
  if (!statement || !statement->was_accepted_by(client_.pool, epoch)) {
    if (!is_transaction_control(parse->text)) return Handled::need_link;
    statement = rules_.catalog.find_or_make(parse->definition, context_of(parse->definition));
  }
  name_unlinked(parse->statement, std::move(statement), std::move(understood));
  pg::write_empty(out_.to_client.insert(), pg::Backend::ParseComplete);
  return Handled::yes;
}

// It is the client's, though no server was asked.
void Relay::name_unlinked(Bytes name, StatementRef statement, Understood&& understood) {
  if (client_.statements == nullptr) client_.statements = std::make_unique<ClientStatements>();
  const std::uint64_t epoch = client_.catalog == nullptr ? 0 : client_.catalog->now();
  client_.statements->set(name, {.statement = std::move(statement),
                                 .pending = false,
                                 .work = std::move(understood.work),
                                 .ends = understood.ends,
                                 .uses = understood.uses,
                                 .epoch = epoch,
                                 .entry = std::move(understood.entry),
                                 .route = understood.route,
                                 .rules = understood.rules});
}

// Whether what the message needs depends on the answer to an earlier batch: when that fails, what
// was put ahead in it did not happen. The answer comes without anything more from the client.
bool Relay::must_wait(const pg::Message& message, const LinkRelayState& link) const {
  if (link.confirming == LinkRelayState::Confirming::asked) return true;
  if (link.rerun == LinkRelayState::Rerun::due) return true;
  if (link.cancelling && !link.expected.copying_in()) return true;
  if ((rules_.one_at_a_time || link.guarded || link.reader) && link.expected.owes_client() &&
      !link.expected.copying_in()) {
    return true;
  }
  if (client_.listening != nullptr && client_.listening->notifies && link.expected.owes_client() &&
      !link.expected.copying_in()) {
    return true;  // ReadyForQuery may have to wait
  }
  if (!link.expected.owes_sync() && link.all_gone == 0) return false;
  if (!rules_.share_statements || link.expected.copying_in() || link.expected.skipping()) {
    return false;
  }
  switch (static_cast<Frontend>(message.type)) {
    case Frontend::Parse: {
      const NamedDefinition parse = cut_name(message);
      if (link.all_gone > 0 || client_.undecided_reading) return true;
      if (!parse.well_formed || parse.name.empty()) return false;
      return undecided_parse(parse.name, parse.definition, link);
    }
    case Frontend::Bind: {
      const auto bind = pg::frontend::Bind::parse(message.body);
      return bind && undecided_use(bind->statement, link);
    }
    case Frontend::Describe: {
      const auto describe = pg::frontend::Describe::parse(message.body);
      return describe && describe->target == pg::frontend::Target::statement &&
             undecided_use(describe->name, link);
    }
    case Frontend::Close: {
      const auto close = pg::frontend::Close::parse(message.body);
      if (!close || close->target == pg::frontend::Target::portal || close->name.empty()) {
        return false;
      }
      return link.all_gone > 0 || undecided_name(close->name, link);
    }
    case Frontend::Query:
      // The text may name a statement; or it is not known yet how it is to be read.
      return link.all_gone > 0 || client_.undecided_reading;
    default:
      return false;
  }
}

bool Relay::undecided_name(Bytes name, const LinkRelayState& link) const {
  // When the batch with the Close fails, the statement is still there.
  if (link.expected.closes_in_earlier_batch(name)) return true;
  const auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(name);
  return known != nullptr && known->pending && known->batch != link.expected.batch();
}

bool Relay::undecided_parse(Bytes name, Bytes definition, const LinkRelayState& link) const {
  if (undecided_name(name, link)) return true;
  const auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(name);
  const std::uint32_t batch = link.expected.batch();
  if (known != nullptr) {
    return link.statements.undecided(known->statement, batch);
  }
  const StatementRef statement = rules_.catalog.find(definition, context_of(definition));
  return statement && link.statements.undecided(statement, batch);
}

bool Relay::undecided_use(Bytes name, const LinkRelayState& link) const {
  const std::uint32_t batch = link.expected.batch();
  if (name.empty()) {
    return (link.unnamed_pending && link.unnamed_batch != batch) ||
           awaits_names(client_.unnamed.work, link);
  }
  if (link.all_gone > 0 || link.expected.closes_in_earlier_batch(name)) return true;
  const auto* known = client_.statements == nullptr ? nullptr : client_.statements->find(name);
  if (known == nullptr) return false;
  if (awaits_names(known->work, link)) return true;
  // Where the client's own Parse has failed, the server says rightly that there is no statement.
  return known->pending ? link.statements.closing(known->statement, batch)
                        : link.statements.undecided(known->statement, batch);
}

// What the names in a text mean may depend on an answer, too.
bool Relay::awaits_names(const SessionWorkRef& work, const LinkRelayState& link) const {
  if (work == nullptr || !rules_.share_statements || !work->names_statements()) return false;
  return (link.all_gone > 0 || link.expected.owes_earlier_batch()) && !link.expected.copying_in();
}

Relay::Handled Relay::on_linked(const Item& item, LinkRelayState& link) {
  const auto type = static_cast<Frontend>(item.message.type);
  if (type == Frontend::CopyDone || type == Frontend::CopyFail) {
    link.expected.push_copy_end();
    if (rules_.measures != nullptr) link.meter.let_go(rules_.measures->now);
    out_.to_server.pass(item.bytes);
    return Handled::yes;
  }
  if (link.expected.skipping() && type != Frontend::Sync) {
    drop(item);  // the server would skip it, too
    return Handled::yes;
  }
  switch (type) {
    case Frontend::Query:
      return on_query(item, link);
    case Frontend::Sync:
      on_sync(item, link);
      return Handled::yes;
    case Frontend::FunctionCall:
      if (client_.tenant != nullptr && refused(unread())) {
        refuse(item, link, Request::query, objections_.first);
        return Handled::yes;
      }
      if (client_.rules != nullptr &&
          refuses_by_rule(item, link, Request::query, rules_unread(), {})) {
        return Handled::yes;
      }
      note_sequences(kTakes, link);
      if (!is_large_object_function(item.message.body)) client_.pin(PinReason::unknown);
      forward(item, link, {.request = Request::function_call, .sent = {.entry = unknown_entry()}});
      return Handled::yes;
    case Frontend::Flush:
      if (has_body(item.message)) {
        refuse(item, link, Request::bind, kInvalidFormat, pg::sqlstate::kProtocolViolation);
        pg::write_empty(out_.to_server.insert(), Frontend::Flush);
        return Handled::yes;
      }
      out_.to_server.pass(item.bytes);
      return Handled::yes;
    default:
      return on_extended(item, link);
  }
}

Relay::Handled Relay::on_extended(const Item& item, LinkRelayState& link) {
  switch (static_cast<Frontend>(item.message.type)) {
    case Frontend::Parse:
      return on_parse(item, link);
    case Frontend::Bind:
      return on_bind(item, link);
    case Frontend::Describe:
      return on_describe(item, link);
    case Frontend::Close:
      on_close(item, link);
      return Handled::yes;
    case Frontend::Execute:
      return on_execute(item, link);
    default:
      FB_ASSERT(false);
  }
  return Handled::violation;
}

// What is about to be sent makes the server's unnamed statement go, whosever it is. Another link
// may still have the client's.
UnnamedChange Relay::drop_unnamed(LinkRelayState& link) {
  link.change_unnamed(0, 0);
  // In a batch that has failed, it is skipped.
  if (!link.expected.batch_open()) client_.unpin(PinReason::large_unnamed);
  if (!client_.unnamed.exists) return UnnamedChange::ours;
  client_.drop_unnamed();
  return UnnamedChange::dropped;
}

// ---------------------------------------------------------------- tools

void Relay::forward(const Item& item, LinkRelayState& link, Expected&& expected) {
  out_.to_server.pass(item.bytes);
  push(link, std::move(expected));
}

void Relay::drop(const Item& item) {
  client_.drop_rest = item.kind == ItemKind::head;
}

void Relay::supply(LinkRelayState& link, Request request, NameChange change) {
  push(link, {.request = request,
              .disposition = Disposition::supply,
              .change = std::make_unique<NameChange>(std::move(change))});
  ServerRelay::emit_supplied(link, client_, out_.to_client);
}

void Relay::push(LinkRelayState& link, Expected&& expected) {
  if (link.meter.pool != nullptr && rules_.measures != nullptr) measure(link, expected);
  const SpecialReply* special = expected.special.get();
  if (special != nullptr && special->work != nullptr) {
    note_listening(*special->work, link);
    for (const SessionStep& step : special->work->steps) {
      if (step.kind == SessionStep::Kind::vacate) vacated_ = step.name;
    }
  }
  if (special != nullptr && special->work != nullptr && special->work->notifies() &&
      link.catalog != nullptr) {
    link.catalog->notifiers.note(link.process_id, client_.process_id);
    link.notified = true;
  }
  if (link.expected.push(std::move(expected))) return;
  // The server will not answer: it skips the message, or a copy-in swallowed it.
  std::vector<Expected> voided;
  voided.push_back(std::move(expected));
  ServerRelay::undo(voided, link, &client_);
}

}  // namespace forebay::core
