#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "forebay/routing/split/access.hpp"
#include "forebay/routing/sql/facts_cache.hpp"
#include "forebay/routing/tenant/check.hpp"

/// What is decided for each statement of a shape that is known: its place and, with tenants, its
/// values. What `facts_cached` costs is not in it.
namespace {

using namespace forebay;

constexpr sql::HashSeed kSeed{0x0123456789abcdef, 0xfedcba9876543210};

constexpr std::array<Bytes, 4> kStatements = {
    "SELECT id, total FROM orders WHERE tenant_id = 42 AND id = 17",
    "SELECT id, total FROM orders WHERE tenant_id = $1 AND id = $2",
    "INSERT INTO orders (tenant_id, id, total) VALUES (42, 17, 3.5), (42, 18, 4.5) RETURNING id",
    "SELECT o.id, i.price FROM orders o JOIN items i ON i.order_id = o.id AND i.tenant_id = "
    "o.tenant_id WHERE o.tenant_id = $1 ORDER BY o.id LIMIT 20"};

// One parameter in text, one in binary format.
std::string bound(Bytes text) {
  std::string values("\0\2\0\0\0\1\0\2\0\0\0\2", 12);
  values += "42";
  values.append("\0\0\0\4\0\0\0\21", 8);
  const bool one = text.find("$2") == Bytes::npos;
  return one ? std::string("\0\1\0\0\0\1\0\0\0\2", 10) + "42" : values;
}

std::shared_ptr<tenant::Policy> both_tables() {
  auto policy = std::make_shared<tenant::Policy>();
  policy->column = "tenant_id";
  policy->type = tenant::ColumnType::integer;
  policy->firewall = tenant::Mode::enforce;
  policy->tables = {"orders", "items"};
  return policy;
}

/// A statement that was understood, and what it is bound to.
struct Known {
  explicit Known(Bytes said)
      : text(said), values(bound(said)), policy(both_tables()), cache(1 << 20, kSeed) {
    cache.set_policy(policy);
    facts = &cache.facts(text, sql::StandardStrings::on, shape);
  }
  auto check_text() {
    return tenant::check_text(*policy, "42", text, sql::StandardStrings::on, *facts, shape,
                              parameters);
  }
  auto check_values() const {
    return tenant::check_values(*policy, "42", *facts, parameters, values);
  }

  const Bytes text;
  const std::string values;
  const std::shared_ptr<tenant::Policy> policy;
  sql::FactsCache cache;
  sql::Shape shape;
  const sql::Facts* facts = nullptr;
  std::vector<std::uint32_t> parameters;
};

void tenant_firewall(benchmark::State& state) {
  Known known(kStatements[static_cast<std::size_t>(state.range(0))]);
  for (auto _ : state) {
    auto found = known.check_text();
    if (!found && !known.parameters.empty()) found = known.check_values();
    if (found) return state.SkipWithError(found->message.c_str());
  }
}
BENCHMARK(tenant_firewall)->DenseRange(0, kStatements.size() - 1);

/// What a prepared statement costs each time that it is bound.
void tenant_firewall_bind(benchmark::State& state) {
  Known known(kStatements[1]);
  if (known.check_text()) return state.SkipWithError("refused");
  for (auto _ : state) {
    if (const auto found = known.check_values()) {
      return state.SkipWithError(found->message.c_str());
    }
  }
}
BENCHMARK(tenant_firewall_bind);

void read_or_write(benchmark::State& state) {
  const Bytes text = kStatements[static_cast<std::size_t>(state.range(0))];
  sql::FactsCache cache(1 << 20, kSeed);
  sql::Shape shape;
  const sql::Facts& facts = cache.facts(text, sql::StandardStrings::on, shape);
  const split::FunctionVolatility& functions = split::FunctionVolatility::built_in();
  for (auto _ : state) benchmark::DoNotOptimize(split::access_of(facts, functions));
}
BENCHMARK(read_or_write)->DenseRange(0, kStatements.size() - 1);

}  // namespace
