#include "support/allocations.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "support/rig.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

/// The steady state allocates nothing and sends once in each direction, whatever the client says.
namespace forebay::test {
namespace {

constexpr std::size_t kRounds = 1000;

std::string times(std::size_t count, std::string_view text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

/// What `kRounds` transactions cost after some that let everything grow.
struct Cost {
  std::uint64_t allocations = 0;
  std::size_t sends = 0;
};

Cost cost_of(Rig& rig, std::size_t clients, const std::string& request, const std::string& reply) {
  Cost cost;
  for (std::size_t round = 0; round < 2 * kRounds; ++round) {
    if (round == kRounds) cost = {allocations(), 0};
    cost.sends += rig.exchange(round % clients, request, reply);
  }
  cost.allocations = allocations() - cost.allocations;
  return cost;
}

class Steady : public testing::Test {
 protected:
  static constexpr std::size_t kClients = 4;

  explicit Steady(config::Config config = plain_config()) : rig(std::move(config), kClients) {}

  void expect_free(const std::string& request, const std::string& reply) {
    const Cost cost = cost_of(rig, kClients, request, reply);
    EXPECT_EQ(cost.allocations, 0u);
    EXPECT_EQ(cost.sends, 2 * kRounds);
    EXPECT_EQ(rig.client(0).sent, rig.client(1).sent);
  }
  /// Every client prepares "s1".
  void prepare() {
    for (std::size_t i = 0; i < kClients; ++i) {
      rig.client_says(i, frontend(R"(Parse "s1" "select $1" ; Sync)"));
      for (RigStream* server : rig.io().servers) {
        if (server->sent.empty()) continue;
        const bool parsed = server->sent.find("select $1") != std::string::npos;
        server->sent.clear();
        rig.server_says(*server,
                        backend(parsed ? "ParseComplete ; ReadyForQuery I" : "ReadyForQuery I"));
      }
    }
  }

  Rig rig;
  const std::string row = R"(BindComplete ; DataRow "1" ; CommandComplete "SELECT 1" ;)";
};

TEST_F(Steady, a_simple_query) {
  expect_free(frontend(R"(Query "select balance from accounts where id = 1")"),
              backend(R"(RowDescription "c" ; DataRow "1" ; CommandComplete "SELECT 1" ;)"
                      " ReadyForQuery I"));
}

TEST_F(Steady, a_prepared_statement) {
  prepare();
  expect_free(frontend(R"(Bind "" "s1" "1" ; Execute "" 0 ; Sync)"),
              backend(row + " ReadyForQuery I"));
}

TEST_F(Steady, a_described_prepared_statement) {
  prepare();
  expect_free(frontend(R"(Bind "" "s1" "1" ; Describe P "" ; Execute "" 0 ; Sync)"),
              backend(R"(BindComplete ; RowDescription "c" ; DataRow "1" ;)"
                      R"( CommandComplete "SELECT 1" ; ReadyForQuery I)"));
}

// As drivers do that ask each time what a statement takes and gives.
TEST_F(Steady, a_prepared_statement_that_is_described_each_time) {
  prepare();
  const std::string request =
      frontend(R"(Describe S "s1" ; Bind "" "s1" "1" ; Execute "" 0 ; Sync)");
  const std::string told = R"(RowDescription "c" ; )" + row + " ReadyForQuery I";
  expect_free(request, backend("ParameterDescription 25 ; " + told));
}

TEST_F(Steady, one_without_parameters_that_is_described_each_time) {
  prepare();
  const std::string request = frontend(R"(Describe S "s1" ; Bind "" "s1" ; Execute "" 0 ; Sync)");
  const std::string told = R"(RowDescription "c" ; )" + row + " ReadyForQuery I";
  expect_free(request, backend("ParameterDescription ; " + told));
}

TEST_F(Steady, an_unnamed_statement) {
  expect_free(frontend(R"(Parse "" "select $1" ; Bind "" "" "1" ; Execute "" 0 ; Sync)"),
              backend("ParseComplete ; " + row + " ReadyForQuery I"));
}

TEST_F(Steady, a_pipeline_of_a_hundred_leaves_in_one_send) {
  prepare();
  const std::string request = frontend(R"(Bind "" "s1" "1" ; Execute "" 0 ; Sync)");
  const std::string reply = backend(row + " ReadyForQuery I");
  expect_free(times(100, request), times(100, reply));
}

TEST_F(Steady, a_pipeline_under_one_sync_leaves_in_one_send) {
  prepare();
  const std::string request = frontend(R"(Bind "" "s1" "1" ; Execute "" 0)");
  const std::string reply = backend(row.substr(0, row.size() - 1));
  expect_free(times(100, request) + frontend("Sync"),
              times(100, reply) + backend("ReadyForQuery I"));
}

/// Samples show what was bound.
class SteadyWithParameters : public Steady {
 protected:
  static config::Config showing() {
    config::Config config = plain_config();
    config.pool.slow_query_parameters = config::SlowQueryParameters::full;
    return config;
  }
  SteadyWithParameters() : Steady(showing()) {}
};

TEST_F(SteadyWithParameters, a_prepared_statement) {
  prepare();
  expect_free(frontend(R"(Bind "" "s1" "1" ; Execute "" 0 ; Sync)"),
              backend(row + " ReadyForQuery I"));
}

TEST_F(SteadyWithParameters, a_pipeline_of_a_hundred_leaves_in_one_send) {
  prepare();
  const std::string request = frontend(R"(Bind "" "s1" "1" ; Execute "" 0 ; Sync)");
  expect_free(times(100, request), times(100, backend(row + " ReadyForQuery I")));
}

// As drivers do that prepare under a new name and close it again, in one pipeline: names are kept
// in a map, so each of them costs what a map costs, but no message beyond that.
TEST_F(Steady, a_statement_for_one_use_costs_a_bounded_number_of_allocations) {
  prepare();
  const std::string request =
      frontend(R"(Parse "x" "select $1" ; Bind "" "x" "1" ; Execute "" 0 ; Close S "x" ; Sync)");
  const std::string reply = backend(row + " ReadyForQuery I");
  const Cost cost = cost_of(rig, kClients, request, reply);
  EXPECT_LE(cost.allocations, 3 * kRounds);
}

}  // namespace
}  // namespace forebay::test
