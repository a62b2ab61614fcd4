#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "forebay/routing/sql/facts_cache.hpp"

/// The shape of statements as OLTP clients send them: what every statement costs.
namespace {

using namespace forebay;

constexpr sql::HashSeed kSeed{0x0123456789abcdef, 0xfedcba9876543210};

constexpr std::array<Bytes, 6> kStatements = {
    "BEGIN",
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    "UPDATE pgbench_accounts SET abalance = abalance + -1447 WHERE aid = 84213 AND bid = 1 OR "
    "tid=42;",
    "SELECT u.id, u.name, u.email FROM users u WHERE u.id = $1 AND u.tenant_id = $2 ORDER BY "
    "u.name",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (5, 1, 84213, -1447, "
    "CURRENT_TIMESTAMP) RETURNING id",
    "SELECT \"t0\".\"id\", \"t0\".\"title\", \"t0\".\"created_at\" FROM \"posts\" AS \"t0\" INNER "
    "JOIN "
    "\"authors\" AS \"t1\" ON (\"t0\".\"author_id\" = \"t1\".\"id\") WHERE \"t1\".\"name\" = 'Ann' "
    "AND \"t0\".\"id\" IN (1, 2, 3, 4, 5, 6, 7, 8) LIMIT 20 /*traceparent='00-abc-def-01'*/",
};

void shape(benchmark::State& state) {
  const Bytes text = kStatements[static_cast<std::size_t>(state.range(0))];
  sql::Shape shape;
  for (auto _ : state) {
    sql::lex(text, sql::StandardStrings::on, kSeed, shape);
    benchmark::DoNotOptimize(shape.hash());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
  state.SetLabel(std::to_string(text.size()) + " bytes");
}
BENCHMARK(shape)->DenseRange(0, kStatements.size() - 1);

/// What every statement costs: shape, hash, and facts from the cache.
void facts_cached(benchmark::State& state) {
  const Bytes text = kStatements[static_cast<std::size_t>(state.range(0))];
  sql::FactsCache cache(1 << 20, kSeed);
  sql::Shape shape;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.facts(text, sql::StandardStrings::on, shape).known);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
  state.SetLabel(std::to_string(text.size()) + " bytes");
}
BENCHMARK(facts_cached)->DenseRange(0, kStatements.size() - 1);

/// The same with 2,000 shapes in turn, so that neither branches nor caches know the next one.
void facts_cached_of_many(benchmark::State& state) {
  std::vector<std::string> texts;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < 2000; ++i) {
    const std::string n = std::to_string(i);
    texts.push_back(i % 3 == 0 ? "UPDATE t" + n + " SET a = a + 17, b = 'text' WHERE id = " + n
                    : i % 3 == 1
                        ? "SELECT a, b, c" + n + " FROM t WHERE id = $1 AND b <> 'x' LIMIT 5"
                        : "INSERT INTO t" + n + " (id, a, b) VALUES ($1, $2, 'x') RETURNING id");
    bytes += texts.back().size();
  }
  sql::FactsCache cache(64 << 20, kSeed);
  sql::Shape shape;
  for (const std::string& text : texts) {
    if (!cache.facts(text, sql::StandardStrings::on, shape).known) state.SkipWithError("unknown");
  }
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.facts(texts[at], sql::StandardStrings::on, shape).known);
    at = at + 1 < texts.size() ? at + 1 : 0;
  }
  state.SetLabel(std::to_string(bytes / texts.size()) + " bytes on average, " +
                 std::to_string(cache.bytes() / texts.size()) + " bytes of cache each");
}
BENCHMARK(facts_cached_of_many);

/// The first time: with the parser.
void facts_parsed(benchmark::State& state) {
  const Bytes text = kStatements[static_cast<std::size_t>(state.range(0))];
  sql::Shape shape;
  sql::lex(text, sql::StandardStrings::on, kSeed, shape);
  for (auto _ : state) {
    benchmark::DoNotOptimize(sql::understand(text, sql::StandardStrings::on, shape));
  }
  state.SetLabel(std::to_string(text.size()) + " bytes");
}
BENCHMARK(facts_parsed)->DenseRange(0, kStatements.size() - 1);

/// A batch of rows, folded to one literal.
void shape_of_many_rows(benchmark::State& state) {
  std::string text = "INSERT INTO t (a, b, c) VALUES (1, 'x', NULL)";
  for (std::int64_t i = 1; i < state.range(0); ++i) text += ", (17, 'some text', 3.5)";
  sql::Shape shape;
  for (auto _ : state) {
    sql::lex(text, sql::StandardStrings::on, kSeed, shape);
    benchmark::DoNotOptimize(shape.hash());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
  state.SetLabel(std::to_string(text.size()) + " bytes");
}
BENCHMARK(shape_of_many_rows)->Arg(10)->Arg(1000);

}  // namespace
