#include "forebay/routing/audit/events.hpp"

#include <algorithm>

#include "routing/tenant/named.hpp"

namespace forebay::audit {
namespace {

bool is_all(const std::vector<std::string>& names) {
  return std::ranges::find(names, "*") != names.end();
}

// COPY TO a program, or LOAD, change no catalog, but are what an administrator does.
bool is_ddl(const sql::Statement& statement) {
  switch (statement.kind) {
    case sql::Kind::ddl:
    case sql::Kind::create_table_as:
    case sql::Kind::do_block:
    case sql::Kind::load:
      return true;
    default:
      return (statement.changes & sql::kMakesTable) != 0 ||
             statement.copy == sql::CopySource::program || statement.copy == sql::CopySource::file;
  }
}

bool changes_role(const sql::Statement& statement) {
  return statement.roles || std::ranges::any_of(statement.settings, [](const auto& setting) {
           const bool unseen = setting.call && setting.name.empty() &&
                               setting.name_value.kind != sql::Value::Kind::word;
           return unseen || setting.name == "role" || setting.name == "session_authorization";
         });
}

bool names_one_of(const sql::Statement& statement, const std::vector<std::string>& tables) {
  if (tables.empty()) return false;
  if (is_all(tables)) return !statement.tables.empty();
  return std::ranges::any_of(statement.tables, [&](const sql::Table& table) {
    return tenant::is_named(tables, table.schema, table.name);
  });
}

Events events_of(const sql::Statement& statement, const config::AuditSettings& settings) {
  Events events = 0;
  if (settings.ddl && is_ddl(statement)) events |= bit(Event::ddl);
  if (settings.roles && changes_role(statement)) events |= bit(Event::role);
  if (names_one_of(statement, settings.tables)) events |= bit(Event::table);
  // What it runs was named elsewhere, and perhaps before anybody wrote.
  if (statement.kind == sql::Kind::execute) events |= events_of_unknown(settings);
  for (const sql::Statement& inner : statement.inner) {
    if (statement.kind == sql::Kind::prepare || statement.analyze) {
      events |= events_of(inner, settings);
    }
  }
  return events;
}

}  // namespace

Events events_of(const sql::Facts& facts, const config::AuditSettings& settings) {
  if (!facts.known) return events_of_unknown(settings);
  Events events = 0;
  for (const sql::Statement& statement : facts.statements) {
    events |= events_of(statement, settings);
  }
  return events;
}

Events events_of_unknown(const config::AuditSettings& settings) noexcept {
  return settings.ddl || settings.roles || !settings.tables.empty() ? bit(Event::unknown) : 0;
}

}  // namespace forebay::audit
