#pragma once

#include <memory>
#include <string>

#include "core/engine/timer_wheel.hpp"
#include "core/server/link_login.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/core/io.hpp"
#include "forebay/routing/cluster/topology.hpp"

namespace forebay::core {

class Engine;
class Pool;

/// Asks one host who it is and how far, on a connection of its own that stays open.
class HostProbe final : public StreamEvents {
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

  /// Asks, unless a question is under way. `login` is a pool of the cluster: its credential, its
  /// TLS. What has not been answered after `patience` is given up, and the connection with it.
  void ask(const std::shared_ptr<Pool>& login, Duration patience);
  [[nodiscard]] bool asking() const noexcept { return asking_; }
  void close();

  void on_connected() override;
  void on_received(Bytes bytes) override;
  void on_writable() override {}
  void on_secured() override;
  void on_end() override { fail("the server closed the connection", false); }
  void on_lost(const std::string& reason) override { fail(reason, false); }

 private:
  void connect();
  void login_received();
  bool handle(LinkLogin::Outcome outcome);
  void put_question();
  bool next_message();
  void read_row(Bytes body);
  void answered();
  void send(Bytes bytes);
  void fail(const std::string& why, bool spoke);
  static void on_timer(void* self);

  Engine& engine_;
  Told& told_;
  const std::size_t host_;
  const Endpoint endpoint_;
  std::shared_ptr<Pool> pool_;  ///< while logging in
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<LinkLogin> login_;  ///< null: logged in
  Timer timer_{&HostProbe::on_timer, this};
  std::string received_;
  routing::HostSample sample_;
  std::string error_;  ///< what the server answered instead of a row
  LinkLogin::Retry retried_ = LinkLogin::Retry::none;
  std::uint32_t version_ = pg::kProtocol3_2;
  bool with_tls_ = true;
  bool asking_ = false;
  bool row_ = false;
};

}  // namespace forebay::core
