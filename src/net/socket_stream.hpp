#pragma once

#include <netinet/tcp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "forebay/base/result.hpp"
#include "forebay/core/io.hpp"
#include "forebay/net/descriptor.hpp"
#include "forebay/net/resolver.hpp"
#include "net/address.hpp"
#include "net/connecting.hpp"
#include "net/slots.hpp"
#include "net/tls_session.hpp"

namespace forebay::net {

class EpollReactor;

/// A TCP or Unix-domain connection in a reactor, plain or TLS.
///
/// Its life:   connecting -> open -> over          (over: lost or reset; the descriptor is closed)
///
/// Sending:    open <-> blocked                    a send was short; there is room again
///             open, blocked -> shutting -> shut   TLS's close_notify may have to wait for room
///             any -> broken                       a send failed; all is swallowed until on_lost
/// Receiving:  open -> ended                       the peer's end was told
///
/// After any call to the owner, nothing of this object may be touched unless the reactor still
/// holds the slot it had before: the owner may have destroyed it, or sent it to another thread.
class SocketStream final : public core::Stream {
 public:
  /// An open connection that no reactor has yet.
  SocketStream(Descriptor descriptor, const PeerAddress& peer);
  /// One that is still to be made, in `reactor`; `connect_to` goes on with it.
  SocketStream(EpollReactor& reactor, core::StreamEvents& owner, const Endpoint& endpoint);
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;
  ~SocketStream() override;

  // core::Stream
  std::size_t send(std::span<const Bytes> pieces) override;
  void pause() override { paused_ = true; }
  void resume() override;
  void start_tls_server(std::shared_ptr<const core::TlsContext> context, Bytes received) override;
  void start_tls_client(std::shared_ptr<const core::TlsContext> context, const std::string& host,
                        bool direct) override;
  [[nodiscard]] const core::TlsFacts* tls() const override;
  [[nodiscard]] core::PeerFacts peer() const override { return peer_.facts(); }
  void set_peer(const std::array<std::uint8_t, 16>& address, std::uint16_t port) override {
    peer_ = PeerAddress(address, port);
  }
  void shut_down_sending() override;
  void reset() override;

  // The reactor's side.

  /// Takes an open stream into a reactor, and out of it.
  void join(EpollReactor& reactor, core::StreamEvents* owner);
  void leave();
  void set_owner(core::StreamEvents& owner) noexcept { owner_ = &owner; }
  [[nodiscard]] bool has_owner() const noexcept { return owner_ != nullptr; }
  [[nodiscard]] SlotId slot() const noexcept { return slot_; }

  /// The addresses of the host that it is to connect to, or why there are none. Tells the owner
  /// in a later turn only.
  void connect_to(const Result<Resolver::Addresses>& addresses);
  void connect_to_file();

  /// epoll's word.
  void on_ready(std::uint32_t events);
  /// The turn that was asked for with EpollReactor::queue.
  void on_due();
  /// Gives up, for a reason found outside; the owner is told in a later turn.
  void doom(std::string reason);
  /// Nothing for Unix-domain connections.
  [[nodiscard]] std::optional<tcp_info> tcp_facts() const;

 private:
  enum class Phase : std::uint8_t { connecting, open, over };
  enum class Receiving : std::uint8_t { open, ended };
  enum class Sending : std::uint8_t { open, blocked, shutting, shut, broken };

  // What is wanted of epoll.
  [[nodiscard]] bool wants_bytes() const noexcept;
  [[nodiscard]] bool wants_room() const noexcept;
  [[nodiscard]] bool handshaking() const noexcept;
  void watch();
  void refresh_interest();
  void queue();

  // socket_stream.cpp
  void on_bytes(bool ready);
  void on_room();
  void on_nothing_to_read(std::uint32_t events);
  void read_plain();
  std::size_t send_plain(std::span<const Bytes> pieces, std::size_t offered);
  void break_sending(std::string reason);
  void tell_end();
  void lose(std::string reason);
  void close();

  // socket_stream_connect.cpp
  void try_addresses();
  void on_connect_ready();
  void on_connected();

  // socket_stream_tls.cpp
  void start_tls(Result<std::unique_ptr<TlsSession>> session);
  void continue_handshake(bool ready);
  void read_secured(bool ready);
  std::size_t send_secured(std::span<const Bytes> pieces, std::size_t offered);

  EpollReactor* reactor_ = nullptr;
  core::StreamEvents* owner_ = nullptr;
  std::unique_ptr<TlsSession> tls_;
  std::unique_ptr<Connecting> connecting_;
  std::unique_ptr<std::string> broken_;  ///< why, while sending is broken
  SlotId slot_;
  Descriptor descriptor_;
  std::uint32_t interest_ = 0;  ///< what epoll was told, while watched
  PeerAddress peer_;
  Phase phase_;
  Receiving receiving_ = Receiving::open;
  Sending sending_ = Sending::open;
  bool paused_ = false;
  bool watched_ = false;         ///< known to epoll
  bool queued_ = false;          ///< on_due comes
  std::uint8_t last_reads_ = 0;  ///< after sending broke
};

}  // namespace forebay::net
