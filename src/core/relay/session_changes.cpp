#include "core/relay/session_changes.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/engine/process_ids.hpp"
#include "core/relay/relay_state.hpp"

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;
using pg::backend::TransactionStatus;

/// Settings of one session take so many bytes at most; more, and they stay on its link.
constexpr std::size_t kSettingsMax = 64 * 1024;
/// What a transaction remembers for its savepoints: bytes of settings, and how many.
constexpr std::size_t kUndoMax = 1024 * 1024;
constexpr std::size_t kSavepointsMax = 1000;
/// LISTEN and UNLISTEN of one transaction that are followed.
constexpr std::size_t kListensMax = 10'000;
/// Roles that one transaction drops or renames, likewise: a bound, beyond what anybody does.
constexpr std::size_t kRolesMax = 10'000;

/// So many sessions may be signalled within one turn.
constexpr std::size_t kSignalsMax = 1000;

constexpr Bytes kRole = "role";
constexpr Bytes kAuthorization = "session_authorization";

// No rollback gives locks of the session back, nor names of prepared statements.
bool outlasts_failure(const SessionWork& work, Pins pins) {
  return std::ranges::any_of(work.steps, [pins](const SessionStep& step) {
    return step.kind == StepKind::look ||
           (step.kind == StepKind::let_go && (pins & kVisiblePins) != 0) ||
           (step.kind == StepKind::hold && step.reason == PinReason::advisory_lock) ||
           (step.kind == StepKind::execute && step.runs && step.inner != nullptr &&
            outlasts_failure(*step.inner, pins));
  });
}

}  // namespace

void SessionChanges::completed(const SessionWork* work, std::uint16_t statement, Bytes tag) {
  const bool back_to_savepoint = work != nullptr && apply(*work, statement, tag);
  if (client_.undo == nullptr || back_to_savepoint) return;
  if (tag == "ROLLBACK") {
    rolled_back();
  } else if (tag == "COMMIT" || tag == "PREPARE TRANSACTION") {
    committed();
  }
}

// Whether that was a ROLLBACK TO.
bool SessionChanges::apply(const SessionWork& work, std::uint16_t statement, Bytes tag) {
  bool back_to_savepoint = false;
  if (work.unknown) apply_tag(tag);
  for (const SessionStep& step : work.steps) {
    if (!work.unknown && step.statement != statement) continue;
    if (step.signals_server()) {
      signal(step, tag);
      continue;
    }
    if (step.call && tag == "SELECT 0") continue;
    if (step.call && !tag.starts_with("SELECT ")) {
      if (step.kind == StepKind::local) {
        hide_local();
        continue;
      }
      pin_setting(step.name);  // EXPLAIN, CREATE TABLE ... WITH NO DATA: nobody knows
      continue;
    }
    back_to_savepoint = back_to_savepoint || step.kind == StepKind::rollback_to;
    apply(step);
    if (step.kind == StepKind::execute && step.runs && step.inner != nullptr) {
      apply(*step.inner, 0, tag);
    }
  }
  return back_to_savepoint;
}

void SessionChanges::failed(const SessionWork* work) {
  if (client_.undo != nullptr) client_.undo->failed = true;
  if (work == nullptr || !outlasts_failure(*work, client_.pins)) return;
  client_.look = true;
  link_.hidden_code = true;
}

void SessionChanges::ready(TransactionStatus status) {
  if (client_.undo == nullptr || status != TransactionStatus::idle) return;
  if (client_.undo->failed) {
    rolled_back();
  } else {
    committed();
  }
}

void SessionChanges::reported(Bytes name, Bytes value) {
  const std::string lower = parameter_name(name);
  const std::string* now = client_.settings->find(lower);
  if (now != nullptr ? *now == value : false) return;
  if (lower == kClientEncoding) keep_values(value);
  const std::string* usual = link_.welcome->find(name);
  const bool begun_with = client_.startup != nullptr && client_.startup->find(lower) != nullptr;
  if (!begun_with && usual != nullptr && *usual == value) {
    if (now != nullptr) change(sets_.without(*client_.settings, lower));
  } else {
    change(sets_.with(*client_.settings, lower, value));
  }
}

void SessionChanges::started_again() {
  change(client_.startup != nullptr ? client_.startup : sets_.empty());
}

