#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/engine/timer_wheel.hpp"
#include "core/server/side_connection.hpp"
#include "forebay/routing/tenant/catalog_tables.hpp"

namespace forebay::core {

class CatalogEpoch;
class Engine;
class Pool;

/// Asks a database's primary which tables have the tenants' column, and publishes it: at first,
/// when somebody was seen to change the catalog, and now and then. The connection is open only for
/// the question.
class TablesProbe final : private SideConnection::Owner {
 public:
  TablesProbe(Engine& engine, std::shared_ptr<CatalogEpoch> catalog);
  TablesProbe(const TablesProbe&) = delete;
  TablesProbe& operator=(const TablesProbe&) = delete;

  /// Asks if it is time. `login` is a pool of the database.
  void look(const Endpoint& primary, const Pool& login, const std::string& column);
  /// There is nothing to log in with, or nowhere to ask.
  void cannot(const std::string& why);

 private:
  void on_logged_in() override;
  void on_said(char type, Bytes body) override;
  void on_side_lost(const Refused& why) override { fail(why.message); }
  void read_row(Bytes body);
  void answered();
  void fail(const std::string& why);
  void close();
  static void on_timer(void* self) { static_cast<TablesProbe*>(self)->fail("no answer in time"); }

  Engine& engine_;
  std::shared_ptr<CatalogEpoch> catalog_;  ///< its pools may go while it asks
  SideConnection connection_{engine_, *this};
  Timer timer_{&TablesProbe::on_timer, this};
  std::string where_;   ///< for the log
  std::string column_;  ///< that it asks for, or has asked for
  std::string error_;
  std::vector<tenant::CatalogTables::Relation> relations_;
  std::uint64_t asked_at_ = 0;  ///< the epoch when it was asked
  Instant not_before_{};
  Instant again_{};         ///< without a change
  Instant known_{};         ///< when there was an answer
  Instant cannot_{kNever};  ///< since when it cannot ask
  bool asking_ = false;
  bool told_ = false;
};

}  // namespace forebay::core
