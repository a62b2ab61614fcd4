#include <algorithm>

#include "core/relay/relay.hpp"
#include "core/relay/withheld.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using pg::Backend;
using ItemKind = pg::Framer::Kind;
using Effect = ExpectedReplies::Effect;

bool announces_end(const pg::backend::Fields& notice) {
  return notice.severity == "WARNING" && (notice.sqlstate == pg::sqlstate::kAdminShutdown ||
                                          notice.sqlstate == pg::sqlstate::kCrashShutdown);
}

// The server goes, or somebody made this one of its processes go: not the client's fault.
bool is_shutdown(Bytes sqlstate) {
  return sqlstate == pg::sqlstate::kAdminShutdown || sqlstate == pg::sqlstate::kCrashShutdown ||
         sqlstate == pg::sqlstate::kCannotConnectNow;
}

// What it replays was in the way of what a replica's client read, or dropped its database there.
bool is_conflict(Bytes sqlstate) {
  return sqlstate == pg::sqlstate::kSerializationFailure ||
         sqlstate == pg::sqlstate::kDatabaseDropped;
}

// Whether the client can do without the connection that the server ends.
bool may_be_lost(const LinkRelayState& link, const ClientRelayState& client, Bytes sqlstate) {
  const bool nobodys = client.attempt == Attempt::open || is_shutdown(sqlstate) ||
                       (link.reader && is_conflict(sqlstate));
  return nobodys && client.pins == 0 && !link.expected.may_end_server();
}

// Some function of a client's has taken a name of ours; or its role was dropped past us.
bool spoils(const pg::backend::Fields& error, const ExpectedReplies& expected) {
  const bool taken_name =
      error.sqlstate == pg::sqlstate::kDuplicatePreparedStatement && expected.prepares_at_head();
  return taken_name || error.message.starts_with("invalid role OID: ");
}

// What is remembered of a text until the server is ready for another.
void forget_text(LinkRelayState& link, Disposition ready) {
  const bool rests = link.expected.empty();
  if (rests) link.places.reset();
  if (rests || ready == Disposition::forward) link.unmade.reset();
  if (link.overrun != nullptr && rests &&
      (!link.overrun->transaction || link.status == pg::backend::TransactionStatus::idle)) {
    link.overrun.reset();
  }
}

}  // namespace

const std::string* Welcome::find(std::string_view name) const noexcept {
  for (const auto& [known, value] : parameters) {
    if (known == name) return &value;
  }
  return nullptr;
}

void Welcome::render() {
  messages.clear();
  application_size = 0;
  for (const auto& [name, value] : parameters) {
    const std::size_t at = messages.size();
    pg::write_parameter_status(messages, name, value);
    if (name != kApplicationName) continue;
    application_at = at;
    application_size = messages.size() - at;
  }
}

bool Welcome::set(Bytes name, Bytes value) {
  std::string* current = nullptr;
  std::size_t bytes = name.size() + value.size();
  for (auto& [known, has] : parameters) {
    if (known == name) {
      current = &has;
    } else {
      bytes += known.size() + has.size();
    }
  }
  if (bytes > kParameterBytesMax) return false;
  if (current == nullptr && parameters.size() >= kParametersMax) return false;
  messages.clear();
  if (current != nullptr) {
    *current = value;
  } else {
    parameters.emplace_back(name, value);
  }
  return true;
}

bool is_server_fact(Bytes name) noexcept {
  return name == "server_version" || name == "server_encoding" || name == "integer_datetimes" ||
         name == "in_hot_standby" || name == kIsSuperuser;
}

ServerRelay::Progress ServerRelay::from_server(Bytes bytes) {
  Progress progress;
  while (progress.consumed < bytes.size()) {
    const std::uint32_t rest = link_.framer.rest();
    const Item item = link_.framer.next(
        {bytes.data() + progress.consumed, bytes.size() - progress.consumed}, kInspectionMax);
    link_.meter.current.bytes += item.bytes.size();
    switch (item.kind) {
      case ItemKind::need:
        return progress;
      case ItemKind::run: {
        // The rest of the message at hand first, then messages of the reply at the head.
        Bytes fresh = item.bytes;
        const Bytes begun(fresh.data(), std::min<std::size_t>(rest, fresh.size()));
        fresh.remove_prefix(begun.size());
        if (link_.rest == Disposition::forward && client_ != nullptr) to_client_.pass(begun);
        if (!fresh.empty()) {
          if (link_.expected.empty()) {
            progress.verdict = violation(item);
            return progress;
          }
          link_.rest = link_.expected.disposition();
          if (link_.rest == Disposition::forward && client_ != nullptr) {
            pass_to_client(fresh, static_cast<char>(Backend::DataRow));
          }
        }
        break;
      }
      case ItemKind::malformed:
        progress.verdict = violation(item);
        return progress;
      case ItemKind::message:
      case ItemKind::head: {
        const Verdict verdict = on_message(item);
        if (verdict == Verdict::violation) {
          progress.verdict = verdict;
          return progress;
        }
        if (verdict != Verdict::fine) progress.verdict = verdict;
        if (verdict == Verdict::own_end) {
          progress.consumed += item.bytes.size();
          return progress;
        }
        break;
      }
    }
    progress.consumed += item.bytes.size();
  }
  return progress;
}

