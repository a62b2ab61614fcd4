#include "core/relay/session_work.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/relay/block_text.hpp"
#include "core/relay/parameter_set.hpp"

namespace forebay::core {
namespace {

/// Of random(): it is set for the session, but cannot be read, and put back.
constexpr std::string_view kSeed = "seed";

/// The view of a session's prepared statements.
constexpr std::string_view kNamesView = "pg_prepared_statements";

using StepKind = SessionStep::Kind;
using sql::Value;

// Facts::memo.
constexpr std::uint8_t kNothing = 1;
constexpr std::uint8_t kForgets = 2;
constexpr int kEndsShift = 2;
constexpr std::uint8_t kEndsMask = 3;
constexpr int kUsesShift = 4;

/// Functions that leave something in the session, and what.
struct Lasting {
  std::string_view name;
  StepKind kind;
  PinReason reason;
  bool last = false;  ///< nothing takes it off the connection, DISCARD ALL neither
};
constexpr Lasting kLasting[] = {
    {"pg_advisory_lock", StepKind::hold, PinReason::advisory_lock},
    {"pg_advisory_lock_shared", StepKind::hold, PinReason::advisory_lock},
    {"pg_try_advisory_lock", StepKind::look, PinReason::advisory_lock},
    {"pg_try_advisory_lock_shared", StepKind::look, PinReason::advisory_lock},
    {"pg_advisory_unlock", StepKind::let_go, PinReason::none},
    {"pg_advisory_unlock_shared", StepKind::let_go, PinReason::none},
    {"pg_advisory_unlock_all", StepKind::let_go, PinReason::none},
    {"currval", StepKind::hold, PinReason::sequence},
    {"lastval", StepKind::hold, PinReason::sequence},
    {"setseed", StepKind::hold, PinReason::unknown},
    {"pg_notify", StepKind::notify, PinReason::none},
    {"pg_terminate_backend", StepKind::end_server, PinReason::none},
    {"pg_cancel_backend", StepKind::cancel_server, PinReason::none},
    {"dblink_connect", StepKind::hold, PinReason::unknown, true},
    {"dblink_connect_u", StepKind::hold, PinReason::unknown, true},
    {"pg_replication_origin_session_setup", StepKind::hold, PinReason::unknown, true},
    {"pg_backup_start", StepKind::hold, PinReason::unknown, true},
    {"pg_start_backup", StepKind::hold, PinReason::unknown, true},
    // They may be temporary.
    {"pg_create_physical_replication_slot", StepKind::hold, PinReason::unknown, true},
    {"pg_create_logical_replication_slot", StepKind::hold, PinReason::unknown, true},
    {"pg_copy_physical_replication_slot", StepKind::hold, PinReason::unknown, true},
    {"pg_copy_logical_replication_slot", StepKind::hold, PinReason::unknown, true},
};

/// Parameters whose value is a list of identifiers (GUC_LIST_QUOTE; PostgreSQL has a fixed list).
constexpr std::string_view kIdentifierLists[] = {
    "search_path",      "session_preload_libraries", "shared_preload_libraries",
    "temp_tablespaces", "local_preload_libraries",   "unix_socket_directories"};

// Not for an id with a timeout that is NULL, or may be.
bool is_called(const sql::Function& function) {
  const auto& arguments = function.arguments;
  return arguments.size() == 1 ||
         (arguments.size() == 2 && arguments[1].kind == Value::Kind::literal);
}

std::string quoted_identifier(const std::string& name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || c == '$'; };
  const bool safe =
      !name.empty() && plain(name.front()) &&
      std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || digit(c); });
  if (safe) return name;
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

class Builder {
 public:
  Builder(const sql::Shape& shape, Bytes text) : shape_(shape), text_(text) {}

  SessionWork take(const sql::Facts& facts) {
    for (const sql::Statement& statement : facts.statements) {
      add(statement);
      ++work_.statements;
    }
    return std::move(work_);
  }

 private:
  SessionStep& step(StepKind kind, std::string name = {}) {
    SessionStep& made = work_.steps.emplace_back();
    made.kind = kind;
    made.statement = work_.statements;
    made.name = std::move(name);
    return made;
  }
  void hold(PinReason reason, std::string name = {}) {
    step(StepKind::hold, std::move(name)).reason = reason;
  }

