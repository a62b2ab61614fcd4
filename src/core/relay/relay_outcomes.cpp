#include <algorithm>
#include <charconv>
#include <utility>

#include "core/relay/relay.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What a server's answers say about the session: statements complete, parameters have new values,
// transactions end.

namespace forebay::core {
namespace {

using pg::Backend;

// Whether the command may have changed the catalog for others. DO and CALL may do anything.
// Of what changes the catalog.
bool changes_functions(Bytes tag) {
  constexpr Bytes kKinds[] = {"FUNCTION",  "PROCEDURE", "ROUTINE",
                              "AGGREGATE", "EXTENSION", "SCHEMA"};
  return tag == "DO" || tag == "CALL" ||
         std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&](Bytes kind) { return tag.ends_with(kind); });
}

bool changes_catalog(Bytes tag) {
  // Asked of every statement: most are told by their first letter.
  switch (tag.empty() ? '\0' : tag.front()) {
    case 'A':
      return tag.starts_with("ALTER ");
    case 'C':
      return tag.starts_with("CREATE ") || tag == "CALL";
    case 'D':
      return tag.starts_with("DROP ") || tag == "DO";
    case 'I':
      return tag.starts_with("IMPORT ");
    case 'R':
      return tag.starts_with("REFRESH ");
    default:
      return false;
  }
}

// Asked behind each statement of a text: once too often is no harm.
bool makes_table(const SessionWork& work) {
  return std::ranges::any_of(work.steps, [](const SessionStep& step) {
    return step.kind == SessionStep::Kind::make_table ||
           (step.kind == SessionStep::Kind::execute && step.inner != nullptr &&
            makes_table(*step.inner));
  });
}

// "SELECT 5", "INSERT 0 1": the number behind the last blank.
std::uint64_t rows_of(Bytes tag) {
  std::uint64_t rows = 0;
  std::uint64_t unit = 1;
  for (std::size_t i = tag.size(); i-- > 0; unit *= 10) {
    const unsigned digit = static_cast<unsigned char>(tag[i]) - unsigned{'0'};
    if (digit > 9) return tag[i] == ' ' ? rows : 0;
    rows += digit * unit;
  }
  return 0;
}

}  // namespace

void ServerRelay::on_statement_complete(const Item& item, Disposition disposition,
                                        SpecialReply* special) {
  const auto complete = pg::backend::CommandComplete::parse(item.message.body);
  const Bytes tag = complete && item.message.is(Backend::CommandComplete) ? complete->tag : Bytes();
  if (special != nullptr && special->inventory) {
    ++special->completed;
    on_inventory(tag);
    return;
  }
  const bool hidden = special != nullptr && special->hides_now();
  if (special != nullptr && special->work != nullptr && makes_table(*special->work)) {
    link_.catalog_changed = true;
    catalog_changed();
  }
  if (hidden && tag == "DEALLOCATE") on_made_room(*special);
  if (special != nullptr) ++special->answered;
  if (!hidden) {
    on_command(tag, special);
    if (measured() && disposition != Disposition::precede) {
      link_.meter.current.rows += rows_of(tag);
      link_.meter.current.done(tag);
    }
  }
  if (hidden || client_ == nullptr || disposition != Disposition::forward) return;
  const bool temporary = (client_->pins & bit(PinReason::temporary)) != 0;
  if (temporary && tag.starts_with("DROP ")) client_->look = true;
  const SessionWork* work = special == nullptr ? nullptr : special->work.get();
  if (work == nullptr && client_->undo == nullptr) return;
  const std::uint16_t statement = special == nullptr ? std::uint16_t{0} : special->completed++;
  const Pins before = client_->pins;
  SessionChanges(rules_.parameter_sets, *client_, link_).completed(work, statement, tag);
  note_pins(before);
  if (work != nullptr && rules_.share_statements) on_names(*work, statement);
}

