#include "forebay/routing/split/access.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <unordered_map>

#include "routing/split/built_in_functions.hpp"

namespace forebay::split {
namespace {

using sql::Kind;
using sql::Statement;
using sql::TransactionModes;

std::uint32_t next_serial() noexcept {
  static std::atomic<std::uint32_t> last{0};
  return ++last;
}

/// STABLE or not, they speak of the server's process or of its WAL, or a standby has none of it.
constexpr std::string_view kOfTheServer[] = {
    "pg_backend_pid",
    "pg_conf_load_time",
    "pg_config",
    "pg_cursor",
    "pg_get_replication_slots",
    "pg_is_other_temp_schema",
    "pg_listening_channels",
    "pg_my_temp_schema",
    "pg_postmaster_start_time",
    "pg_prepared_statement",
    "pg_show_all_settings",
    "pg_walfile_name",
    "pg_walfile_name_offset",
    "txid_current",
    "txid_current_if_assigned",
};
constexpr std::string_view kOfTheServerPrefixes[] = {"pg_current_xact", "pg_stat_get_",
                                                     "pg_current_wal"};

/// Views of what one server does, which a replica would answer for itself.
constexpr std::string_view kServerViews[] = {
    "pg_backend_memory_contexts",
    "pg_cursors",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_locks",
    "pg_prepared_statements",
    "pg_prepared_xacts",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_settings",
    "pg_shmem_allocations",
};

template <class List>
bool holds(const List& sorted, std::string_view name) noexcept {
  return std::binary_search(std::begin(sorted), std::end(sorted), name);
}

bool speaks_of_server(std::string_view function) noexcept {
  return holds(kOfTheServer, function) ||
         std::any_of(std::begin(kOfTheServerPrefixes), std::end(kOfTheServerPrefixes),
                     [&](std::string_view prefix) { return function.starts_with(prefix); });
}

bool shows_server(const sql::Table& table) noexcept {
  if (!table.name.starts_with("pg_")) return false;
  return table.name.starts_with("pg_stat_") || table.name.starts_with("pg_statio_") ||
         holds(kServerViews, table.name);
}

std::string qualified(std::string_view schema, std::string_view name) {
  std::string full(schema);
  full += '.';
  full += name;
  return full;
}

// What speaks against it on a replica, its functions apart.
std::optional<std::string> objection(const Statement& statement) {
  const bool explains = statement.kind == Kind::explain;
  if (!explains && statement.kind != Kind::select && statement.kind != Kind::copy_out) {
    return "it is no SELECT, COPY TO, or EXPLAIN of these";
  }
  if (!statement.complete) return "there is something in it that Forebay does not know";
  if (!statement.plain_read) return "it writes, or locks rows";
  if (statement.hidden_code) return "it runs code that the text does not show";
  if (statement.names_temporary) return "it names a temporary table";
  if (!statement.settings.empty()) return "it changes a setting";
  if (explains) return objection(statement.inner.front());
  for (const sql::Table& table : statement.tables) {
    if (shows_server(table)) return table.name + " shows one server";
  }
  return std::nullopt;
}

// Nothing where it certainly only reads.
std::optional<std::string> objection(const Statement& statement,
                                     const FunctionVolatility& functions) {
  if (auto found = objection(statement)) return found;
  if (statement.kind == Kind::explain) return objection(statement.inner.front(), functions);
  for (const sql::Function& function : statement.functions) {
    if (functions.reads(function.schema, function.name)) continue;
    const std::string name =
        function.schema.empty() ? function.name : qualified(function.schema, function.name);
    return "function " + name + " is VOLATILE, speaks of one server, or is not known";
  }
  return std::nullopt;
}

// A standby knows no SERIALIZABLE.
bool serializable(const Statement& statement) noexcept {
  return statement.modes.isolation == TransactionModes::Isolation::serializable;
}

bool sets_read_only(const Statement& statement) noexcept {
  return statement.kind == Kind::set && statement.settings.size() == 1 &&
         statement.settings.front().action == sql::Setting::Action::transaction &&
         statement.modes.read_only == TransactionModes::Choice::yes && !serializable(statement);
}

Access judge(const sql::Facts& facts, const FunctionVolatility& functions) {
  // Of several statements the first may have been answered when another one fails on a replica.
  if (!facts.known || facts.statements.size() != 1) return Access::write;
  const Statement& statement = facts.statements.front();
  if (sets_read_only(statement)) return Access::sets_read_only;
  if (statement.kind != Kind::begin) {
    return objection(statement, functions) ? Access::write : Access::read;
  }
  if (serializable(statement)) return Access::write;
  switch (statement.modes.read_only) {
    case TransactionModes::Choice::yes:
      return Access::begin_read_only;
    case TransactionModes::Choice::unsaid:
      return Access::begin;
    default:
      return Access::write;
  }
}

}  // namespace

FunctionVolatility::FunctionVolatility() : serial_(next_serial()) {
  for (const std::string_view name : kBuiltInFunctions) {
    if (speaks_of_server(name)) continue;
    reading_.emplace(name);
    reading_.insert(qualified("pg_catalog", name));
  }
}

FunctionVolatility::FunctionVolatility(const std::vector<Function>& functions)
    : serial_(next_serial()) {
  std::unordered_map<std::string, bool> reads;
  const auto note = [&reads](std::string name, bool does) {
    const auto [at, fresh] = reads.emplace(std::move(name), does);
    if (!fresh) at->second = at->second && does;
  };
  for (const Function& function : functions) {
    const bool does = !function.is_volatile && !speaks_of_server(function.name);
    note(function.name, does);
    note(qualified(function.schema, function.name), does);
  }
  for (const auto& [name, does] : reads) {
    if (does) reading_.insert(name);
  }
}

const FunctionVolatility& FunctionVolatility::built_in() {
  static const FunctionVolatility functions;
  return functions;
}

bool FunctionVolatility::reads(std::string_view schema, std::string_view name) const {
  return reading_.contains(schema.empty() ? std::string(name) : qualified(schema, name));
}

std::string why_not_read(const sql::Facts& facts, const FunctionVolatility& functions) {
  if (!facts.known) return "the text is not understood";
  if (facts.statements.size() != 1) return "the text has not one statement alone";
  const Access access = access_of(facts, functions);
  if (access != Access::write && access != Access::sets_read_only) return {};
  if (facts.statements.front().kind == Kind::begin) {
    return "the transaction is READ WRITE, or SERIALIZABLE, which no standby knows";
  }
  return objection(facts.statements.front(), functions).value_or(std::string());
}

bool reads_but_for_functions(const sql::Facts& facts) {
  if (!facts.known || facts.statements.empty()) return false;
  switch (facts.statements.front().kind) {  // most writes at a glance
    case Kind::insert:
    case Kind::update:
    case Kind::delete_from:
    case Kind::merge:
    case Kind::ddl:
      return false;
    default:
      break;
  }
  return facts.known && facts.statements.size() == 1 && !objection(facts.statements.front());
}

Access access_of(const sql::Facts& facts, const FunctionVolatility& functions) {
  if (facts.access_judge != functions.serial()) {
    facts.access = static_cast<std::uint8_t>(judge(facts, functions));
    facts.access_judge = functions.serial();
  }
  return static_cast<Access>(facts.access);
}

}  // namespace forebay::split
