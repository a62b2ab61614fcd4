#include <benchmark/benchmark.h>

#include <string>

#include "core/relay/relay_state.hpp"
#include "forebay/protocol/postgres/framer.hpp"
#include "support/words.hpp"

/// Cutting a stream of messages into runs and messages.
namespace {

using namespace forebay;

void cut(benchmark::State& state, pg::Sender sender, const std::string& stream) {
  pg::Framer framer(sender);
  std::size_t messages = 0;
  for (auto _ : state) {
    Bytes rest = stream;
    while (!rest.empty()) {
      const auto item = framer.next(rest, core::kInspectionMax);
      benchmark::DoNotOptimize(item);
      rest.remove_prefix(item.bytes.size());
      ++messages;
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * stream.size()));
  state.counters["items"] =
      benchmark::Counter(static_cast<double>(messages), benchmark::Counter::kAvgIterations);
}

void framer_query(benchmark::State& state) {
  cut(state, pg::Sender::client, test::frontend(R"(Query "select balance from accounts")"));
}
BENCHMARK(framer_query);

void framer_small_reply(benchmark::State& state) {
  cut(state, pg::Sender::server,
      test::backend(R"(RowDescription "c" ; DataRow "1" ; CommandComplete "SELECT 1" ;)"
                    " ReadyForQuery I"));
}
BENCHMARK(framer_small_reply);

void framer_rows(benchmark::State& state) {
  const std::string row = test::backend(
      "DataRow \"" + std::string(static_cast<std::size_t>(state.range(0)), 'x') + "\"");
  std::string rows;
  while (rows.size() < 48 * 1024) rows += row;
  cut(state, pg::Sender::server, rows);
}
BENCHMARK(framer_rows)->Arg(20)->Arg(200)->Arg(2000);

}  // namespace
