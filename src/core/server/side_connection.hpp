#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/refused.hpp"
#include "core/server/link_login.hpp"
#include "forebay/auth/scram_keys.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

class Engine;
struct PoolTarget;

/// A connection to a server that is nobody's link, for questions of our own: it logs in, and hands
/// over what the server says, message by message. Time is its owner's business.
class SideConnection final : public StreamEvents {
 public:
  class Owner {
   public:
    virtual void on_logged_in() = 0;
    /// After the login; `body` is valid within the call, which may close the connection.
    virtual void on_said(char type, Bytes body) = 0;
    /// The login failed, or the connection is lost. It is closed already.
    virtual void on_side_lost(const Refused& why) = 0;

   protected:
    ~Owner() = default;
  };

  struct Target {
    Endpoint host;
    std::string user;
    std::string database;
    config::TlsMode tls_mode = config::TlsMode::prefer;
    std::shared_ptr<const TlsContext> tls;  ///< null: none
    auth::Credential credential;
    std::vector<std::pair<std::string, std::string>> parameters;
  };

  SideConnection(Engine& engine, Owner& owner) : engine_(engine), owner_(owner) {}

  /// To a host of this database, as `user`; the credential is the caller's to add.
  [[nodiscard]] static Target target_at(const PoolTarget& database, Endpoint host,
                                        std::string user);
  void open(Target target);
  void close();
  [[nodiscard]] bool opening() const noexcept { return login_ != nullptr; }
  [[nodiscard]] bool logged_in() const noexcept { return stream_ != nullptr && login_ == nullptr; }
  /// Whether it leads to none of these addresses; false while there is none.
  [[nodiscard]] bool leads_elsewhere(const std::vector<std::string>& addresses) const;
  /// What the server said about itself when it let us in.
  [[nodiscard]] const Welcome& welcome() const noexcept { return welcome_; }
  void send(Bytes bytes);

  void on_connected() override;
  void on_received(Bytes bytes) override;
  void on_writable() override;
  void on_secured() override;
  void on_end() override;
  void on_lost(const std::string& reason) override;

 private:
  void connect();
  void login_received();
  bool handle(LinkLogin::Outcome outcome);
  void hand_over();
  void fail(const Refused& why);

  Engine& engine_;
  Owner& owner_;
  Target target_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<LinkLogin> login_;  ///< null: logged in
  auth::ScramKeyCache keys_;
  Welcome welcome_;
  std::string received_;
  std::string unsent_;          ///< what the system did not take yet
  std::uint32_t connects_ = 0;  ///< which connection it is, to notice that it is another
  LinkLogin::Retry retried_ = LinkLogin::Retry::none;
  std::uint32_t version_ = pg::kProtocol3_2;
  bool with_tls_ = true;
};

}  // namespace forebay::core