ServerRelay::Verdict ServerRelay::on_message(const Item& item) {
  const auto type = static_cast<Backend>(item.message.type);
  switch (type) {
    case Backend::NoticeResponse:
      on_notice(item);
      return Verdict::fine;
    case Backend::NotificationResponse:
      on_notification(item);
      return Verdict::fine;
    case Backend::ParameterStatus:
      return on_parameter_status(item);
    case Backend::ErrorResponse:
      return on_error(item);
    case Backend::Authentication:
    case Backend::BackendKeyData:
    case Backend::NegotiateProtocolVersion:
      return violation(item);
    default:
      return on_reply(item, type);
  }
}

ServerRelay::Verdict ServerRelay::on_reply(const Item& item, Backend type) {
  if (type == Backend::ReadyForQuery) {
    const auto ready = pg::backend::ReadyForQuery::parse(item.message.body);
    if (!ready) return violation(item);
    link_.status = ready->status;
    if (ready->status == pg::backend::TransactionStatus::idle) {
      ++link_.transactions_ended;
    } else if (client_ != nullptr && client_->attempt == Attempt::none) {
      client_->begin.open = 0;
    }
    if (link_.catalog_changed && ready->status == pg::backend::TransactionStatus::idle) {
      link_.catalog_changed = false;
      catalog_changed();  // what was prepared elsewhere meanwhile did not see it either
      if (std::exchange(link_.functions_changed, false) && link_.catalog != nullptr) {
        link_.catalog->functions.changed();
      }
    }
    if (link_.expected.take_ready_in_doubt()) {
      pass(item, Disposition::forward);
      return Verdict::fine;
    }
  }
  if (type == Backend::CopyBothResponse) {
    if (!link_.replication) return violation(item);
    link_.streaming = true;
  }
  ExpectedReplies::Taken taken = link_.expected.take(type);
  if (taken.effect == Effect::unexpected) return violation(item);
  if (link_.rerun == LinkRelayState::Rerun::due && type == Backend::ReadyForQuery &&
      taken.disposition == Disposition::forward) {
    taken.disposition = Disposition::discard;
  }
  if (type == Backend::ParameterDescription) on_parameters(item);
  if (taken.disposition == Disposition::forward) link_.unanswered = false;
  SpecialReply* special =
      taken.effect == Effect::done ? link_.expected.done().special.get() : link_.expected.special();
  bool own_end = false;
  if (type == Backend::CommandComplete || type == Backend::EmptyQueryResponse) {
    on_statement_complete(item, taken.disposition, special);
    own_end = client_ends();
  }
  if (type == Backend::PortalSuspended) {
    on_suspended(taken.disposition, special);
    own_end = client_ends();
  }
  if (measured()) measure(type, taken);
  if (!link_.expected.voided().empty()) undo(link_.expected.voided(), link_, client_);
  if (type == Backend::ReadyForQuery) {
    on_ready(item, taken.disposition, special);
  } else if (!own_end) {
    pass(item, taken.disposition);
  }
  if (taken.effect == Effect::done) {
    const Expected& done = link_.expected.done();
    if (done.change != nullptr) on_described(item, *done.change);
    on_done(done);
    link_.expected.let_go();
    if (client_ != nullptr) emit_supplied(link_, *client_, to_client_);
  }
  if (type == Backend::ReadyForQuery) forget_text(link_, taken.disposition);
  return own_end ? Verdict::own_end : Verdict::fine;
}

