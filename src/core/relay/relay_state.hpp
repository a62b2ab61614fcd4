#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/refused.hpp"
#include "core/relay/catalog_epoch.hpp"
#include "core/relay/expected_replies.hpp"
#include "core/relay/held_begin.hpp"
#include "core/relay/listening.hpp"
#include "core/relay/parameter_set.hpp"
#include "core/relay/pin_reason.hpp"
#include "core/relay/prepared_statements.hpp"
#include "core/relay/route.hpp"
#include "core/relay/sequences.hpp"
#include "core/relay/session_changes.hpp"
#include "core/relay/session_rules.hpp"
#include "core/statistics/measures.hpp"
#include "core/statistics/statement_meter.hpp"
#include "core/statistics/tenant_learning.hpp"
#include "core/statistics/tenant_statistics.hpp"
#include "forebay/config/config.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/framer.hpp"
#include "forebay/routing/sql/recent_texts.hpp"
#include "forebay/routing/tenant/check.hpp"

namespace forebay::core {

/// Largest message that is looked at whole, in bytes. A larger one is understood by its head only
/// and streams through.
inline constexpr std::size_t kInspectionMax = 64 * 1024;
/// So many replies may be owed to a client before it has to wait with further requests.
inline constexpr std::size_t kExpectedMax = 16 * 1024;

/// The parameters that a server reported at login, in its order. What a client is told, too.
struct Welcome {
  std::vector<std::pair<std::string, std::string>> parameters;
  [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
  /// False, and nothing is changed: that would be more than any server reports.
  [[nodiscard]] bool set(Bytes name, Bytes value);
  static constexpr std::size_t kParametersMax = 200;
  static constexpr std::size_t kParameterBytesMax = 64 * 1024;  ///< of names and values
  bool operator==(const Welcome& other) const { return parameters == other.parameters; }

  /// The parameters as messages, for many clients; empty while nobody has rendered them as they
  /// are. The message with the application's name, which differs, is so many bytes at that place.
  std::string messages;
  std::size_t application_at = 0;
  std::size_t application_size = 0;
  void render();
};
using WelcomeRef = std::shared_ptr<const Welcome>;

/// Whether a reported parameter is a fact about the server, which no SET changes.
bool is_server_fact(Bytes name) noexcept;

inline constexpr Bytes kApplicationName = "application_name";
inline constexpr Bytes kIsSuperuser = "is_superuser";
inline constexpr Bytes kTempBuffers = "temp_buffers";
inline constexpr Bytes kForgetPlans = "DISCARD PLANS";

/// How a text is to be read: what the session's settings say.
struct Reading {
  sql::StandardStrings standard = sql::StandardStrings::on;
  bool lexable = true;  ///< its encoding lets it be read
};

/// How a worker reads statements. Used by its thread only.
struct StatementReader {
  sql::FactsCache cache;
  sql::RecentTexts texts{cache};
  RefusedReads refused = {};
  FunctionsReader functions = {};
  PublishedReader<SideEffectNames> effects = {};
  TenantPolicies policies = {};
  SideEffectNames no_effects{{}};
  std::uint32_t worker = 0;
  std::vector<std::string> rule_log = {};  ///< what rules want logged of the turn at hand

