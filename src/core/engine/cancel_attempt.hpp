#pragma once

#include <memory>
#include <string>

#include "core/engine/timer_wheel.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

class Engine;
class ServerLink;

/// One cancel request on its way to a server, on a connection of its own (manual, "Canceling
/// Requests in Progress"). The server says that it is done by closing the connection; until then
/// the link must not serve anybody else, who would be hit by it. Encrypted where the link is.
/// Or one for a client of another node, on its way there as it came in, without encryption.
class CancelAttempt final : public StreamEvents {
 public:
  /// `requester` is the client's own connection, detached, closed when all is done; may be null.
  CancelAttempt(Engine& engine, ServerLink& link, std::unique_ptr<Stream> requester);
  CancelAttempt(Engine& engine, Endpoint peer, std::string request,
                std::unique_ptr<Stream> requester);

  void begin();
  /// The link is gone: there is nothing to tell it any more.
  void forget_link() noexcept { link_ = nullptr; }
  [[nodiscard]] ServerLink* link() noexcept { return link_; }
  [[nodiscard]] bool forwards() const noexcept { return forwards_; }

  void on_connected() override;
  void on_received(Bytes bytes) override;
  void on_writable() override;
  void on_secured() override;
  void on_end() override;
  void on_lost(const std::string& reason) override;

 private:
  /// The requester may hang up whenever it likes.
  struct Requester final : StreamEvents {
    void on_received(Bytes) override {}
    void on_writable() override {}
    void on_end() override {}
    void on_lost(const std::string&) override {}
  };

  void send_request();
  void send(Bytes bytes);
  void end(bool certain);
  static void on_timer(void* self);

  Engine& engine_;
  ServerLink* link_ = nullptr;
  bool forwards_ = false;
  Endpoint host_;
  std::shared_ptr<const TlsContext> tls_;  ///< null: plain
  std::string request_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Stream> requester_;
  Requester requester_events_;
  Timer timer_{&CancelAttempt::on_timer, this};
  bool sent_ = false;
};

}  // namespace forebay::core