// By pg_terminate_backend, for which PostgreSQL gives no answer.
bool ServerRelay::client_ends() const noexcept {
  if (link_.signals == nullptr || client_ == nullptr) return false;
  return std::ranges::any_of(*link_.signals, [this](const ServerSignal& signal) {
    return signal.ends && signal.process_id == client_->process_id;
  });
}

void ServerRelay::on_done(const Expected& expected) {
  if (expected.request == Request::execute || ends_with_ready(expected.request)) {
    ++link_.statements_answered;
  }
  if (expected.unnamed != UnnamedChange::none && expected.unnamed_change == link_.unnamed_change) {
    link_.unnamed_pending = false;
  }
  if (expected.special != nullptr && expected.special->undecided_names) --link_.all_gone;
  if (expected.change == nullptr) return;
  const NameChange& change = *expected.change;
  switch (change.kind) {
    case NameChange::Kind::client_parse:
      if (client_ != nullptr && client_->statements) client_->statements->confirm(change.name);
      if (change.link_got_it) {
        link_.statements.confirm(change.statement);
        change.statement->accepted_by(link_.pool, link_.epoch());
      }
      break;
    case NameChange::Kind::link_close:
      link_.statements.evicted(change.statement, true);
      break;
    case NameChange::Kind::all_gone:
      --link_.all_gone;
      break;
    case NameChange::Kind::link_parse:
      link_.statements.confirm(change.statement);
      break;
    default:
      break;
  }
}

// A server has said what rows a statement gives: to the client, or because we had to know.
void ServerRelay::on_described(const Item& item, const NameChange& change) {
  using Confirming = LinkRelayState::Confirming;
  const bool asked = change.kind == NameChange::Kind::asked;
  if (!asked && change.kind != NameChange::Kind::told) return;
  const ResultShape shape = !item.message.is(Backend::RowDescription) ? kNoRows
                            : item.message.whole() ? result_shape(item.message.body)
                                                   : kUnreadable;
  link_.statements.described(change.statement, shape);
  if (asked) {
    if (link_.confirming == Confirming::asked) link_.confirming = Confirming::confirmed;
    return;
  }
  auto* named = client_ == nullptr || client_->statements == nullptr
                    ? nullptr
                    : client_->statements->find(change.name);
  if (named == nullptr || named->statement != change.statement || shape == kUnreadable) return;
  named->shape = shape;
  const auto* held = link_.statements.find(change.statement);
  if (held != nullptr) named->epoch = std::max(named->epoch, held->epoch);
}

ServerRelay::Verdict ServerRelay::on_error(const Item& item) {
  const auto fields = pg::backend::Fields::parse(item.message.body);
  const Verdict verdict = fields.fatal() ? Verdict::ending : Verdict::fine;
  if (fields.fatal()) link_.unanswered = false;
  const bool untouched = client_ != nullptr && client_->attempt == Attempt::open;
  if (fields.fatal() && client_ != nullptr && rules_.share_statements &&
      may_be_lost(link_, *client_, fields.sqlstate)) {
    link_.rest = Disposition::discard;  // the client can do without this connection
    link_.last_words = fields.message;
    return verdict;
  }
  if (link_.expected.empty()) {
    // Nobody asked: the server speaks for itself, as at its shutdown.
    pass(item, Disposition::forward);
    if (!fields.fatal()) link_.poisoned = true;
    return verdict;
  }

  if (fields.sqlstate == pg::sqlstate::kReadOnlyTransaction) link_.says_read_only = true;
  if (spoils(fields, link_.expected)) link_.poisoned = true;
  // What failed ahead of the client's own message is the client's answer. What failed for ourselves
  // (a change of settings, above all) leaves the link in a state that the client must not work in.
  SpecialReply* const special = link_.expected.special();
  Disposition disposition = link_.expected.error_disposition();
  if (disposition == Disposition::precede || fields.fatal()) disposition = Disposition::forward;
  if (disposition == Disposition::discard && (special == nullptr || !special->may_fail) &&
      !link_.keeps_buffers(fields)) {
    link_.own_error = item.message.body;
    if (client_ != nullptr) {
      link_.poisoned = true;
      link_.settings_cancelled = fields.sqlstate == pg::sqlstate::kQueryCanceled;
      link_.settings_refused = !link_.settings_cancelled;
      reason_ = "the server refused the settings of the session: " + std::string(fields.message);
      return Verdict::violation;
    }
  }
  const bool stale = fields.sqlstate == pg::sqlstate::kFeatureNotSupported &&
                     fields.message == "cached plan must not change result type";
  if (stale) {
    // Somebody has changed the catalog unseen: nothing from before is to be trusted.
    catalog_changed();
    link_.stale_before = link_.epoch();
  }
  const bool changed_result = special != nullptr && special->changed_result;
  if ((stale || changed_result) && disposition == Disposition::forward && run_again(special)) {
    disposition = Disposition::discard;
  }
  if (disposition == Disposition::forward && client_ != nullptr) {
    SessionChanges(rules_.parameter_sets, *client_, link_)
        .failed(special == nullptr ? nullptr : special->work.get());
  }
  if (disposition == Disposition::discard) note_unmade(item, fields.sqlstate, special);
  if (untouched && disposition == Disposition::forward) note_refusal(fields);
  Told told{fields.sqlstate};  // looked up before what it names is undone
  const bool rewritten =
      disposition == Disposition::forward &&
      (tell_overrun(told) || tell_unmade(item, special, told) ||
       (changed_result && refuse_changed(told)) ||
       (!fields.fatal() && (tell_refusal(special, told) || tell_replica_refuses(fields, told))) ||
       rewrite_error(item, fields.sqlstate) ||
       (special != nullptr && item.message.whole() &&
        shift_position(item.message.body, shifts_for(*special, item.message.body))));
  const ExpectedReplies::Taken taken = link_.expected.take(Backend::ErrorResponse);
  if (measured() && disposition == Disposition::forward) measure_error(told, taken);
  if (taken.effect == Effect::batch_failed) undo(link_.expected.voided(), link_, client_);
  if (disposition == Disposition::forward) link_.unanswered = false;
  if (!rewritten) pass(item, disposition);
  if (client_ != nullptr) emit_supplied(link_, *client_, to_client_);
  return verdict;
}