  /// What is known of the functions of a database; null: of no database.
  const split::FunctionVolatility& functions_of(const CatalogEpoch* catalog) {
    return functions.of(catalog == nullptr ? nullptr : &catalog->functions);
  }
  /// What its code does to sessions; empty where nobody has asked yet.
  const SideEffectNames& effects_of(const SideEffects& of) {
    const SideEffectNames* known = effects.of(&of);
    return known == nullptr ? no_effects : *known;
  }
};

/// What is the same for all pairs of a pool.
struct RelayRules {
  ParameterSets& parameter_sets;
  StatementCatalog& catalog;
  /// Named statements are shared and renamed: transaction and statement mode.
  bool share_statements = true;
  /// Statement mode: what comes behind a statement waits until that is answered.
  bool one_at_a_time = false;
  std::uint32_t max_prepared_statements = 200;
  /// Null: nobody looks into statements.
  StatementReader* reader = nullptr;
  /// Null: nobody measures.
  Measures* measures = nullptr;
};

/// Whose a session is, and what that means for its statements.
struct SessionTenant {
  std::string value;
  std::shared_ptr<const tenant::Policy> policy;
  TenantClient client = {};
  std::string database = {};                      ///< that the client named
  std::shared_ptr<TenantLearning> learning = {};  ///< null: nobody wants to know what it does
  /// By what each transaction may say whose it is; else it is `usual`'s, or nobody's where that is
  /// empty.
  struct Says {
    bool comment = false;
    bool setting = false;
    [[nodiscard]] bool any() const noexcept { return comment || setting; }
  } says = {};
  std::string usual = {};
};

/// Statements that went against the policy for tenants, and the first one's why.
struct Objections {
  std::uint32_t refused = 0;
  std::uint32_t reported = 0;
  std::string first;
};

/// A batch that is with a replica, and that the primary will do if the replica does not.
enum class Attempt : std::uint8_t {
  none,
  open,            ///< the client has seen nothing of the answer
  shown,           ///< the answer is the client's from here on
  refused,         ///< the replica gave an error: nothing of it is the client's
  refused_always,  ///< ... which it will give every time
};

/// The rule for statements that keep their link: `on_session_state`, where that is not "pin".
struct SessionStateRule {
  config::OnSessionState action;
  std::string where;  ///< it is set
};

/// What is remembered of a client between turns.
struct ClientRelayState {
  pg::Framer framer{pg::Sender::client};
  /// The rest of the message at hand is dropped, not passed.
  bool drop_rest = false;
  /// An error was answered in a server's place: everything up to the next Sync is dropped.
  bool skip_to_sync = false;
  /// The server is to be asked what the link holds, when the transaction is over.
  bool look = false;
  /// The open batch may have changed how texts are to be read.
  bool undecided_reading = false;
  /// ... or by which settings they are parsed.
  bool undecided_parsing = false;
  bool discards = false;     ///< the open batch has a DISCARD ALL
  bool discarded = false;    ///< one was carried out; the settings of the start-up do not hold yet
  bool splits : 1 = false;   ///< reads may go to replicas
  bool lazy : 1 = false;     ///< a BEGIN waits for what is said next
  bool follows : 1 = false;  ///< what code does that statements do not show
  /// The setting that no text shows may be who the session is: RESET ALL does not reset that.
  bool hidden_identity = false;
  /// The server did not say what the link holds: it is asked again, at once or, with `again`, when
  /// the client's next transaction is over.
  enum class Unsaid : std::uint8_t { no, once, again } unsaid = Unsaid::no;
  /// A READ ONLY transaction on a replica wanted the primary: those to come begin there.
  bool begins_on_primary = false;
  Attempt attempt = Attempt::none;
  HeldBegin begin;  ///< open from then on until a server has confirmed it
  Pins pins = 0;
  ClientSequences sequences;
  std::uint64_t serial = 0;                    ///< of the session: unique in the process
  std::uint64_t pool = 0;                      ///< the pool's serial number
  const CatalogEpoch* catalog = nullptr;       ///< of the pool's database
  const PoolStatistics* statistics = nullptr;  ///< of the pool

  std::unique_ptr<ClientStatements> statements;  ///< null while there never was one
  std::unique_ptr<const SessionTenant> tenant;   ///< null: it may say what it likes
  std::unique_ptr<SessionRules> rules;           ///< null: none may concern it

  /// The unnamed prepared statement: what it takes to make it again on another link.
  struct Unnamed {
    std::string definition;
    std::uint32_t version = 0;
    bool exists = false;
    Ends ends = Ends::nothing;
    SequenceUse uses = kTakes;
    SessionWorkRef work;
    StatementEntryRef entry;
    Route route;
  } unnamed;
  /// It goes as soon as another is tried, or a Query. Another link may have it still, but not as
  /// this version.
  void drop_unnamed() noexcept {
    unnamed.exists = false;
    ++unnamed.version;
  }
  /// Counts the times when nobody knew by which settings texts are parsed: what is prepared then is
  /// nobody else's, and not the client's own later on.
  std::uint16_t hidden_parsing = 0;
  Ends portal_ends = Ends::nothing;  ///< of the portal bound last
  std::uint32_t process_id = 0;      ///< as the client was told
  /// The transaction that was open went with its server connection, and is for the client to end.
  struct LostTransaction {
    Refused why;
    std::string reports;  ///< parameters that went back with it, as messages, until they are told
    bool told = false;
    bool failed = false;  ///< as the client knows it
    bool ends = false;    ///< a portal of ours that ends it
    bool over = false;    ///< ended, in the open batch
    PoolCounters* counters = nullptr;
  };
  std::unique_ptr<LostTransaction> lost;
  /// Portals whose statement does something to the session.
  struct Portal {
    std::string name;
    SessionWorkRef work;
  };
  std::vector<Portal> portals;