  void add(const sql::Statement& statement);
  void add_named(const sql::Statement& statement);
  [[nodiscard]] bool some_block_sets();
  void add_prepare(const sql::Statement& statement);
  void add_setting(const sql::Setting& setting, const sql::TransactionModes& modes);
  void add_modes(const sql::TransactionModes& modes);
  void add_call(const sql::Setting& setting);
  void add_local(std::string name, const std::optional<std::string>& value, bool call = false);
  [[nodiscard]] std::optional<std::string> text_of(const Value& value) const;
  bool take(const Value& value, std::string& text, std::uint16_t& parameter) const;
  [[nodiscard]] std::optional<std::string> flat(const sql::Setting& setting) const;

  const sql::Shape& shape_;
  Bytes text_;
  SessionWork work_;
  std::optional<bool> block_sets_;
};

void Builder::add(const sql::Statement& statement) {
  for (const sql::Setting& setting : statement.settings) add_setting(setting, statement.modes);
  for (const sql::Function& function : statement.functions) {
    if (!function.schema.empty() && function.schema != "pg_catalog") continue;
    for (const Lasting& lasting : kLasting) {
      if (function.name != lasting.name) continue;
      SessionStep& made = step(lasting.kind);
      made.reason = lasting.reason;
      made.last = lasting.last;
      if (function.sure && is_called(function)) {
        take(function.arguments.front(), made.value, made.value_parameter);
      }
    }
  }
  const bool explained = statement.kind == sql::Kind::explain && statement.analyze;
  const sql::Statement& run = explained ? statement.inner.front() : statement;
  if ((run.changes & sql::kMakesTable) != 0) step(StepKind::make_table);
  if (statement.creates_temporary && !statement.until_commit) hold(PinReason::temporary);
  const bool lists = statement.kind == sql::Kind::select &&
                     std::ranges::any_of(statement.tables, [](const sql::Table& table) {
                       return table.schema.empty() && table.name == kNamesView;
                     });
  if (lists && (statement.changes & sql::kMakesTable) == 0) step(StepKind::list_names);
  for (const std::string& role : statement.renamed_roles) step(StepKind::rename_role, role);
  add_named(statement);
}

void Builder::add_named(const sql::Statement& statement) {
  switch (statement.kind) {
    case sql::Kind::savepoint:
      step(StepKind::savepoint, statement.name);
      break;
    case sql::Kind::release:
      step(StepKind::release, statement.name);
      break;
    case sql::Kind::rollback_to:
      step(StepKind::rollback_to, statement.name);
      break;
    case sql::Kind::declare_cursor:
      if (statement.hold) hold(PinReason::held_cursor);
      break;
    case sql::Kind::listen:
      step(StepKind::listen, statement.name);
      break;
    case sql::Kind::unlisten:
      step(StepKind::unlisten, statement.all ? std::string() : statement.name);
      break;
    case sql::Kind::load:
      hold(PinReason::library);
      break;
    case sql::Kind::discard:
      step(statement.discard == sql::DiscardWhat::all ? StepKind::discard_all : StepKind::let_go);
      break;
    case sql::Kind::prepare:
      add_prepare(statement);
      break;
    case sql::Kind::create_table_as:
      if (!statement.name.empty()) step(StepKind::execute, statement.name);
      break;
    case sql::Kind::execute:
      step(StepKind::execute, statement.name);
      break;
    case sql::Kind::deallocate:
      if (statement.all) {
        step(StepKind::deallocate_all);
      } else {
        step(StepKind::deallocate, statement.name);
      }
      break;
    case sql::Kind::notify:
      step(StepKind::notify);
      break;
    case sql::Kind::ddl:
      if (!statement.name.empty()) step(StepKind::vacate, statement.name);
      break;
    case sql::Kind::explain:
      for (const sql::Statement& inner : statement.inner) {
        const bool as_execute = inner.kind == sql::Kind::create_table_as && !inner.name.empty();
        if (inner.kind == sql::Kind::execute || as_execute) {
          step(StepKind::execute, inner.name).runs = statement.analyze;
        }
      }
      break;
    case sql::Kind::do_block:
      if (some_block_sets()) hold(PinReason::unknown);
      step(StepKind::look);
      break;
    case sql::Kind::close:
      step(StepKind::let_go);
      break;
    case sql::Kind::call:
      step(StepKind::look);
      break;
    default:
      break;
  }
}

