#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/timer_wheel.hpp"
#include "core/lookup/secret_cache.hpp"
#include "core/pool/pool.hpp"
#include "core/pool/ticket.hpp"
#include "core/refused.hpp"
#include "core/server/side_connection.hpp"

namespace forebay::core {

class Engine;

/// Asks one database for the secrets of users, one after the other, on a connection of its own. Of
/// clients of one user that come at once, one makes it ask.
class LookupDesk final : private SideConnection::Owner {
 public:
  LookupDesk(Engine& engine, LookupPlace place) : engine_(engine), place_(std::move(place)) {}
  LookupDesk(const LookupDesk&) = delete;
  LookupDesk& operator=(const LookupDesk&) = delete;

  /// `session` is told by mail::LookedUp.
  void look_up(const std::string& user, SessionKey session);
  /// Another configuration holds: the connection begins anew.
  void begin_anew();
  /// Nothing was asked for long: there is nothing here that must be kept.
  [[nodiscard]] bool rests() const noexcept;
  [[nodiscard]] bool idle() const noexcept { return asked_for_.empty(); }

 private:
  struct Question {
    std::string user;
    Instant came{};
    std::vector<SessionKey> sessions;
  };

  void on_logged_in() override;
  void on_said(char type, Bytes body) override;
  void on_side_lost(const Refused& why) override;
  void go_on();
  void connect();
  void ask();
  void read_row(Bytes body);
  void conclude();
  void store(std::shared_ptr<const auth::UserSecrets> secrets);
  void tell(const Question& question, const SecretCache::Answer& answer,
            const Refused* refused = nullptr);
  [[nodiscard]] std::shared_ptr<const routing::ClusterView> view_of(const PoolTarget& target) const;
  [[nodiscard]] bool leads_nowhere() const;
  [[nodiscard]] Refused no_connection() const;
  bool hold(const Refused& trouble);
  void fail_all(const Refused& why);
  void note(std::string text, std::string_view sqlstate = {});
  static void on_timer(void* self);

  Engine& engine_;
  const LookupPlace place_;
  SideConnection connection_{engine_, *this};
  Timer timer_{&LookupDesk::on_timer, this};
  std::deque<Question> asked_for_;  ///< the first is being asked
  bool told_ = false;               ///< the log, that it does
  Instant last_used_{};
  Instant asked_{};
  std::size_t host_ = 0;
  std::size_t attempts_ = 0;  ///< to connect, since the last answer
  bool holding_ = false;      ///< no host can be asked, nor is one the primary: it is tried again
  Instant shut_until_{};      ///< nothing is asked before: it failed only just
  Refused shut_for_;

  // The answer at hand.
  std::size_t rows_ = 0;
  config::Secret secret_;
  std::optional<double> seconds_left_;  ///< until the password expires
  std::string trouble_;                 ///< why the answer is of no use; empty: it is
  std::string trouble_code_;
};

/// All desks. Lives on the first worker.
class Lookups {
 public:
  explicit Lookups(Engine& engine) : engine_(engine) {}

  void look_up(const LookupKey& key, SessionKey session);
  void begin_anew();
  /// Closes desks that nobody has come to for long.
  void look_after();

 private:
  Engine& engine_;
  std::map<LookupPlace, std::unique_ptr<LookupDesk>> desks_;
};

}  // namespace forebay::core
