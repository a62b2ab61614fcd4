#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/engine/timer_wheel.hpp"
#include "core/explain/plan_budget.hpp"
#include "core/pool/pool.hpp"
#include "core/server/side_connection.hpp"
#include "core/statistics/slow_samples.hpp"

namespace forebay::core {

class Engine;
class ServerLink;

/// Asks for the plans of slow statements, one at a time, on a connection of its own: as the role of
/// the statement's pool, to the same host, with what the client began with. The connection has a
/// place of the pool, where one is to spare, and is open for one question only. A sample whose plan
/// is asked for becomes one of the worker's when the answer is there.
class Explainer final : private SideConnection::Owner {
 public:
  explicit Explainer(Engine& engine) : engine_(engine) {}
  Explainer(const Explainer&) = delete;
  Explainer& operator=(const Explainer&) = delete;
  ~Explainer();

  /// `startup` is what the client began with; null before it has logged in.
  void add(SlowSample sample, ServerLink& link, const ParameterSet* startup);

 private:
  enum class Step : std::uint8_t { idle, opening, beginning, explaining };

  void on_logged_in() override;
  void on_said(char type, Bytes body) override;
  /// What the server said at last tells more.
  void on_side_lost(const Refused& why) override { fail(error_.empty() ? why.message : error_); }
  std::string_view judge(SlowSample& sample, ServerLink& link);
  std::string_view enter(const SlowSample& sample, ServerLink& link);
  bool take_place(Pool& pool, ServerLink& link);
  void open(ServerLink& link, const ParameterSet& startup);
  void ready(Bytes body);
  void explain();
  void read_row(Bytes body);
  void fail(std::string_view why);
  void close();
  void keep(SlowSample sample);
  static void on_timer(void* self) { static_cast<Explainer*>(self)->fail("no answer in time"); }

  Engine& engine_;
  SideConnection connection_{engine_, *this};
  Timer timer_{&Explainer::on_timer, this};
  std::shared_ptr<Pool> pool_;    ///< whose place it has; null: idle
  std::shared_ptr<Quota> place_;  ///< below the limit of the host; null: there is none
  SlowSample sample_;
  std::string error_;
  Step step_ = Step::idle;
  bool generic_ = false;  ///< of the statement at hand: it has parameters
};

}  // namespace forebay::core