// Its body is a literal of the text.
bool Builder::some_block_sets() {
  if (!block_sets_) {
    block_sets_ = std::ranges::any_of(shape_.literals(), [&](const sql::Literal& literal) {
      std::string body;
      return sql::literal_value(text_, literal, body) && block_sets(body);
    });
  }
  return *block_sets_;
}

void Builder::add_prepare(const sql::Statement& statement) {
  Builder inner(shape_, text_);
  for (const sql::Statement& query : statement.inner) inner.add(query);
  SessionStep& made = step(StepKind::prepare, statement.name);
  made.value = text_;
  if (inner.work_.steps.empty()) return;
  inner.work_.statements = 1;
  made.inner = std::make_shared<const SessionWork>(std::move(inner.work_));
}

void Builder::add_setting(const sql::Setting& setting, const sql::TransactionModes& modes) {
  using Action = sql::Setting::Action;
  if (setting.call) {
    add_call(setting);
    return;
  }
  const bool local = setting.local == sql::Truth::yes;
  if (setting.name == kSeed) hold(PinReason::unknown);
  if (!lasts(setting.name)) return;
  switch (setting.action) {
    case Action::assign: {
      const auto value = flat(setting);
      if (local) {
        add_local(setting.name, value);
      } else if (!value) {
        hold(PinReason::setting, setting.name);
      } else if (setting.name == "session_authorization" && *value == "default") {
        step(StepKind::reset, setting.name);
      } else {
        step(StepKind::set, setting.name).value = *value;
      }
      return;
    }
    case Action::to_default:
      step(StepKind::reset, setting.name).local = local;
      return;
    case Action::reset_all:
      step(StepKind::reset_all);
      return;
    case Action::session_characteristics:
      add_modes(modes);
      return;
    case Action::from_current:
      // The value may be one of the transaction only.
      if (!local && lasts(setting.name)) hold(PinReason::setting, setting.name);
      return;
    case Action::transaction:
    case Action::snapshot:
      return;
  }
}

void Builder::add_modes(const sql::TransactionModes& modes) {
  using Choice = sql::TransactionModes::Choice;
  constexpr std::string_view kIsolation[] = {"", "read uncommitted", "read committed",
                                             "repeatable read", "serializable"};
  const auto isolation = static_cast<std::size_t>(modes.isolation);
  if (isolation > 0)
    step(StepKind::set, "default_transaction_isolation").value = kIsolation[isolation];
  const auto choose = [&](Choice choice, const char* name) {
    if (choice != Choice::unsaid)
      step(StepKind::set, name).value = choice == Choice::yes ? "on" : "off";
  };
  choose(modes.read_only, "default_transaction_read_only");
  choose(modes.deferrable, "default_transaction_deferrable");
}

// An empty name is not known, either.
void Builder::add_local(std::string name, const std::optional<std::string>& value, bool call) {
  if (is_harmless_to_parsing(parameter_name(name))) return;
  SessionStep& made = step(StepKind::local, std::move(name));
  made.call = call;
  made.known = value.has_value() && !made.name.empty();
  if (value) made.value = *value;
}

// set_config(name, value, is_local), of which each may be a parameter.
void Builder::add_call(const sql::Setting& setting) {
  if (setting.name == kSeed) hold(PinReason::unknown);
  if (!lasts(setting.name)) return;
  bool is_local = setting.local == sql::Truth::yes;
  SessionStep made;
  made.kind = StepKind::set;
  made.call = true;
  made.statement = work_.statements;
  bool known = true;
  if (setting.name.empty()) {
    known = take(setting.name_value, made.name, made.name_parameter);
  } else {
    made.name = setting.name;
  }
  if (!setting.sure) {
    if (is_local) {
      add_local(std::move(made.name), std::nullopt, true);
    } else {
      hold(PinReason::setting, std::move(made.name));
    }
    return;
  }
  if (setting.local == sql::Truth::by_value) {
    std::string local;
    known = known && take(setting.local_value, local, made.local_parameter);
    is_local = known && made.local_parameter == 0 && is_true(local);
  }
  const bool null = setting.values.size() == 1 &&
                    setting.values.front().kind == Value::Kind::word &&
                    setting.values.front().text == "null";
  if (null && is_local) {
    known = false;
  } else if (null || setting.action == sql::Setting::Action::to_default) {
    made.kind = StepKind::reset;
  } else {
    known = known && setting.values.size() == 1 &&
            take(setting.values.front(), made.value, made.value_parameter);
  }
  if (is_local) {
    if (!known || made.name_parameter + made.value_parameter == 0) {
      add_local(std::move(made.name), known ? std::optional(made.value) : std::nullopt, true);
    } else if (made.name_parameter > 0 || !is_harmless_to_parsing(parameter_name(made.name))) {
      made.kind = StepKind::local;
      work_.steps.push_back(std::move(made));
    }
  } else if (!known) {
    hold(PinReason::setting, std::move(made.name));
  } else if (lasts(made.name)) {
    work_.steps.push_back(std::move(made));
  }
}