// What was cancelled because it took too long: the client is told so. False for another error.
bool ServerRelay::tell_overrun(Told& told) {
  if (link_.overrun == nullptr || client_ == nullptr ||
      told.sqlstate != pg::sqlstate::kQueryCanceled) {
    return false;
  }
  if (link_.overrun->told && !link_.overrun->transaction) return false;
  pg::write_error(to_client_.insert(), link_.overrun->reason.report("ERROR"));
  told = {link_.overrun->reason.sqlstate, true};
  // It stays until ReadyForQuery: the statement is not to be cancelled once more before that.
  link_.overrun->told = true;
  link_.rest = Disposition::discard;
  return true;
}

// A server that goes down at once, or that lost another process, says so by a mere notice. A
// function may say the same, so the link only must not serve anybody else.
void ServerRelay::on_notice(const Item& item) {
  const bool withheld = withholds_notice(client_, link_, item.message);
  pass(item, withheld ? Disposition::discard : link_.expected.disposition());
  if (announces_end(pg::backend::Fields::parse(item.message.body))) link_.poisoned = true;
}

// The process id is that of a server connection. A client is to recognise what it sent itself: that
// came through its own, which it keeps while it listens. Others are known as far as their texts
// show it, and never taken for this one.
void ServerRelay::on_notification(const Item& item) {
  const auto told = pg::backend::NotificationResponse::parse(item.message.body);
  if (told && told_by_hub(told->channel)) {
    // From before the LISTEN of the same transaction, or of a function.
    if (told->process_id == link_.process_id) client_->listening->notified = true;
    link_.rest = Disposition::discard;
    return;
  }
  std::uint32_t sender = 0;
  if (client_ != nullptr && told && told->process_id == link_.process_id) {
    sender = client_->process_id;
  } else if (client_ != nullptr && told && link_.catalog != nullptr) {
    sender = link_.catalog->notifiers.client_of(told->process_id);
    if (sender == client_->process_id) sender = 0;
  }
  if (sender == 0) {
    pass(item, Disposition::forward);
    return;
  }
  pg::write_notification(to_client_.insert(), sender, told->channel, told->payload);
  link_.rest = Disposition::discard;
}

void ServerRelay::catalog_changed() {
  if (link_.catalog != nullptr) link_.catalog->advance();
}

void ServerRelay::pass(const Item& item, Disposition disposition) {
  link_.rest = disposition;
  if (disposition == Disposition::forward && client_ != nullptr) {
    pass_to_client(item.bytes, item.message.type);
  }
}