void SessionChanges::apply(const SessionStep& step) {
  switch (step.kind) {
    case StepKind::set:
      set(parameter_name(step.name), step.value);
      return;
    case StepKind::reset:
      if (!step.local) {
        reset(parameter_name(step.name));
      } else if (!is_harmless_to_parsing(parameter_name(step.name))) {
        hide_local();
      }
      return;
    case StepKind::local:
      set_local(step);
      return;
    case StepKind::reset_all:
      reset_all();
      return;
    case StepKind::savepoint:
      savepoint(step.name);
      return;
    case StepKind::release:
      undo().savepoints.resize(std::min(undo().savepoints.size(), find_savepoint(step.name)));
      return;
    case StepKind::rollback_to:
      back_to_savepoint(step.name);
      return;
    case StepKind::hold:
      if (step.reason == PinReason::setting) {
        pin_setting(parameter_name(step.name));
      } else {
        pin(step.reason);
        if (step.last) link_.poisoned = true;
      }
      return;
    case StepKind::look:
      client_.look = true;
      return;
    case StepKind::let_go:
      if ((client_.pins & kVisiblePins) != 0) client_.look = true;
      return;
    case StepKind::discard_all:
      discard_all();
      return;
    case StepKind::listen:
    case StepKind::unlisten:
      listen(step);
      return;
    case StepKind::notify:
      if (client_.listening != nullptr) client_.listening->notified = true;
      return;
    case StepKind::define:
      if (link_.catalog != nullptr) link_.catalog->effects.define(*step.effect);
      return;
    case StepKind::rename_role:
      if (undo().roles.size() < kRolesMax) undo().roles.push_back(step.name);
      return;
    case StepKind::make_table:
    case StepKind::prepare:
    case StepKind::execute:
    case StepKind::deallocate:
    case StepKind::deallocate_all:
    case StepKind::list_names:
    case StepKind::vacate:
    case StepKind::end_server:
    case StepKind::cancel_server:
      return;  // the relay's own
  }
}

// PostgreSQL knows no process of this id. Who may do it is for who finds the client to say.
void SessionChanges::signal(const SessionStep& step, Bytes tag) {
  if (!tag.starts_with("SELECT ") || tag == "SELECT 0") return;
  std::uint32_t id = 0;
  const auto read = std::from_chars(step.value.data(), step.value.data() + step.value.size(), id);
  if (read.ec != std::errc() || read.ptr != step.value.data() + step.value.size()) return;
  // A server with such ids (another Forebay, say) has done it.
  if (id < ProcessIds::kServersEnd || link_.process_id >= ProcessIds::kServersEnd) return;
  if (client_.attempt == Attempt::open) return;  // it may be done once more
  if (id != client_.process_id && !is_itself()) return;
  if (link_.signals == nullptr) link_.signals = std::make_unique<std::vector<ServerSignal>>();
  if (link_.signals->size() >= kSignalsMax) return;
  const std::string* superuser = link_.welcome->find(kIsSuperuser);
  link_.signals->push_back(
      {id, step.kind == StepKind::end_server, superuser != nullptr && *superuser == "on"});
}

// Whether it is in the role that its server connection has logged in as, as far as anybody knows.
bool SessionChanges::is_itself() const {
  const auto is_another = [](const ParameterSetRef& settings) {
    if (settings == nullptr) return false;
    return std::ranges::any_of(std::array{kRole, kAuthorization}, [&](Bytes name) {
      const std::string* value = settings->find(name);
      return value != nullptr && *value != "none" && *value != "default";
    });
  };
  if (client_.hidden_identity || link_.replication || is_another(client_.settings)) return false;
  return client_.undo == nullptr ||
         (!client_.undo->hidden_local && !is_another(client_.undo->local));
}

// Who the session is stays.
void SessionChanges::reset_all() {
  ParameterSetRef settings = client_.startup != nullptr ? client_.startup : sets_.empty();
  for (const Bytes name : {kAuthorization, kRole}) {
    if (const std::string* value = client_.settings->find(name)) {
      settings = sets_.with(*settings, name, *value);
    }
  }
  change(std::move(settings));
  if ((client_.pins & bit(PinReason::setting)) != 0 && !client_.hidden_identity) {
    undo().resets_all = true;
  }
  if (client_.undo != nullptr && client_.undo->local != nullptr) hide_local();
}

