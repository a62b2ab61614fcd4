#include <benchmark/benchmark.h>

#include <array>
#include <string>

#include "forebay/routing/sql/shape.hpp"

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

}  // namespace
