#include "core/monitor/tables_probe.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/monitor/host_probe.hpp"
#include "core/pool/pool.hpp"
#include "core/relay/catalog_epoch.hpp"
#include "core/relay/text_edits.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Shows = tenant::CatalogTables::Shows;

/// Changes past Forebay show so late.
constexpr seconds kTablesAgain{10};
/// Who changes the catalog all the time is not followed more closely.
constexpr milliseconds kTablesNotBefore{50};
/// After no answer.
constexpr seconds kTablesRetry{1};
/// Statements wait for the answer.
constexpr seconds kTablesPatience{5};
/// Without an answer, what is known is taken for true so long.
constexpr seconds kTablesHold{30};
/// More relations are not taken in: those of which nothing is known count as having the column.
constexpr std::size_t kRelationsMost = 200'000;

/// With the column: "c". Without, but with rows of what has it: "r". Those are views, also of
/// views, and tables of which others inherit, or are partitions.
std::string question(const std::string& column) {
  return "WITH RECURSIVE relations AS (SELECT c.oid, c.relname, c.relnamespace, EXISTS (SELECT FROM"
         " pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = " +
         quoted_literal(column) +
         " AND a.attnum > 0 AND NOT a.attisdropped) AS has FROM pg_catalog.pg_class c"
         " WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')),"
         " above (below, oid) AS (SELECT d.refobjid, r.ev_class FROM pg_catalog.pg_depend d"
         " JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid"
         " WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
         " AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
         " UNION SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits),"
         " shows (oid) AS (SELECT oid FROM relations WHERE has"
         " UNION SELECT a.oid FROM shows s JOIN above a ON a.below = s.oid)"
         " SELECT n.nspname, r.relname, CASE WHEN r.has THEN 'c' WHEN s.oid IS NOT NULL THEN 'r'"
         " ELSE '' END FROM relations r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace"
         " LEFT JOIN shows s ON s.oid = r.oid WHERE n.nspname <> 'pg_catalog'"
         " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(toast|temp_)'";
}

}  // namespace

TablesProbe::TablesProbe(Engine& engine, std::shared_ptr<CatalogEpoch> catalog)
    : engine_(engine), catalog_(std::move(catalog)) {}

void TablesProbe::look(const Endpoint& primary, const Pool& login, const std::string& column) {
  const Instant now = engine_.now();
  if (asking_ || now < not_before_) return;
  if (std::exchange(cannot_, kNever) != kNever) again_ = now;
  const bool known = catalog_->tables.fresh(catalog_->now()) && column == column_;
  if (now < again_ && (known || catalog_->tables.failing())) return;
  not_before_ = now + kTablesNotBefore;
  again_ = now + kTablesAgain;
  asked_at_ = catalog_->now();
  column_ = column;
  where_ = to_string(primary);
  asking_ = true;
  error_.clear();
  engine_.timers().arm(timer_, now + kTablesPatience);
  SideConnection::Target target = monitor_login(login, primary);
  target.parameters.emplace_back("client_encoding", "UTF8");
  target.parameters.emplace_back("standard_conforming_strings", "on");
  connection_.open(std::move(target));
}

void TablesProbe::on_logged_in() {
  std::string out;
  pg::write_query(out, question(column_));
  connection_.send(out);
}

void TablesProbe::on_said(char type, Bytes body) {
  switch (type) {
    case 'D':
      return read_row(body);
    case 'E':
      error_.assign(pg::backend::Fields::parse(body).message);
      return;
    case 'Z':
      return answered();
    default:
      return;
  }
}

void TablesProbe::read_row(Bytes body) {
  const auto row = pg::backend::DataRow::parse(body);
  const auto values = row ? row->decode() : std::nullopt;
  if (!values || values->size() != 3 || relations_.size() >= kRelationsMost) return;
  const auto& columns = *values;
  if (!columns[0] || !columns[1] || !columns[2]) return;
  const Shows shows = columns[2]->empty()  ? Shows::nothing
                      : *columns[2] == "r" ? Shows::rows
                                           : Shows::column;
  relations_.push_back({std::string(*columns[1]), std::string(*columns[0]), shows});
}

void TablesProbe::answered() {
  if (!error_.empty()) {
    fail(error_);
    return;
  }
  // A relation that is left out counts as having the column, and none of its name must count as
  // one without.
  if (relations_.size() >= kRelationsMost) relations_.clear();
  told_ = false;
  known_ = engine_.now();
  catalog_->tables.publish(
      std::make_shared<const tenant::CatalogTables>(column_, std::move(relations_)), asked_at_);
  catalog_->tables.set_failing(false);
  close();
  engine_.tell_all_tables_known(catalog_);
}

void TablesProbe::close() {
  timer_.cancel();
  connection_.close();
  relations_ = {};
  asking_ = false;
}

void TablesProbe::cannot(const std::string& why) {
  const Instant now = engine_.now();
  if (asking_ || now < again_) return;
  cannot_ = std::min(cannot_, now);
  if (now - cannot_ >= kTablesPatience) fail(why);
}

void TablesProbe::fail(const std::string& why) {
  close();
  again_ = engine_.now() + kTablesRetry;
  catalog_->tables.set_failing(true);
  if (engine_.now() - known_ >= kTablesHold) catalog_->tables.publish(nullptr, 0);
  engine_.tell_all_tables_known(catalog_);
  if (std::exchange(told_, true)) return;
  engine_.note({.weight = Weight::warning,
                .event = "tables_unknown",
                .text = "cannot ask the catalog which tables have the column of [tenants] (" + why +
                        "): as long as that is not known, each table counts as having it",
                .host = where_});
}

}  // namespace forebay::core