std::optional<std::string> Builder::text_of(const Value& value) const {
  switch (value.kind) {
    case Value::Kind::word:
      return value.text;
    case Value::Kind::literal: {
      std::string text;
      if (value.literal >= shape_.literals().size()) return std::nullopt;
      if (!sql::literal_value(text_, shape_.literals()[value.literal], text)) return std::nullopt;
      return value.negative ? "-" + text : text;
    }
    default:
      return std::nullopt;
  }
}

// What a value is, or the parameter that says it. False where neither is known.
bool Builder::take(const Value& value, std::string& text, std::uint16_t& parameter) const {
  if (value.kind == Value::Kind::parameter) {
    parameter = static_cast<std::uint16_t>(value.literal);
    return true;
  }
  const auto known = text_of(value);
  if (known) text = *known;
  return known.has_value();
}

// As PostgreSQL's flatten_set_variable_args.
std::optional<std::string> Builder::flat(const sql::Setting& setting) const {
  const bool quote = is_identifier_list(setting.name);
  std::string all;
  for (const Value& value : setting.values) {
    const auto text = text_of(value);
    if (!text) return std::nullopt;
    if (!all.empty()) all += ", ";
    all += quote ? quoted_identifier(*text) : *text;
  }
  return all;
}

Ends judge_end(const sql::Facts& facts) {
  const bool alone = facts.statements.size() == 1;
  Ends ends = Ends::nothing;
  for (const sql::Statement& statement : facts.statements) {
    if (statement.kind == sql::Kind::commit || statement.kind == sql::Kind::prepare_transaction) {
      ends = alone ? Ends::commits : Ends::perhaps;
    }
    // What stands behind a ROLLBACK runs in a transaction of its own.
    if (statement.kind == sql::Kind::rollback) ends = alone ? Ends::rolls_back : Ends::perhaps;
  }
  return ends;
}

}  // namespace

bool SessionWork::has(SessionStep::Kind kind) const noexcept {
  return std::any_of(steps.begin(), steps.end(),
                     [kind](const SessionStep& step) { return step.kind == kind; });
}

bool SessionWork::keeps() const noexcept {
  return std::any_of(steps.begin(), steps.end(), [](const SessionStep& step) {
    return step.kind == StepKind::listen || step.reason != PinReason::none;
  });
}

bool SessionWork::names_statements() const noexcept {
  return has(SessionStep::Kind::prepare) || has(SessionStep::Kind::execute) ||
         has(SessionStep::Kind::deallocate) || has(SessionStep::Kind::list_names);
}

bool SessionWork::resets() const noexcept {
  return std::any_of(steps.begin(), steps.end(), [](const SessionStep& step) {
    return step.kind == StepKind::reset_all || step.kind == StepKind::discard_all ||
           (step.inner != nullptr && step.kind == StepKind::execute && step.inner->resets());
  });
}

bool SessionWork::changes_names() const noexcept {
  return std::any_of(steps.begin(), steps.end(), [](const SessionStep& step) {
    switch (step.kind) {
      case StepKind::prepare:
      case StepKind::deallocate:
      case StepKind::deallocate_all:
      case StepKind::discard_all:
        return true;
      default:
        return step.kind == StepKind::execute && step.inner != nullptr &&
               step.inner->changes_names();
    }
  });
}

bool SessionWork::notifies() const noexcept {
  return std::any_of(steps.begin(), steps.end(), [](const SessionStep& step) {
    return step.kind == StepKind::notify ||
           (step.kind == StepKind::execute && step.inner != nullptr && step.inner->notifies());
  });
}

