#pragma once

#include <memory>
#include <string>

#include "core/engine/timer_wheel.hpp"
#include "core/server/side_connection.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/routing/cluster/topology.hpp"

namespace forebay::core {

class Engine;
class Pool;

/// How the monitor logs in to a host: as monitor_user, or as a pool of the cluster does.
SideConnection::Target monitor_login(const Pool& pool, const Endpoint& host);

/// Asks one host who it is and how far, on a connection of its own that stays open.
class HostProbe final : private SideConnection::Owner {
 public:
  /// What became of a question. Told once for each, never from within `ask`.
  class Told {
   public:
    virtual void on_answer(std::size_t host, const routing::HostSample& sample) = 0;
    /// `spoke`: it refused to let us in, but lives.
    virtual void on_no_answer(std::size_t host, const std::string& why, bool spoke) = 0;

   protected:
    ~Told() = default;
  };

  HostProbe(Engine& engine, Told& told, std::size_t host, Endpoint endpoint)
      : engine_(engine), told_(told), host_(host), endpoint_(std::move(endpoint)) {}
  HostProbe(const HostProbe&) = delete;
  HostProbe& operator=(const HostProbe&) = delete;

  /// Asks, unless a question is under way. `login` is a pool of the cluster: its credential, its
  /// TLS. What has not been answered after `patience` is given up, and the connection with it.
  void ask(const std::shared_ptr<Pool>& login, Duration patience);
  /// A host has these addresses from now on: what leads elsewhere is not asked again.
  void host_moved(const std::string& host, const std::vector<std::string>& addresses);
  [[nodiscard]] bool asking() const noexcept { return asking_; }
  /// A question would go out at once.
  [[nodiscard]] bool ready() const noexcept { return !asking_ && connection_.logged_in(); }
  /// In whose database the connection is, if there is one; null: that pool is gone.
  [[nodiscard]] std::shared_ptr<Pool> login() const noexcept { return login_.lock(); }
  void close();

 private:
  void on_logged_in() override { put_question(); }
  void on_said(char type, Bytes body) override;
  void on_side_lost(const Refused& why) override;
  void put_question();
  void read_row(Bytes body);
  void answered();
  void fail(const std::string& why, bool spoke);
  static void on_timer(void* self);

  Engine& engine_;
  Told& told_;
  const std::size_t host_;
  const Endpoint endpoint_;
  SideConnection connection_{engine_, *this};
  std::weak_ptr<Pool> login_;
  Timer timer_{&HostProbe::on_timer, this};
  routing::HostSample sample_;
  std::string error_;  ///< what the server answered instead of a row
  bool asking_ = false;
  bool moved_ = false;
  bool row_ = false;
};

}  // namespace forebay::core
