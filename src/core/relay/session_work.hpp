#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/relay/pin_reason.hpp"
#include "core/relay/sequences.hpp"
#include "core/relay/side_effects.hpp"
#include "core/relay/statement_catalog.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/frontend.hpp"
#include "forebay/routing/sql/facts.hpp"

namespace forebay::core {

/// Parameters that decide how a text is to be read.
inline constexpr std::string_view kStandardStrings = "standard_conforming_strings";
inline constexpr std::string_view kClientEncoding = "client_encoding";

struct SessionWork;
using SessionWorkRef = std::shared_ptr<const SessionWork>;

/// One thing that a statement does to its session and that outlives the statement. It has happened
/// when the server says that the statement is complete.
struct SessionStep {
  enum class Kind : std::uint8_t {
    set,    ///< `name` = `value`
    reset,  ///< `name`, to what the session began with
    local,  ///< `name` = `value` until the transaction ends; only if texts may be parsed by it
    reset_all,
    savepoint,    ///< `name`
    release,      ///< `name`
    rollback_to,  ///< `name`
    hold,         ///< something that stays on the link: `reason`; of a setting `name`, if known
    look,         ///< what is on the link may have changed, and `reason` be there: the server is
                  ///< to be asked
    let_go,       ///< the same, of what is known to be there
    discard_all,
    prepare,     ///< by SQL: `name`, in the text `value`
    execute,     ///< `name`
    deallocate,  ///< `name`
    deallocate_all,
    list_names,   ///< reads pg_prepared_statements
    notify,       ///< listeners are told who: see Notifiers
    listen,       ///< `name`, a channel
    unlisten,     ///< `name`; empty for all
    make_table,   ///< of rows: the command tag does not show it
    vacate,       ///< `name`, a database in which nobody may be meanwhile
    rename_role,  ///< `name` is another role's, or nobody's
    end_server,   ///< a server process, which may be the one that runs it: that of the id `value`,
                  ///< if known, which may be a client's
    cancel_server,  ///< the same, of what it runs
    define,         ///< `effect`: what is hidden in later statements
  };
  Kind kind = Kind::look;
  PinReason reason = PinReason::none;
  bool call = false;            ///< set_config: done if the statement gave a row
  bool local = false;           ///< of reset: SET LOCAL x TO DEFAULT
  bool runs = true;             ///< of execute: no mere EXPLAIN
  bool known = true;            ///< of local: `name` and `value` are
  bool values = false;          ///< of execute: it may give some, in which errors may be
  bool last = false;            ///< of hold: no other client is to have the link after that
  std::uint16_t statement = 0;  ///< which of the text's statements
  /// With parameters (set_config, end_server): n of $n, or 0 where `name` and `value` say it.
  std::uint16_t name_parameter = 0;
  std::uint16_t value_parameter = 0;
  std::uint16_t local_parameter = 0;
  std::string name;
  std::string value;
  std::shared_ptr<const SideEffect> effect = {};
  StatementRef prepared = {};  ///< prepare, execute: by its shared name, once that is known
  /// prepare: characters in front of Statement::sql, in the client's text and in what was sent.
  std::int32_t said_front = 0;
  std::int32_t sent_front = 0;
  /// prepare: what executing it does. execute: what this does. Null for nothing.
  SessionWorkRef inner = {};

  [[nodiscard]] bool signals_server() const noexcept {
    return kind == Kind::end_server || kind == Kind::cancel_server;
  }
  /// PREPARE, EXECUTE or DEALLOCATE of a name, and the word that it stands behind.
  [[nodiscard]] bool names_statement() const noexcept {
    return kind == Kind::prepare || kind == Kind::execute || kind == Kind::deallocate;
  }
  [[nodiscard]] Bytes key_word() const noexcept {
    if (kind == Kind::prepare) return "prepare";
    return kind == Kind::execute ? "execute" : "deallocate";
  }
};

/// So many statements that execute one another are followed; what is behind them is unknown.
inline constexpr unsigned kExecutedMax = 8;

/// Of portals whose statement does something to the session, so many are remembered.
inline constexpr std::size_t kPortalsMax = 64;

/// All that a text does to its session. Immutable.
struct SessionWork {
  std::vector<SessionStep> steps;
  std::uint16_t statements = 0;
  std::uint16_t depth = 0;  ///< so many statements it executes in turn, at most kExecutedMax
  /// The text was not understood: what it did shows in the server's command tags at best.
  bool unknown = false;
  /// The text as the client said it, where a name in it was replaced (SessionStep::prepared).
  std::string said = {};
  /// ... which shifts the positions behind it: TextEdits::shifts.
  std::vector<std::pair<std::uint32_t, std::int32_t>> shifts = {};

