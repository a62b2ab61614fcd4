#include <array>
#include <string>

#include "forebay/routing/sql/facts.hpp"

namespace forebay::sql {
namespace {

struct Case {
  const char* text;
  Kind kind;
  bool plain_read;
  const char* table;     ///< schema.name of the first; empty for none
  const char* function;  ///< schema.name of the first; empty for none
  const char* setting;   ///< name of the first; empty for none
};

/// One of each family of nodes whose fields are read: a struct that has moved shows here.
constexpr std::array kCases = {
    Case{"SELECT a, count(*) FROM s.t AS x WHERE b IN (1, 2) GROUP BY a", Kind::select, true, "s.t",
         ".count", ""},
    Case{"SELECT lower(x) FROM t WHERE y = $1 FOR UPDATE", Kind::select, false, ".t", ".lower", ""},
    Case{"WITH w AS (DELETE FROM t RETURNING *) SELECT * FROM w", Kind::select, false, ".t", "",
         ""},
    Case{"INSERT INTO t (a) VALUES (f(1)) ON CONFLICT DO NOTHING", Kind::insert, false, ".t", ".f",
         ""},
    Case{"UPDATE t SET a = 1 FROM s.u WHERE t.b = u.b", Kind::update, false, ".t", "", ""},
    Case{"DELETE FROM t USING u WHERE t.b = u.b", Kind::delete_from, false, ".t", "", ""},
    Case{"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", Kind::merge, false, ".t", "",
         ""},
    Case{"COPY s.t FROM STDIN", Kind::copy_in, false, "s.t", "", ""},
    Case{"COPY (SELECT 1 FROM t) TO STDOUT", Kind::copy_out, true, ".t", "", ""},
    Case{"CREATE TEMP TABLE t (a int)", Kind::ddl, false, ".t", "", ""},
    Case{"DROP TABLE s.t", Kind::ddl, false, "s.t", "", ""},
    Case{"EXPLAIN (ANALYZE) UPDATE t SET a = 1", Kind::explain, false, ".t", "", ""},
    Case{"EXPLAIN UPDATE t SET a = 1", Kind::explain, true, "", "", ""},
    Case{"BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", Kind::begin, false, "", "", ""},
    Case{"ROLLBACK TO SAVEPOINT s", Kind::rollback_to, false, "", "", ""},
    Case{"SET LOCAL search_path TO a, 'B'", Kind::set, false, "", "", "search_path"},
    Case{"SELECT set_config('a.b', $1, true)", Kind::select, true, "", ".set_config", ""},
    Case{"RESET ROLE", Kind::reset, false, "", "", "role"},
    Case{"DISCARD TEMP", Kind::discard, false, "", "", ""},
    Case{"PREPARE p AS SELECT 1", Kind::prepare, false, "", "", ""},
    Case{"EXECUTE p(pg_catalog.now())", Kind::execute, false, "", "pg_catalog.now", ""},
    Case{"DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t", Kind::declare_cursor, false, ".t", "",
         ""},
    Case{"FETCH 3 FROM c", Kind::fetch, false, "", "", ""},
    Case{"LISTEN c", Kind::listen, false, "", "", ""},
    Case{"LOCK TABLE t IN SHARE MODE", Kind::lock, false, ".t", "", ""},
    Case{"CALL p(1)", Kind::call, false, "", ".p", ""},
};

std::string first_table(const Statement& statement) {
  if (statement.tables.empty()) return {};
  return statement.tables.front().schema + '.' + statement.tables.front().name;
}

std::string first_function(const Statement& statement) {
  if (statement.functions.empty()) return {};
  return statement.functions.front().schema + '.' + statement.functions.front().name;
}

bool passes(const Case& expected, const Facts& facts) {
  if (!facts.known || facts.statements.size() != 1) return false;
  const Statement& statement = facts.statements.front();
  const std::string setting =
      statement.settings.empty() ? std::string() : statement.settings.front().name;
  return statement.kind == expected.kind && statement.plain_read == expected.plain_read &&
         first_table(statement) == expected.table &&
         first_function(statement) == expected.function && setting == expected.setting;
}

/// What the table above does not say: options, references to literals, nested statements.
bool details_pass() {
  Shape shape;
  const auto facts_of = [&shape](Bytes text) {
    lex(text, StandardStrings::on, {}, shape);
    return understand(text, StandardStrings::on, shape);
  };
  FactsPtr facts = facts_of("BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY; COMMIT AND CHAIN");
  if (facts->statements.size() != 2) return false;
  const TransactionModes& modes = facts->statements[0].modes;
  if (modes.isolation != TransactionModes::Isolation::serializable) return false;
  if (modes.read_only != TransactionModes::Choice::yes || !facts->statements[1].chain) return false;

  facts = facts_of("SELECT 1; SELECT set_config('a', -5, false)");
  if (facts->statements.size() != 2 || facts->statements[1].settings.size() != 1) return false;
  const Setting& setting = facts->statements[1].settings.front();
  if (setting.name_value.kind != Value::Kind::literal || setting.name_value.literal != 1 ||
      setting.values.front().literal != 2 || !setting.values.front().negative ||
      setting.local != Truth::no) {
    return false;
  }
  facts = facts_of("PREPARE p(int) AS INSERT INTO pg_temp.t VALUES ($1)");
  if (facts->statements.size() != 1 || facts->statements[0].inner.size() != 1) return false;
  const Statement& prepared = facts->statements[0].inner.front();
  if (prepared.kind != Kind::insert || !prepared.names_temporary || !prepared.complete) {
    return false;
  }
  facts = facts_of("SELECT FROM WHERE");
  return !facts->known && !facts->reason.empty();
}

}  // namespace

Result<void> self_test() {
  for (const Case& expected : kCases) {
    Shape shape;
    const Bytes text = expected.text;
    lex(text, StandardStrings::on, {}, shape);
    if (!passes(expected, *understand(text, StandardStrings::on, shape))) {
      return failure("libpg_query does not say of \"" + std::string(text) +
                     "\" what it should: it is not the library that this program was built for; "
                     "install libpg-query 15");
    }
  }
  if (!details_pass()) {
    return failure(
        "libpg_query's trees are not those that this program was built for; install "
        "libpg-query 15");
  }
  return {};
}

}  // namespace forebay::sql