  ParameterSetRef settings;              ///< what the client set; never null after login
  ParameterSetRef startup;               ///< what it began with: where RESET and DISCARD go back to
  std::unique_ptr<SessionUndo> undo;     ///< null while the open transaction has changed nothing
  WelcomeRef welcome;                    ///< what the client was told about its server
  std::unique_ptr<Listening> listening;  ///< null: not through the shared connection

  /// Half a message of its is with the server.
  [[nodiscard]] bool in_message() const noexcept { return framer.rest() > 0 && !drop_rest; }
  /// A statement that could not be made again keeps its link only as long as it is there.
  void unpin_statements() noexcept {
    if ((pins & bit(PinReason::large_statement)) == 0) return;
    if (statements == nullptr || !statements->hold_unkept()) unpin(PinReason::large_statement);
  }
  void pin(PinReason reason) noexcept { pins = static_cast<Pins>(pins | bit(reason)); }
  void unpin(PinReason reason) noexcept { pins = static_cast<Pins>(pins & ~bit(reason)); }
};

/// Whether a server has the statement by which its settings are changed.
enum class SettingsStatement : std::uint8_t {
  none,
  made,
  doubtful,  ///< it may be gone, or be another one
};

/// What a client has had done to the process that another client takes for its own, or itself: the
/// manual's "Server Signaling Functions".
struct ServerSignal {
  std::uint32_t process_id;  ///< as that client was told
  bool ends;                 ///< its session, not only what it runs
  bool superuser;            ///< who does it is one
};

/// What is remembered of a server connection between turns.
struct LinkRelayState {
  pg::Framer framer{pg::Sender::server};
  /// What to do with the rest of the message at hand.
  Disposition rest = Disposition::forward;
  ExpectedReplies expected;
  StatementMeter meter;
  LinkStatements statements;
  LinkSequences sequences;
  /// Whose unnamed statement the server has (a session's serial; 0 nobody's), and which.
  std::uint64_t unnamed_owner = 0;
  std::uint32_t unnamed_version = 0;
  std::uint32_t unnamed_change = 0;  ///< counts what was sent that changes it
  std::uint32_t unnamed_batch = 0;   ///< of the last of these, while it is not answered
  bool unnamed_pending = false;
  std::uint32_t gone = 0;        ///< numbers names that are deallocated at once
  std::uint32_t process_id = 0;  ///< of the server's process
  /// So many requests are under way after which names of statements mean something else, or texts
  /// are to be read in another way: DEALLOCATE ALL, SET standard_conforming_strings.
  std::uint32_t all_gone = 0;
  std::uint64_t pool = 0;           ///< the pool's serial number
  CatalogEpoch* catalog = nullptr;  ///< of the pool's database; null where nobody counts
  /// What was prepared before this epoch is not used any more: it was found to be stale.
  std::uint64_t stale_before = 0;
  bool catalog_changed = false;    ///< the open transaction has done so
  bool functions_changed = false;  ///< perhaps; that shows when it has committed
  bool hidden_code = false;        ///< ran, since the server was last asked which names it has
  SettingsStatement settings_statement = SettingsStatement::none;
  bool notified = false;       ///< somebody is in the catalog's list of notifiers with it
  bool replication = false;    ///< CopyBoth may begin
  bool streaming = false;      ///< CopyBoth has begun
  bool shared_listen = false;  ///< its client may listen through the shared connection
  bool listens = false;        ///< ... and has, so that it has to be cleaned of that
  bool reader = false;  ///< for reads: what sort of server it is, is not the client's to know
  /// What was set on the server may have been reset meanwhile, nobody knows which.
  bool settings_doubtful = false;

