#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/routing/sql/shape.hpp"
#include "forebay/routing/tenant/policy.hpp"

/// What a statement is and does, as far as its own text says: found with PostgreSQL's grammar once
/// for each shape, and true of every text with that shape. What depends on the value of a literal
/// is therefore a reference to it (Value): Shape::literals() of the text at hand has it.
///
/// Names are resolved as PostgreSQL does: folded unless quoted, U&"..." decoded, cut at 63 bytes.
namespace forebay::sql {

/// What is more is not looked at; the statement is then not `complete`.
inline constexpr std::size_t kTablesMax = 256;       ///< different ones in a statement
inline constexpr std::size_t kFunctionsMax = 256;    ///< different ones in a statement
inline constexpr std::size_t kSettingsMax = 256;     ///< in a statement
inline constexpr std::size_t kQueriesMax = 256;      ///< of WITH, in a statement
inline constexpr std::size_t kReferencesMax = 8192;  ///< to tables and functions, in a statement
/// A text with more statements is unknown.
inline constexpr std::size_t kStatementsMax = 1024;

enum class Kind : std::uint8_t {
  unknown,  ///< not understood: any effect is possible
  select,   ///< also VALUES and TABLE
  insert,
  update,
  delete_from,
  merge,
  copy_in,   ///< COPY table FROM
  copy_out,  ///< COPY table TO, COPY (query) TO
  create_table_as,
  ddl,      ///< CREATE, ALTER, DROP, GRANT, COMMENT, REINDEX, REFRESH, TRUNCATE ...
  utility,  ///< VACUUM, ANALYZE, CLUSTER, CHECKPOINT
  explain,
  begin,  ///< also START TRANSACTION
  commit,
  rollback,
  savepoint,
  release,
  rollback_to,
  prepare_transaction,
  commit_prepared,
  rollback_prepared,
  set,
  reset,
  show,
  discard,
  prepare,
  execute,
  deallocate,
  declare_cursor,
  fetch,  ///< also MOVE
  close,
  listen,
  unlisten,
  notify,
  lock,
  load,
  do_block,
  call,
  set_constraints,
};

/// An argument or the value of a setting.
struct Value {
  enum class Kind : std::uint8_t {
    word,        ///< `text`: a name, a keyword (on, true, null); the same in every text
    literal,     ///< literals()[literal], negated when `negative`
    parameter,   ///< $literal, known when bound
    expression,  ///< anything else: not known before the statement runs
  };
  Kind kind = Kind::expression;
  bool negative = false;
  std::uint32_t literal = 0;
  std::string text;
  bool operator==(const Value&) const = default;
};

/// What a statement does with rows, anywhere in it: WITH, ON CONFLICT DO UPDATE, COPY of a DELETE.
inline constexpr std::uint8_t kInserts = 1;
inline constexpr std::uint8_t kUpdates = 2;
inline constexpr std::uint8_t kDeletes = 4;
inline constexpr std::uint8_t kMakesTable = 8;  ///< of its rows: SELECT INTO, CREATE TABLE AS

enum class Truth : std::uint8_t { no, yes, by_value };

/// One change of a run-time parameter: SET, RESET, SET TRANSACTION, or a call of set_config.
struct Setting {
  enum class Action : std::uint8_t {
    assign,        ///< `values`
    to_default,    ///< SET x TO DEFAULT, SET TIME ZONE LOCAL, RESET x
    from_current,  ///< SET x FROM CURRENT
    reset_all,
    transaction,  ///< SET TRANSACTION: Statement::modes
    session_characteristics,
    snapshot,  ///< SET TRANSACTION SNAPSHOT `values`
  };
  Action action = Action::assign;
  /// SET LOCAL; of set_config by its third argument (`local_value` where that is a value).
  Truth local = Truth::no;
  bool call = false;  ///< a call of set_config: anywhere in the statement, perhaps never reached
  bool sure = false;  ///< of a call: made if, and only if, the statement gives a row
  /// In lower case, with dots. SET ROLE is "role", SET SESSION AUTHORIZATION
  /// "session_authorization", SET NAMES "client_encoding", SET TIME ZONE "timezone", SET SCHEMA
  /// "search_path", SET XML OPTION "xmloption". Empty where `name_value` has it, and for reset_all.
  std::string name;
  Value name_value;   ///< of a call; kind expression: any parameter may be changed
  Value local_value;  ///< of a call with local == by_value
  std::vector<Value> values;
  bool operator==(const Setting&) const = default;
};

/// A function called, as it is written: no schema where none is written. What the grammar itself
/// turns into a call (EXTRACT, TRIM, AT TIME ZONE ...) has the schema pg_catalog.
struct Function {
  std::string schema;
  std::string name;
  /// Only of advisory locks, set_config, sequence functions, pg_terminate_backend and
  /// pg_cancel_backend.
  std::vector<Value> arguments;
  bool sure = false;  ///< of the last two: called if, and only if, the statement gives a row
  bool operator==(const Function&) const = default;
};

struct Table {
  enum class Use : std::uint8_t { read, write };
  std::string schema;
  std::string name;
  std::string alias;
  Use use = Use::read;
  bool operator==(const Table&) const = default;
};

struct TransactionModes {
  enum class Isolation : std::uint8_t {
    unsaid,
    read_uncommitted,
    read_committed,
    repeatable_read,
    serializable
  };
  enum class Choice : std::uint8_t { unsaid, no, yes };
  Isolation isolation = Isolation::unsaid;
  Choice read_only = Choice::unsaid;
  Choice deferrable = Choice::unsaid;
  bool operator==(const TransactionModes&) const = default;
};

enum class CopySource : std::uint8_t { none, client, file, program };
enum class DiscardWhat : std::uint8_t { none, all, plans, sequences, temporary };

/// One statement. What it has inside (the query of COPY, DECLARE, CREATE TABLE AS) is counted as
/// its own; the statement of PREPARE and of EXPLAIN stands in `inner`, and of EXPLAIN ANALYZE
/// in both.
struct Statement {
  Kind kind = Kind::unknown;

