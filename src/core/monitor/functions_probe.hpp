#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/engine/timer_wheel.hpp"
#include "core/server/side_connection.hpp"
#include "forebay/routing/split/access.hpp"

namespace forebay::core {

class CatalogEpoch;
class Engine;
class KnownFunctions;
class Pool;

/// Asks a database's primary what its functions do, and publishes it: at first, when somebody was
/// seen to change functions, and now and then. The connection is open only for the question.
class FunctionsProbe final : private SideConnection::Owner {
 public:
  FunctionsProbe(Engine& engine, std::shared_ptr<CatalogEpoch> catalog);
  FunctionsProbe(const FunctionsProbe&) = delete;
  FunctionsProbe& operator=(const FunctionsProbe&) = delete;

  /// Asks if it is time. `login` is a pool of the database.
  void look(const Endpoint& primary, const Pool& login);

 private:
  void on_logged_in() override;
  void on_said(char type, Bytes body) override;
  void on_side_lost(const Refused& why) override { fail(why.message); }
  void read_row(Bytes body);
  void answered();
  void fail(const std::string& why);
  void close();
  static void on_timer(void* self) {
    static_cast<FunctionsProbe*>(self)->fail("no answer in time");
  }

  Engine& engine_;
  std::shared_ptr<CatalogEpoch> catalog_;  ///< its pools may go while it asks
  KnownFunctions& known_;
  SideConnection connection_{engine_, *this};
  Timer timer_{&FunctionsProbe::on_timer, this};
  std::string where_;  ///< for the log
  std::string error_;
  std::vector<split::FunctionVolatility::Function> functions_;
  std::uint64_t asked_at_change_ = 0;  ///< KnownFunctions::changes() when it was asked
  Instant not_before_{};
  Instant again_{};  ///< without a change
  bool asking_ = false;
  bool told_ = false;
};

}  // namespace forebay::core