// A portal that is not at its end may have done already what its statement does.
void ServerRelay::on_suspended(Disposition disposition, const SpecialReply* special) {
  if (special == nullptr || special->work == nullptr || client_ == nullptr) return;
  if (disposition != Disposition::forward) return;
  const Pins before = client_->pins;
  // It has given a row. What an EXECUTE executes may be explained only.
  const bool direct = !special->work->has(SessionStep::Kind::execute);
  SessionChanges(rules_.parameter_sets, *client_, link_)
      .completed(special->work.get(), 0, direct ? Bytes("SELECT 1") : Bytes());
  note_pins(before);
}

// Where pg_temp comes first in the path, everything is made for the session.
bool ServerRelay::makes_temporary_by_path(Bytes tag, const SpecialReply* special) const {
  const bool makes =
      tag.starts_with("CREATE ") || (special != nullptr && special->work != nullptr &&
                                     special->work->has(SessionStep::Kind::make_table));
  if (!makes || client_->settings == nullptr) return false;
  constexpr Bytes kPath = "search_path";
  const std::string* path = client_->settings->find(kPath);
  if (const SessionUndo* undo = client_->undo.get(); undo != nullptr) {
    if (undo->hidden_local) return true;
    const std::string* local = undo->local == nullptr ? nullptr : undo->local->find(kPath);
    if (local != nullptr) path = local;
  }
  if (path == nullptr) return false;
  const std::size_t first = std::min(path->find_first_not_of(" \""), path->size());
  return Bytes(*path).substr(first).starts_with("pg_temp");
}

// What the link itself has or lacks after it.
void ServerRelay::on_command(Bytes tag, const SpecialReply* special) {
  if (client_ != nullptr && makes_temporary_by_path(tag, special)) client_->look = true;
  if (changes_catalog(tag)) {
    link_.catalog_changed = true;
    link_.functions_changed = link_.functions_changed || changes_functions(tag);
    link_.hidden_code = link_.hidden_code || tag == "DO" || tag == "CALL";
    catalog_changed();
  }
  const bool discard = tag == "DISCARD ALL";
  const bool followed = special != nullptr && special->work != nullptr && !special->work->unknown &&
                        client_ != nullptr;
  if ((discard || tag == "RESET") && !followed) link_.settings_doubtful = true;
  if (!discard && tag != "DEALLOCATE ALL") return;
  link_.statements.deallocate_all();
  // Behind a DISCARD ALL that is followed by more, the statement is made anew already.
  if (special == nullptr || !special->withhold_ready) {
    link_.settings_statement = SettingsStatement::none;
  }
  if (client_ == nullptr || client_->statements == nullptr) return;
  client_->statements->deallocate_all();
  client_->unpin_statements();
}

// PREPARE and DEALLOCATE have done what they say.
void ServerRelay::on_names(const SessionWork& work, std::uint16_t statement) {
  for (const SessionStep& step : work.steps) {
    if (step.statement != statement) continue;
    if (step.kind == SessionStep::Kind::execute && step.runs && step.inner != nullptr) {
      on_names(*step.inner, 0);
    }
    if (!step.prepared) continue;
    if (step.kind == SessionStep::Kind::prepare) {
      if (client_->statements == nullptr) {
        client_->statements = std::make_unique<ClientStatements>();
      }
      client_->statements->set(step.name, {.statement = step.prepared,
                                           .pending = false,
                                           .work = step.inner,
                                           .epoch = link_.epoch(),
                                           .said = std::make_shared<std::string>(step.value),
                                           .front = step.said_front});
      link_.statements.add(step.prepared, link_.expected.batch(), link_.epoch());
      link_.statements.confirm(step.prepared);
      link_.statements.take_front(step.prepared, step.sent_front);
      step.prepared->accepted_by(link_.pool, link_.epoch());
    } else if (step.kind == SessionStep::Kind::deallocate && client_->statements != nullptr) {
      client_->statements->take(step.name);
      client_->unpin_statements();
    }
  }
}

