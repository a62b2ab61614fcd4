#include <charconv>
#include <string>

#include "core/relay/relay.hpp"
#include "core/relay/text_edits.hpp"
#include "forebay/routing/sql/word_after.hpp"

// pg_prepared_statements shows a client its own statements, by its own names: in front of a SELECT
// that reads the view stands a WITH query of its name. What the server knows of a statement (the
// types of its parameters, its plans) comes from the link at hand.

namespace forebay::core {
namespace {

/// Of more bytes of its texts a client is shown the names that the server has.
constexpr std::size_t kListedBytesMax = 1 << 20;
/// So many are prepared on a link to be listed; of the others the types are not known.
constexpr std::size_t kListedMax = 1000;

bool lists(const ClientStatements::Named& named) {
  return named.work != nullptr && named.work->has(SessionStep::Kind::list_names);
}

// The server's major version; 0 where it does not say.
int version_of(const WelcomeRef& welcome) {
  const std::string* version = welcome == nullptr ? nullptr : welcome->find("server_version");
  int major = 0;
  if (version != nullptr) {
    std::from_chars(version->data(), version->data() + version->size(), major);
  }
  return major;
}

// The statement as its client said it; NULL where only the server has it.
std::string said(const ClientStatements::Named& named) {
  if (named.said != nullptr) return quoted_literal(*named.said);
  if (named.work != nullptr && !named.work->said.empty()) return quoted_literal(named.work->said);
  const Bytes definition = named.statement->definition();
  if (definition.empty()) return "NULL";
  return quoted_literal(definition.substr(0, definition.find('\0')));
}

// VALUES of them: in which order they came, the name, the server's name of it, the text, and
// whether it came by PREPARE.
std::string values_of(ClientStatements* statements) {
  std::string values;
  if (statements != nullptr) {
    for (const auto& [name, named] : statements->in_order()) {
      if (!named->statement) continue;
      values.append(values.empty() ? "VALUES (" : ",(").append(std::to_string(named->order));
      // One that lists them has a text, and so a name, that changes with each time.
      values.append(",").append(quoted_literal(name)).append("::pg_catalog.text,");
      values.append(lists(*named) ? "NULL" : quoted_literal(named->statement->server_name()));
      values.append("::pg_catalog.text,").append(said(*named)).append("::pg_catalog.text,");
      values.append(named->statement->sql().empty() ? "false)" : "true)");
    }
  }
  if (!values.empty()) return values;
  return "SELECT 0,''::pg_catalog.text,''::pg_catalog.text,''::pg_catalog.text,false WHERE false";
}

std::string list_of(ClientStatements* statements, int version) {
  std::string list = "pg_prepared_statements AS (SELECT n.name, ";
  list.append("COALESCE(n.statement, p.statement) AS statement, ");
  // It grows from each to the next, whenever the server at hand got them.
  list.append("(pg_catalog.max(COALESCE(p.prepare_time, pg_catalog.pg_postmaster_start_time()))");
  list.append(" OVER (ORDER BY n.o)) OPERATOR(pg_catalog.+) ");
  list.append("(n.o OPERATOR(pg_catalog.*) '0.000001s'::pg_catalog.interval) AS prepare_time, ");
  list.append("CASE WHEN n.server IS NULL THEN '{}' ELSE p.parameter_types END ");
  list.append("AS parameter_types, ");
  if (version >= 16) list.append("p.result_types, ");
  list.append("n.from_sql");
  if (version >= 14) list.append(", p.generic_plans, p.custom_plans");
  list.append(" FROM (").append(values_of(statements));
  list.append(") AS n (o, name, server, statement, from_sql) LEFT JOIN");
  list.append(" pg_catalog.pg_prepared_statements AS p ON p.name OPERATOR(pg_catalog.=) n.server");
  list.append(" ORDER BY n.o)");
  return list;
}

}  // namespace

// `span` is a SELECT.
void Relay::edit_list(TextEdits& edits, sql::Span span, LinkRelayState& link, bool in_batch) {
  ClientStatements* const own = client_.statements.get();
  if (own != nullptr && own->bytes() > kListedBytesMax) return;
  have_listed(link, in_batch);
  const std::string list = list_of(own, version_of(link.welcome));
  const sql::Span with = sql::with_words(edits.original(), span);
  if (with.empty()) {
    edits.replace(span.begin, span.begin, "WITH " + list + " ");
  } else {
    edits.replace(with.end, with.end, " " + list + ",");
  }
}

// Where preparing one would fail the client's batch or transaction, only what a server is known to
// accept.
void Relay::have_listed(LinkRelayState& link, bool in_batch) {
  if (client_.statements == nullptr) return;
  const bool harmless =
      !in_batch && link.status == pg::backend::TransactionStatus::idle && client_.begin.open == 0;
  std::size_t count = 0;
  for (const auto& [name, named] : client_.statements->in_order()) {
    if (!named->statement || lists(*named)) continue;
    if (++count > kListedMax) return;
    follow_context(*named, link);
    if (!harmless && !named->statement->was_accepted_by(link.pool, link.epoch())) continue;
    if (in_batch) {
      need_statement(named->statement, link, named->work, named->types);
    } else {
      have_executed(named->work, link, false);
      have_ready(named->statement, link, false);
    }
  }
}

}  // namespace forebay::core
