#include <benchmark/benchmark.h>

#include <string>

#include "support/rig.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

/// Everything between the sockets: session, relay, pool and link of one engine, both ways.
namespace {

using namespace forebay;

const std::string kRow = R"(DataRow "1" ; CommandComplete "SELECT 1")";

std::string times(std::int64_t count, const std::string& text) {
  std::string all;
  for (std::int64_t i = 0; i < count; ++i) all += text;
  return all;
}

void relay_simple(benchmark::State& state) {
  test::Rig rig(test::plain_config(), 4);
  const std::string request =
      test::frontend(R"(Query "select balance from accounts where id = 1")");
  const std::string reply = test::backend(R"(RowDescription "c" ; )" + kRow + " ; ReadyForQuery I");
  std::size_t client = 0;
  for (auto _ : state) rig.exchange(++client % 4, request, reply);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(relay_simple);

void relay_prepared(benchmark::State& state) {
  test::Rig rig(test::plain_config(), 1);
  rig.exchange(0, test::frontend(R"(Parse "s" "select $1" ; Sync)"),
               test::backend("ParseComplete ; ReadyForQuery I"));
  const std::int64_t count = state.range(0);
  const std::string request =
      times(count, test::frontend(R"(Bind "" "s" "1" ; Execute "" 0 ; Sync)"));
  const std::string reply =
      times(count, test::backend("BindComplete ; " + kRow + " ; ReadyForQuery I"));
  for (auto _ : state) rig.exchange(0, request, reply);
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(relay_prepared)->Arg(1)->Arg(10)->Arg(100);

}  // namespace
