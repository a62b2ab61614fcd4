#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "sim/direct.hpp"
#include "sim/model_client.hpp"
#include "sim/model_server.hpp"
#include "sim/random.hpp"
#include "support/world.hpp"

namespace forebay::test {

/// What a seed decides before anything happens.
struct Plan {
  config::Config config;
  FakeServerOptions servers;
  std::size_t workers = 1;
  std::size_t clients = 1;
  std::size_t at_a_time = 1;  ///< clients that are there at the same time
  std::vector<std::string> users;
  bool faults = false;  ///< servers die, and cannot be reached
  bool babble = false;  ///< ... and speak nonsense
  bool drain = false;
  bool reloads = false;
  bool keeps = false;  ///< clients do what keeps their server connections
  bool jumps = false;  ///< the clock jumps by seconds
  std::size_t client_window = SIZE_MAX;
  std::size_t server_window = SIZE_MAX;

  [[nodiscard]] std::string text() const;
};

Plan make_plan(Random& random);
/// What a reload brings: other limits and sizes, another host, another database behind the name.
config::Config changed_config(const Plan& plan, Random& random);

/// One run: engines, clients and servers in one thread, everything in an order that the seed
/// decides. See README.md for what must hold.
class Simulation {
 public:
  /// `log`: also says what happens, as it happens.
  Simulation(std::uint64_t seed, std::ostream* log);

  /// Empty, or what did not hold.
  std::string run();
  [[nodiscard]] std::size_t steps() const noexcept { return steps_; }
  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }

 private:
  struct Canceller {
    FarEnd end;
    bool over = false;
  };

  void step();
  bool act_somebody();
  void turn(std::size_t worker);
  void take_accepted();
  void client_comes();
  void clients_act(ModelClient& client);
  void ask_for_cancel(ModelClient& client);
  void fault();
  void pass_time(bool idle);
  void settle_down();

  void check();
  void check_hosts(std::uint32_t total);
  void check_links();
  void check_parked(core::ServerLink& link);
  void check_finished(ModelClient& client);
  void quiescent();

  [[nodiscard]] std::string name_of(const Channel& channel);
  void note(const std::string& what);
  [[noreturn]] void wrong(const std::string& what) const;
  [[nodiscard]] ModelServer* server_of(const core::ServerLink& link);

  std::ostream* const log_;
  Random random_;
  Plan plan_;
  config::Config config_;                          ///< the plan's, or what the last reload brought
  std::map<std::uint64_t, std::uint32_t> totals_;  ///< links of each pool at the last look
  std::uint32_t total_ = 0;
  std::map<std::string, std::uint32_t> at_host_;  ///< links, by the name of its limit
  World world_;
  FakePostgres postgres_;
  std::vector<std::unique_ptr<ModelServer>> servers_;
  std::vector<std::unique_ptr<ModelClient>> clients_;
  std::vector<Canceller> cancellers_;
  std::size_t came_ = 0;
  std::size_t accepted_ = 0;
  std::size_t steps_ = 0;
  Instant progress_{};
  bool drained_ = false;
  bool healing_ = false;  ///< nothing goes wrong any more
};

}  // namespace forebay::test