  [[nodiscard]] bool has(SessionStep::Kind kind) const noexcept;
  /// Something that keeps the link, or may.
  [[nodiscard]] bool keeps() const noexcept;
  /// PREPARE, EXECUTE or DEALLOCATE of a name, or a list of all.
  [[nodiscard]] bool names_statements() const noexcept;
  /// Whether names of prepared statements mean something else behind it.
  [[nodiscard]] bool changes_names() const noexcept;
  /// RESET ALL, DISCARD ALL, or EXECUTE of such a statement.
  [[nodiscard]] bool resets() const noexcept;
  /// NOTIFY, or a call of pg_notify.
  [[nodiscard]] bool notifies() const noexcept;
  /// Whether a value depends on what is bound.
  [[nodiscard]] bool parameters() const noexcept;
  /// Whether texts are to be read in another way behind it: their encoding, or
  /// standard_conforming_strings.
  [[nodiscard]] bool changes_reading() const noexcept;
  /// Whether texts may be parsed in another way behind it: search_path, TimeZone, ...
  [[nodiscard]] bool changes_parsing() const noexcept;
};

/// Not of parameters that are the transaction's, or no settings at all: gone before another link
/// comes.
bool lasts(std::string_view name);
/// As PostgreSQL reads a boolean.
bool is_true(std::string_view text);

/// Whether a parameter's value is a list of identifiers (GUC_LIST_QUOTE).
bool is_identifier_list(std::string_view name) noexcept;

/// What a text may do to the transaction that it is run in.
enum class Ends : std::uint8_t {
  nothing,
  perhaps,     ///< it may commit it, among other things
  commits,     ///< it is a COMMIT, or PREPARE TRANSACTION, and nothing else
  rolls_back,  ///< it is a ROLLBACK, and nothing else
};
/// After session_work of the same facts.
Ends ends_of(const sql::Facts& facts) noexcept;
/// Whether a text may end prepared statements without naming them: DEALLOCATE ALL, DISCARD. After
/// session_work of the same facts, which are known.
bool forgets_names(const sql::Facts& facts) noexcept;
/// What sequence_use says of them. After session_work of the same facts.
SequenceUse uses_of(const sql::Facts& facts) noexcept;

/// What a text does to its session; null for nothing, which is what most texts do. Remembers in
/// Facts::memo whether it was nothing. `known` says what it does that it does not show.
SessionWorkRef session_work(const sql::Facts& facts, const sql::Shape& shape, Bytes text,
                            const KnownEffects& known = {});
/// Adds what the code that a text runs does, and that it defines some.
void add_effects(SessionWork& work, const sql::Facts& facts, const sql::Shape& shape, Bytes text,
                 const KnownEffects& known);
/// What EXECUTE does of a statement that does this. Its arguments are not looked at: a value that
/// depends on one is not known. Nor is what a chain of kExecutedMax statements does.
SessionWorkRef executed_work(const SessionWorkRef& work);
/// Of a text that nobody looked at.
SessionWorkRef unknown_work();
/// Of one that is not in the grammar, where words in it may say what its command tag does not show.
SessionWorkRef unparsed_work(Bytes text);
/// The same work with the values that a Bind gives to its parameters; `values` as in
/// pg::frontend::Bind.
SessionWorkRef bound_work(const SessionWork& work, Bytes values);

}  // namespace forebay::core
