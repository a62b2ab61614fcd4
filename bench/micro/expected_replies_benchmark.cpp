#include <benchmark/benchmark.h>

#include <initializer_list>

#include "core/relay/expected_replies.hpp"
#include "forebay/base/assert.hpp"

/// The queue that every reply of a server passes.
namespace {

using namespace forebay;
using core::Request;

/// `count` statements go out together, then all of their replies come in.
void exchange(benchmark::State& state, std::initializer_list<Request> requests,
              std::initializer_list<pg::Backend> replies) {
  core::ExpectedReplies queue;
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) {
      for (const Request request : requests) FB_ASSERT(queue.push({.request = request}));
    }
    for (std::size_t i = 0; i < count; ++i) {
      for (const pg::Backend reply : replies) benchmark::DoNotOptimize(queue.take(reply));
    }
    FB_ASSERT(queue.empty());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * count));
}

void expected_replies_simple(benchmark::State& state) {
  exchange(state, {Request::query},
           {pg::Backend::RowDescription, pg::Backend::CommandComplete, pg::Backend::ReadyForQuery});
}
BENCHMARK(expected_replies_simple)->Arg(1)->Arg(100);

void expected_replies_prepared(benchmark::State& state) {
  exchange(state, {Request::bind, Request::execute, Request::sync},
           {pg::Backend::BindComplete, pg::Backend::CommandComplete, pg::Backend::ReadyForQuery});
}
BENCHMARK(expected_replies_prepared)->Arg(1)->Arg(100);

}  // namespace