// The shared statement that a PREPARE is about to make is gone: whether it comes back is up to
// that.
void ServerRelay::on_made_room(const SpecialReply& special) {
  if (special.work == nullptr) return;
  for (const SessionStep& step : special.work->steps) {
    const bool next = step.statement == special.completed;
    if (next && step.kind == SessionStep::Kind::prepare && step.prepared) {
      link_.statements.remove(step.prepared);
    }
  }
}

// The tag is "SELECT n"; the bits of n say what the link holds.
void ServerRelay::on_inventory(Bytes tag) {
  constexpr Bytes kTag = "SELECT ";
  unsigned bits = 0;
  if (!tag.starts_with(kTag)) return;
  const auto parsed = std::from_chars(tag.data() + kTag.size(), tag.data() + tag.size(), bits);
  if (parsed.ec != std::errc()) return;
  on_names_found(bits >> 4);
  if (client_ == nullptr) return;
  constexpr PinReason kReasons[] = {PinReason::temporary, PinReason::held_cursor, PinReason::listen,
                                    PinReason::advisory_lock};
  const Pins before = client_->pins;
  client_->pins = static_cast<Pins>(client_->pins & ~kVisiblePins);
  for (unsigned i = 0; i < std::size(kReasons); ++i) {
    if ((bits >> i & 1) != 0) client_->pin(kReasons[i]);
  }
  if (link_.state_rule != nullptr) warn_of_pins(before);
}

// Code that nobody saw may have deallocated names of ours, and prepared something else by them.
void ServerRelay::on_names_found(unsigned differences) {
  const bool by_protocol = (differences & 1) != 0;
  const bool by_sql = (differences & 2) != 0;
  // One that PREPARE makes by such a name is not told from what was there, nor found again.
  const bool hidden_code = std::exchange(link_.hidden_code, false);
  if (by_protocol || by_sql || (hidden_code && link_.statements.made_by_sql() > 0)) {
    catalog_changed();
    link_.stale_before = link_.epoch();
  }
  if (by_protocol) link_.settings_statement = SettingsStatement::doubtful;
  if (by_sql) link_.poisoned = true;
}

void ServerRelay::on_ready(const Item& item, Disposition disposition, SpecialReply* special) {
  const bool idle = link_.status == pg::backend::TransactionStatus::idle;
  if (special != nullptr && special->inventory && client_ != nullptr) {
    using Unsaid = ClientRelayState::Unsaid;
    if (special->completed > 0) {
      client_->unsaid = Unsaid::no;
      client_->unpin(PinReason::looking);
    } else {
      // It failed, by a cancel request that came late, or by the client's statement_timeout.
      client_->look = client_->look || client_->unsaid == Unsaid::no;
      client_->unsaid = client_->unsaid == Unsaid::no ? Unsaid::once : Unsaid::again;
    }
  }
  if (disposition != Disposition::forward || client_ == nullptr) {
    if (idle) link_.changed.clear();
    using Confirming = LinkRelayState::Confirming;
    if (link_.confirming == Confirming::asked && link_.expected.empty()) {
      link_.confirming = Confirming::confirmed;
    }
    pass(item, disposition);
    return;
  }
  SessionChanges changes(rules_.parameter_sets, *client_, link_);
  changes.ready(link_.status);
  if (link_.expected.empty()) client_->undecided_reading = client_->undecided_parsing = false;
  if (client_->unsaid == ClientRelayState::Unsaid::again) client_->look = true;
  // What is put right before the client hears of it is none of its doing.
  if (special != nullptr && (special->withhold_ready || special->starts_again)) {
    link_.changed.clear();
  }
  if (idle) {
    for (const std::string& name : link_.changed) {
      if (const std::string* value = link_.reported.find(name)) changes.reported(name, *value);
    }
    link_.changed.clear();
    changes.ready(link_.status);  // what was reported holds, too
    // Those of a batch that stands behind are there already.
    if (link_.expected.empty()) {
      client_->portals.clear();
      if (client_->statements != nullptr) client_->statements->untold.open = false;
    }
  }
  if (special != nullptr && special->withhold_ready) {
    if (link_.withheld == nullptr) link_.withheld = std::make_unique<LinkRelayState::Withheld>();
    pass(item, Disposition::discard);
    return;
  }
  if (special != nullptr && special->starts_again) {
    // Not told by the settings being gone: the server may have reported some of them by now.
    if (std::exchange(client_->discarded, false)) {
      changes.started_again();
      link_.settings_statement = SettingsStatement::made;  // made anew behind DISCARD ALL
    } else {
      link_.poisoned = true;  // DISCARD ALL failed, and what was set behind it stays
    }
    changes.ready(link_.status);
    tell_changes();
  }
  pass(item, idle && holds_ready() ? Disposition::discard : disposition);
  counters_.statements.add();
  if (idle) counters_.transactions.add();
}