void SessionChanges::discard_all() {
  change(sets_.empty());
  client_.discarded = client_.startup != nullptr && !client_.startup->entries().empty();
  client_.undo.reset();
  if (client_.listening != nullptr) client_.listening->channels.clear();
  client_.pins &=
      static_cast<Pins>(~(kVisiblePins | bit(PinReason::sequence) | bit(PinReason::setting)));
  client_.hidden_identity = false;
}

void SessionChanges::savepoint(const std::string& name) {
  SessionUndo& undo = this->undo();
  if (undo.savepoints.size() * client_.settings->bytes() > kUndoMax ||
      undo.savepoints.size() >= kSavepointsMax) {
    pin_setting({});  // too much to remember: the link is this session's from here on
    return;
  }
  undo.savepoints.push_back({name, client_.settings, client_.pins, undo.listens.size(), undo.local,
                             undo.hidden_local, undo.roles.size()});
}

// A text that nobody understood: its tag says what kind of statement it was.
void SessionChanges::apply_tag(Bytes tag) {
  if (tag == "SET" || tag == "RESET") {
    pin_setting({});
  } else if (tag == "LISTEN") {
    pin(PinReason::listen);
  } else if (tag == "LOAD") {
    pin(PinReason::library);
  } else if (tag == "PREPARE" || tag == "DEALLOCATE") {
    // Perhaps of a name that all clients share: nobody else has the link after that.
    pin(PinReason::unknown);
    link_.poisoned = true;
  } else if (tag.starts_with("CREATE ") || tag == "DECLARE CURSOR" || tag == "DO" ||
             tag == "CALL" || tag == "UNLISTEN" || tag.starts_with("DISCARD") ||
             tag.starts_with("DROP ")) {
    client_.look = true;
  }
}

void SessionChanges::change(ParameterSetRef settings) {
  if (settings == client_.settings) return;
  if (settings->bytes() > kSettingsMax) {
    pin_setting({});
    return;
  }
  undo();
  if (link_.settings != client_.settings) link_.settings_doubtful = true;
  client_.settings = std::move(settings);
  link_.settings = client_.settings;
}

void SessionChanges::set_local(const SessionStep& step) {
  if (!step.known) {
    hide_local();
    return;
  }
  const ParameterSetRef& before = undo().local;
  undo().local = sets_.with(before != nullptr ? *before : *sets_.empty(), parameter_name(step.name),
                            step.value);
  if (undo().local->bytes() > kSettingsMax) hide_local();
}

// By which settings texts are parsed, nobody knows until the transaction is over.
void SessionChanges::hide_local() {
  undo().hidden_local = true;
  undo().local = nullptr;
  ++client_.hidden_parsing;
}

// Values are kept as the client said them: in another encoding they would be other ones.
void SessionChanges::keep_values(Bytes encoding) {
  const std::string* now = client_.settings->find(std::string(kClientEncoding));
  if (now == nullptr) now = link_.welcome->find(kClientEncoding);
  if (now != nullptr && same_encoding(*now, encoding)) return;
  const bool plain = std::ranges::all_of(client_.settings->entries(), [](const auto& setting) {
    return std::ranges::all_of(setting.second, [](char c) { return (c & 0x80) == 0; });
  });
  if (!plain) pin_setting(kClientEncoding);
}

void SessionChanges::set(Bytes name, Bytes value) {
  if (name == kClientEncoding) keep_values(value);
  ParameterSetRef settings = sets_.with(*client_.settings, name, value);
  // Another session user is no longer in the role that the old one was in.
  if (name == kAuthorization) settings = sets_.without(*settings, kRole);
  change(std::move(settings));
  end_local(name);
  // What it is then, with the half that it was before, the server says.
  constexpr Bytes kReportedName = "DateStyle";
  if (!is_half_a_date_style(name, value)) return;
  const bool noted = std::ranges::find(link_.changed, kReportedName) != link_.changed.end();
  if (!noted) link_.changed.emplace_back(kReportedName);
}

// What the session has a new value of.
void SessionChanges::end_local(Bytes name) {
  if (client_.undo != nullptr && client_.undo->local != nullptr) {
    client_.undo->local = sets_.without(*client_.undo->local, name);
  }
}