bool SessionWork::parameters() const noexcept {
  return std::any_of(steps.begin(), steps.end(), [](const SessionStep& step) {
    return step.name_parameter + step.value_parameter + step.local_parameter > 0;
  });
}

bool SessionWork::changes_reading() const noexcept {
  return std::any_of(steps.begin(), steps.end(), [](const SessionStep& step) {
    switch (step.kind) {
      case StepKind::set:
      case StepKind::reset: {
        const std::string name = parameter_name(step.name);
        return step.name_parameter > 0 || name == kStandardStrings || name == kClientEncoding;
      }
      case StepKind::reset_all:
      case StepKind::discard_all:
      case StepKind::rollback_to:
        return true;
      case StepKind::hold:
        return step.reason == PinReason::setting;
      default:
        return step.inner != nullptr && step.kind == StepKind::execute &&
               step.inner->changes_reading();
    }
  });
}

bool SessionWork::changes_parsing() const noexcept {
  return unknown || std::any_of(steps.begin(), steps.end(), [](const SessionStep& step) {
           switch (step.kind) {
             case StepKind::set:
             case StepKind::reset:
             case StepKind::local:
               return step.name_parameter > 0 || step.name.empty() ||
                      !is_harmless_to_parsing(parameter_name(step.name));
             case StepKind::reset_all:
             case StepKind::discard_all:
             case StepKind::rollback_to:
               return true;
             case StepKind::hold:
               return step.reason == PinReason::setting;
             default:
               return step.inner != nullptr && step.kind == StepKind::execute &&
                      step.inner->changes_parsing();
           }
         });
}

bool is_identifier_list(std::string_view name) noexcept {
  return std::find(std::begin(kIdentifierLists), std::end(kIdentifierLists), name) !=
         std::end(kIdentifierLists);
}

Ends ends_of(const sql::Facts& facts) noexcept {
  return facts.known ? static_cast<Ends>(facts.memo >> kEndsShift & kEndsMask) : Ends::perhaps;
}

bool forgets_names(const sql::Facts& facts) noexcept {
  return (facts.memo & kForgets) != 0;
}

SequenceUse uses_of(const sql::Facts& facts) noexcept {
  return facts.known ? static_cast<SequenceUse>(facts.memo >> kUsesShift) : kTakes;
}

// Remembered beside the facts, too.
bool runs_hidden_code(const sql::Facts& facts, const KnownEffects& known) {
  const SideEffectNames* names = known.names;
  if (names == nullptr || names->empty()) return false;
  if (facts.effects_judge != names->serial()) {
    // What concerns one pool only is found anew each time: others share the facts.
    facts.effects_judge = names->has_own() ? 0 : names->serial();
    facts.effects = 0;
    for (const sql::Statement& statement : facts.statements) {
      facts.effects |= names->of(statement, known.pool);
      if (statement.kind != sql::Kind::prepare) continue;
      for (const sql::Statement& inner : statement.inner) {
        facts.effects |= names->of(inner, known.pool);
      }
    }
  }
  return facts.effects != 0;
}

SessionWorkRef session_work(const sql::Facts& facts, const sql::Shape& shape, Bytes text,
                            const KnownEffects& known) {
  if (!runs_hidden_code(facts, known) && (facts.memo & kNothing) != 0) return nullptr;
  if (!facts.known) return unparsed_work(text);
  facts.memo = static_cast<std::uint8_t>(static_cast<int>(judge_end(facts)) << kEndsShift |
                                         sequence_use(facts) << kUsesShift);
  for (const sql::Statement& statement : facts.statements) {
    const bool forgets = statement.kind == sql::Kind::discard ||
                         (statement.kind == sql::Kind::deallocate && statement.all);
    if (forgets) facts.memo |= kForgets;
  }
  auto work = std::make_shared<SessionWork>(Builder(shape, text).take(facts));
  add_effects(*work, facts, shape, text, known);
  if (!work->steps.empty()) return work;
  // Where a literal decides (set_config's last argument), the next text may do something.
  // Nor does anybody know what a later definition is made of.
  const bool always = std::ranges::all_of(facts.statements, [](const sql::Statement& statement) {
    return statement.settings.empty() && statement.kind != sql::Kind::ddl;
  });
  if (always) facts.memo |= kNothing;
  return nullptr;
}

}  // namespace forebay::core