// What has another value now than the client was told before all was put right.
void ServerRelay::tell_changes() {
  const auto withheld = std::move(link_.withheld);
  if (withheld == nullptr) return;
  for (const auto& [name, told] : withheld->told) {
    const std::string* now = link_.reported.find(name);
    if (now != nullptr && *now != told) {
      pg::write_parameter_status(to_client_.insert(), name, *now);
    }
  }
}

ServerRelay::Verdict ServerRelay::on_parameter_status(const Item& item) {
  const auto status = pg::backend::ParameterStatus::parse(item.message.body);
  const Disposition disposition = link_.expected.disposition();
  const SpecialReply* special = link_.expected.special();
  const bool withhold =
      client_ != nullptr && disposition != Disposition::abandon &&
      (link_.withheld != nullptr || (special != nullptr && special->withhold_ready));
  const bool facts = link_.reader && status && is_server_fact(status->name);
  pass(item, withhold || facts ? Disposition::discard : disposition);
  if (!status || link_.settings == nullptr) return Verdict::fine;
  if (withhold) {
    if (link_.withheld == nullptr) link_.withheld = std::make_unique<LinkRelayState::Withheld>();
    auto& told = link_.withheld->told;
    const bool known = std::any_of(told.begin(), told.end(),
                                   [&](const auto& entry) { return entry.first == status->name; });
    const std::string* before = link_.reported.find(status->name);
    if (!known) told.emplace_back(status->name, before == nullptr ? std::string() : *before);
  }
  if (!link_.reported.set(status->name, status->value)) {
    link_.poisoned = true;
    reason_ = "the server reports more than " + std::to_string(Welcome::kParametersMax) +
              " parameters, or " + std::to_string(Welcome::kParameterBytesMax) + " bytes of them";
    return Verdict::violation;
  }
  if (facts) return Verdict::fine;
  if (is_server_fact(status->name)) {
    Welcome changed = *link_.welcome;
    static_cast<void>(changed.set(status->name, status->value));  // fits, as it did above
    link_.welcome = std::make_shared<const Welcome>(std::move(changed));
    if (client_ == nullptr) return Verdict::fine;
    const std::string* told = client_->welcome->find(status->name);
    if (disposition == Disposition::discard && !withhold && told != nullptr &&
        *told != status->value) {
      pg::write_parameter_status(to_client_.insert(), status->name, status->value);
    }
    client_->welcome = link_.welcome;
    return Verdict::fine;
  }
  // Set by somebody who is gone, or taken back by the Query that rolls back what it left.
  const bool recovering = client_ == nullptr && !link_.expected.empty() &&
                          link_.expected.head_request() == Request::query;
  if (disposition == Disposition::abandon || recovering) {
    link_.settings = rules_.parameter_sets.with(*link_.settings, status->name, status->value);
    return Verdict::fine;
  }
  // While we change settings ourselves, the client's are already what they shall be.
  if (disposition == Disposition::forward && client_ != nullptr) {
    auto& changed = link_.changed;
    const bool noted = std::find(changed.begin(), changed.end(), status->name) != changed.end();
    if (!noted) changed.emplace_back(status->name);
  }
  return Verdict::fine;
}

}  // namespace forebay::core