void SessionChanges::reset(Bytes name) {
  const std::string* begun = client_.startup == nullptr ? nullptr : client_.startup->find(name);
  ParameterSetRef settings = begun != nullptr ? sets_.with(*client_.settings, name, *begun)
                                              : sets_.without(*client_.settings, name);
  if (name == kAuthorization) settings = sets_.without(*settings, kRole);
  change(std::move(settings));
  end_local(name);
}

void SessionChanges::pin(PinReason reason) {
  undo();
  client_.pin(reason);
}

// A setting with this name, empty for any, has a value that nobody knows.
void SessionChanges::pin_setting(Bytes name) {
  pin(PinReason::setting);
  ++client_.hidden_parsing;
  if (name.empty() || name == kRole || name == kAuthorization) client_.hidden_identity = true;
  undo().resets_all = false;
}

SessionUndo& SessionChanges::undo() {
  if (client_.undo == nullptr) {
    client_.undo = std::make_unique<SessionUndo>();
    client_.undo->settings = client_.settings;
    client_.undo->pins = client_.pins;
  }
  return *client_.undo;
}

// By the shared connection, or by the link.
void SessionChanges::listen(const SessionStep& step) {
  using ChangeKind = ListenChange::Kind;
  const bool listens = step.kind == StepKind::listen;
  const bool shared =
      client_.listening != nullptr && (!listens || client_.listening->is_told(step.name));
  const bool bound = (client_.pins & bit(PinReason::listen)) != 0;
  if (listens && !shared) pin(PinReason::listen);
  if (!listens && bound) client_.look = true;
  if (!shared) return;
  if (undo().listens.size() >= kListensMax) {
    pin(PinReason::unknown);
    return;
  }
  const ChangeKind kind = listens             ? ChangeKind::listen
                          : step.name.empty() ? ChangeKind::unlisten_all
                                              : ChangeKind::unlisten;
  undo().listens.push_back({kind, step.name});
}

void SessionChanges::committed() {
  const std::unique_ptr<SessionUndo> undo = std::move(client_.undo);
  if (undo->resets_all) client_.unpin(PinReason::setting);
  if (!undo->roles.empty()) {
    if (link_.renamed_roles == nullptr) {
      link_.renamed_roles = std::make_unique<std::vector<std::string>>();
    }
    std::ranges::move(undo->roles, std::back_inserter(*link_.renamed_roles));
  }
  if (client_.listening == nullptr) return;
  auto& channels = client_.listening->channels;
  for (ListenChange& change : undo->listens) {
    if (change.kind == ListenChange::Kind::unlisten_all) {
      channels.clear();
    } else {
      channels.erase(change.channel);
    }
    if (change.kind == ListenChange::Kind::listen) channels.insert(std::move(change.channel));
  }
}

void SessionChanges::rolled_back() {
  const std::unique_ptr<SessionUndo> undo = std::move(client_.undo);
  back_to(undo->settings, undo->pins);
  client_.undo.reset();
}

void SessionChanges::back_to(const ParameterSetRef& settings, Pins pins) {
  if (link_.settings != client_.settings) link_.settings_doubtful = true;
  client_.settings = settings;
  link_.settings = settings;
  client_.pins =
      static_cast<Pins>((client_.pins & ~kTransactionalPins) | (pins & kTransactionalPins));
}

void SessionChanges::back_to_savepoint(const std::string& name) {
  SessionUndo& undo = this->undo();
  const std::size_t found = find_savepoint(name);
  undo.failed = false;
  undo.resets_all = false;
  if (found >= undo.savepoints.size()) {
    if (undo.local != nullptr) hide_local();
    return;
  }
  back_to(undo.savepoints[found].settings, undo.savepoints[found].pins);
  undo.listens.resize(undo.savepoints[found].listens);
  undo.roles.resize(undo.savepoints[found].roles);
  undo.local = undo.savepoints[found].local;
  undo.hidden_local = undo.savepoints[found].hidden_local;
  undo.savepoints.resize(found + 1);
}

// The newest of that name; the number of savepoints where there is none.
std::size_t SessionChanges::find_savepoint(const std::string& name) const {
  const auto& savepoints = client_.undo->savepoints;
  for (std::size_t i = savepoints.size(); i > 0; --i) {
    if (savepoints[i - 1].name == name) return i - 1;
  }
  return savepoints.size();
}

}  // namespace forebay::core