// As PostgreSQL would, if this server had had the statement from when the client prepared it, with
// the routine: by that pgjdbc and postgres.js know that they are to prepare it anew.
bool ServerRelay::refuse_changed(Told& told) {
  if (client_ == nullptr) return false;
  const bool failed = link_.status == pg::backend::TransactionStatus::failed;
  pg::MessageWriter error(to_client_.insert(), pg::Backend::ErrorResponse);
  error.u8('S').text("ERROR").u8('V').text("ERROR").u8('C');
  told = {failed ? pg::sqlstate::kInFailedTransaction : pg::sqlstate::kFeatureNotSupported, true};
  error.text(told.sqlstate);
  error.u8('M').text(failed ? "current transaction is aborted, commands ignored until end of "
                              "transaction block"
                            : "cached plan must not change result type");
  error.u8('R').text(failed ? "exec_bind_message" : "RevalidateCachedQuery").u8(0);
  link_.rest = Disposition::discard;
  return true;
}

void ServerRelay::emit_supplied(LinkRelayState& link, ClientRelayState& client,
                                Conduit& to_client) {
  while (link.expected.supplied_at_head()) {
    const Expected supplied = link.expected.pop_supplied();
    link.unanswered = false;
    const bool parse = supplied.request == Request::parse;
    pg::write_empty(to_client.insert(), parse ? Backend::ParseComplete : Backend::CloseComplete);
    if (parse && client.statements != nullptr) client.statements->confirm(supplied.change->name);
  }
}

void ServerRelay::undo(std::vector<Expected>& voided, LinkRelayState& link,
                       ClientRelayState* client) {
  for (auto expected = voided.rbegin(); expected != voided.rend(); ++expected) {
    if (expected->unnamed != UnnamedChange::none &&
        expected->unnamed_change == link.unnamed_change) {
      link.unnamed_owner = LinkRelayState::kUnknownOwner;
      link.unnamed_pending = false;
    }
    if (client != nullptr && expected->unnamed_version == client->unnamed.version) {
      // A failed Parse leaves no unnamed statement; one that was not dropped after all is there, as
      // the version that it was.
      if (expected->unnamed == UnnamedChange::parsed) {
        client->unnamed.exists = false;
        client->unpin(PinReason::large_unnamed);
      }
      if (expected->unnamed == UnnamedChange::dropped) {
        client->unnamed.exists = true;
        --client->unnamed.version;
      }
    }
    if (expected->special != nullptr) {
      if (expected->special->undecided_names) --link.all_gone;
      if (expected->special->sets_settings) {
        link.settings_statement = SettingsStatement::doubtful;
      }
    }
    if (expected->change == nullptr) continue;
    NameChange& change = *expected->change;
    switch (change.kind) {
      case NameChange::Kind::client_parse:
        if (client != nullptr && client->statements) {
          client->statements->take(change.name);
          client->unpin_statements();
        }
        if (change.link_got_it) link.statements.remove(change.statement);
        break;
      case NameChange::Kind::client_close:
        if (client != nullptr && client->statements && change.closed->statement) {
          change.closed->pending = false;
          if (change.closed->statement->unkept()) client->pin(PinReason::large_statement);
          client->statements->set(change.name, std::move(*change.closed));
        }
        break;
      case NameChange::Kind::link_parse:
        link.statements.remove(change.statement);
        break;
      case NameChange::Kind::link_close:
        link.statements.evicted(change.statement, false);
        break;
      case NameChange::Kind::all_gone:
        --link.all_gone;
        break;
      case NameChange::Kind::asked:
        // Refused: what waits for the answer goes on, and is skipped.
        if (link.confirming == LinkRelayState::Confirming::asked) {
          link.confirming = LinkRelayState::Confirming::confirmed;
        }
        break;
      case NameChange::Kind::reference:
      case NameChange::Kind::told:
        break;
    }
  }
  voided.clear();
}

ServerRelay::Verdict ServerRelay::violation(const Item& item) {
  link_.poisoned = true;
  const char* name = pg::message_kind(pg::Sender::server, item.message.type).name;
  reason_ = "the server sent ";
  if (item.kind == ItemKind::run) {
    reason_ += "rows that nobody asked for";
  } else if (item.kind == ItemKind::malformed) {
    reason_ += "a message that cannot be: type byte " +
               std::to_string(static_cast<unsigned char>(item.message.type)) + ", length " +
               std::to_string(item.message.body_size);
  } else {
    reason_ +=
        std::string(name == nullptr ? "an unknown message" : name) + ", which nobody asked for";
  }
  return Verdict::violation;
}

}  // namespace forebay::core