  /// Reads and does nothing else, except for what the functions called and the operators do. Also
  /// SHOW, COPY TO the client, and EXPLAIN of a plain read.
  bool plain_read = false;
  /// Data, catalogues or files may change; functions called not counted. True wherever in doubt.
  bool may_write = true;
  /// Runs code that the text does not show: DO, CALL, EXECUTE, FETCH, DDL with its expressions and
  /// event triggers; anything unknown. What tables have behind them (triggers, rules, the queries
  /// and functions of views and policies) does not count: any table may have it.
  bool hidden_code = true;
  /// Everything in the text was looked at: nothing is missing below.
  bool complete = false;

  bool parameters = false;         ///< has $n
  bool locking = false;            ///< FOR UPDATE, FOR SHARE ...
  bool writing_cte = false;        ///< WITH ... AS (INSERT | UPDATE | DELETE)
  std::uint8_t changes = 0;        ///< bits: kInserts, ...
  bool creates_temporary = false;  ///< a table, view, sequence, function ... of the session
  bool until_commit = false;       ///< of which: ON COMMIT DROP
  bool names_temporary = false;    ///< the schema pg_temp or pg_temp_n is named
  bool drops = false;              ///< DROP of what `tables` names
  bool roles = false;              ///< of DDL: about roles, their rights, or their passwords
  bool analyze = false;            ///< of EXPLAIN; true also where a literal decides
  bool hold = false;               ///< of DECLARE: WITH HOLD
  bool chain = false;              ///< of COMMIT and ROLLBACK: AND CHAIN
  bool all = false;                ///< DEALLOCATE ALL, CLOSE ALL, UNLISTEN *, SHOW ALL
  CopySource copy = CopySource::none;
  DiscardWhat discard = DiscardWhat::none;
  TransactionModes modes;  ///< of BEGIN, SET TRANSACTION

  /// Of the savepoint, prepared statement (also of CREATE TABLE AS EXECUTE), cursor, channel; the
  /// parameter of SHOW. Of DDL: the database in which nobody may be meanwhile (DROP DATABASE,
  /// ALTER DATABASE RENAME or SET TABLESPACE, the template of CREATE DATABASE).
  std::string name;
  /// Of DDL: roles whose names are another's, or nobody's, once it has committed (CREATE and DROP
  /// ROLE, ALTER ROLE RENAME).
  std::vector<std::string> renamed_roles;
  /// Of CREATE FUNCTION and CREATE PROCEDURE: what it makes.
  std::string makes_function;
  /// The transaction id of PREPARE TRANSACTION and its like, the payload of NOTIFY, the file of
  /// LOAD.
  Value argument;

  std::vector<Table> tables;
  std::vector<Function> functions;
  std::vector<Setting> settings;
  std::vector<Statement> inner;  ///< none or one

  /// Shape::parts() that are this statement.
  std::uint32_t part = 0;
  std::uint32_t part_count = 1;

  bool operator==(const Statement&) const = default;
};

/// The facts of all statements of a text. Shared by counting, on one thread only.
class Facts : public boost::intrusive_ref_counter<Facts, boost::thread_unsafe_counter> {
 public:
  /// None of a text that was not understood (`known` is false), and of an empty one.
  std::vector<Statement> statements;
  bool known = false;
  /// For people: why not known.
  std::string reason;
  /// What somebody who looked at them found, remembered beside them; 0 at first.
  mutable std::uint8_t memo = 0;
  /// Likewise of split::access_of, and by which functions it judged; 0 for not yet.
  mutable std::uint8_t access = 0;
  mutable std::uint32_t access_judge = 0;
  /// Likewise of audit::events_of, and by which settings; 0 for not yet.
  mutable std::uint8_t audited = 0;
  mutable std::uint32_t audited_by = 0;
  /// Likewise of what the session's hidden code does, and which names were known; 0 for not yet.
  mutable std::uint8_t effects = 0;
  mutable std::uint32_t effects_judge = 0;
  /// Likewise of rules::RuleSet::of_shape, and which set it was.
  mutable std::uint32_t rules_judge = 0;
  mutable std::uint64_t rules = 0;
  /// What the policy for tenants says; null where there is none, and where not known.
  std::unique_ptr<tenant::Verdict> verdict;

  /// What all of it takes in memory.
  [[nodiscard]] std::size_t bytes() const noexcept;
};
using FactsPtr = boost::intrusive_ptr<const Facts>;

/// Parses. `shape` must be that of `text`. Takes microseconds, and may take some milliseconds for a
/// hostile text of kTextMax; never more than a few KiB of stack. Any thread; each has its parser,
/// and takes one of the process's 1,024 pthread keys for good: only threads that live as long as
/// the program are to call this.
FactsPtr understand(Bytes text, StandardStrings standard, const Shape& shape,
                    const tenant::Policy* policy = nullptr);

/// Parses some statements and compares: to be called once at start, so that a libpg_query that is
/// not the one this was built for is noticed before it says something wrong about a client's text.
Result<void> self_test();

}  // namespace forebay::sql