  ParameterSetRef settings;  ///< what was set on the server; never null after login
  WelcomeRef welcome;        ///< what the server says about itself
  /// Every reported parameter as it is now, with what clients have set.
  Welcome reported;
  /// Those that were reported since the last ReadyForQuery outside of a transaction.
  std::vector<std::string> changed;
  /// Set while the client is not to see what happens: what it was told last.
  struct Withheld {
    std::vector<std::pair<std::string, std::string>> told;
  };
  std::unique_ptr<Withheld> withheld;
  /// A statement that the text under way executes could not be prepared: the body of the error.
  struct Unmade {
    StatementRef statement;
    std::string error;
    std::int32_t front = 0;  ///< LinkStatements::Held::front
  };
  std::unique_ptr<Unmade> unmade;
  std::unique_ptr<std::vector<ServerSignal>> signals;  ///< null for none, as nearly always
  /// Whose names are other roles', or nobody's, by what has just committed; null for none.
  std::unique_ptr<std::vector<std::string>> renamed_roles;
  /// Whose statement_timeout holds for what is under way; null: the pool's.
  std::shared_ptr<const config::Rule> rule;
  std::unique_ptr<RulePlaces> places;  ///< null: none of what is under way counts for a rule
  std::unique_ptr<const SessionStateRule> state_rule;  ///< null: whoever needs the link keeps it
  /// How the text at hand is to be read: what the client's settings say, once they are sent.
  Reading reading;
  ParameterSetRef read_settings;  ///< what `reading` was made of
  WelcomeRef read_welcome;
  pg::backend::TransactionStatus status = pg::backend::TransactionStatus::idle;
  /// The client has been linked, and has got nothing of what it asked for: it said `said`.
  bool unanswered = false;
  std::string said;
  /// The server refused a plan that was made before the catalog changed. What the client said is
  /// run once more, as soon as the server is ready for it.
  enum class Rerun : std::uint8_t { no, due, done } rerun = Rerun::no;
  bool says_read_only = false;  ///< the server refused a write as a standby does
  /// Something happened that we do not fully understand: to be closed when it is released.
  bool poisoned = false;
  /// Who the session is was asked for (SET ROLE): nothing of the client's goes before that is so.
  enum class Confirming : std::uint8_t { no, asked, confirmed } confirming = Confirming::no;
  bool settings_refused = false;    ///< by the server: `own_error` says why
  bool settings_cancelled = false;  ///< as they were changed: meant for what stands behind them
  /// What it runs may be cancelled for its time: nothing goes behind a batch that is not answered,
  /// since a cancel request that comes late would end that.
  bool guarded = false;
  bool cancelling = false;  ///< ... and is: nothing goes before the request has arrived
  /// What is under way takes too long: what the client is told in place of the server's error.
  struct Overrun {
    Refused reason;
    bool transaction = false;     ///< which is to be given up then
    std::uint32_t statement = 0;  ///< `statements_answered` when it was found to take too long
    bool told = false;
  };
  std::unique_ptr<Overrun> overrun;
  std::uint32_t statements_answered = 0;
  std::uint32_t transactions_ended = 0;
  /// What the server said when it ended the connection, where the client is not to see it.
  std::string last_words;
  /// The body of the ErrorResponse with which the server answered something of our own.
  std::string own_error;

  [[nodiscard]] std::uint64_t epoch() const noexcept {
    return catalog == nullptr ? 0 : catalog->now();
  }
  [[nodiscard]] bool has(const ParameterSetRef& wanted) const noexcept {
    return settings == wanted && !settings_doubtful;
  }
  /// The server may have any unnamed statement: a change of it did not happen.
  static constexpr std::uint64_t kUnknownOwner = ~std::uint64_t{0};

  /// Something is being sent that changes the server's unnamed statement.
  void change_unnamed(std::uint64_t owner, std::uint32_t version) noexcept {
    unnamed_owner = owner;
    unnamed_version = version;
    unnamed_batch = expected.batch();
    unnamed_pending = true;
    ++unnamed_change;
  }
  /// Whether the server only refuses to change temp_buffers, since it has had temporary tables: the
  /// client can do without, but nobody else is to.
  [[nodiscard]] bool keeps_buffers(const pg::backend::Fields& refusal) noexcept {
    if (refusal.sqlstate != "22023" || refusal.detail.find(kTempBuffers) == Bytes::npos)
      return false;
    poisoned = true;
    return true;
  }
  /// Nothing is owed, no transaction is open, and no message stands half-way.
  [[nodiscard]] bool at_rest() const noexcept {
    return expected.empty() && !expected.batch_open() && framer.rest() == 0 &&
           status == pg::backend::TransactionStatus::idle;
  }
};

}  // namespace forebay::core
