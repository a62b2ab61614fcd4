#include <gtest/gtest.h>
#include <pg_query.h>

#include <set>

#include "forebay/routing/sql/facts.hpp"
#include "unit/routing/corpus.hpp"

/// What the walk finds, against everything of the kind in libpg_query's own JSON of the same tree:
/// a node type that the walk does not enter shows here.
namespace forebay {
namespace {

using Names = std::set<std::string>;

/// The JSON string that begins at `at`.
std::string json_string(const std::string& json, std::size_t at) {
  std::string text;
  for (; json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
    text += json[at];
  }
  return text;
}

Names strings_after(const std::string& json, const std::string& label) {
  Names names;
  for (std::size_t at = json.find(label); at != std::string::npos; at = json.find(label, at)) {
    at += label.size();
    names.insert(json_string(json, at));
  }
  return names;
}

/// The last name of every function called: FuncCall nodes, and the one of CALL.
Names functions_in(const std::string& json) {
  Names names;
  const std::string label = "all\":{\"funcname\":[";
  for (std::size_t at = json.find(label); at != std::string::npos; at = json.find(label, at)) {
    const std::size_t end = json.find(']', at + label.size());
    const std::string last = "\"sval\":\"";
    names.insert(json_string(json, json.rfind(last, end) + last.size()));
    at = end;
  }
  return names;
}

void collect(const sql::Statement& statement, Names& tables, Names& functions) {
  for (const sql::Table& table : statement.tables) tables.insert(table.name);
  for (const sql::Function& function : statement.functions) functions.insert(function.name);
  for (const sql::Statement& inner : statement.inner) collect(inner, tables, functions);
}

TEST(TreeReference, NothingIsMissed) {
  std::size_t compared = 0;
  for (const test::Expected& expected : test::corpus()) {
    sql::Shape shape;
    sql::lex(expected.statement, sql::StandardStrings::on, {}, shape);
    const sql::FactsPtr facts =
        sql::understand(expected.statement, sql::StandardStrings::on, shape);
    const auto complete = [](const sql::Statement& statement) { return statement.complete; };
    if (expected.statement.starts_with("SET CONSTRAINTS")) continue;  // those are no tables
    if (!facts->known ||
        !std::all_of(facts->statements.begin(), facts->statements.end(), complete)) {
      continue;
    }
    const PgQueryParseResult parsed = pg_query_parse(expected.statement.c_str());
    if (parsed.error == nullptr) {
      const std::string json = parsed.parse_tree;
      Names tables;
      Names functions;
      for (const sql::Statement& statement : facts->statements) {
        collect(statement, tables, functions);
      }
      EXPECT_EQ(functions_in(json), functions) << expected.statement;
      Names all = strings_after(json, "\"relname\":\"");
      const Names queries = strings_after(json, "\"ctename\":\"");
      for (const std::string& name : tables) {
        EXPECT_TRUE(all.contains(name) || expected.statement.starts_with("DROP"))
            << name << ": " << expected.statement;
        all.erase(name);
      }
      for (const std::string& name : queries) all.erase(name);
      EXPECT_TRUE(all.empty()) << *all.begin() << ": " << expected.statement;
      ++compared;
    }
    pg_query_free_parse_result(parsed);
  }
  EXPECT_GT(compared, 300U);
}

}  // namespace
}  // namespace forebay
