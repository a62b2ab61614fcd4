#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "forebay/base/bytes.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/base/strong.hpp"
#include "forebay/base/time.hpp"

/// The few things that the core needs from the world. `net` implements them over epoll and
/// OpenSSL, tests over memory. Everything here belongs to one worker thread, unless it says
/// otherwise.
namespace forebay::core {

using WorkerId = Strong<struct WorkerIdTag, std::uint16_t>;

/// One of the places where clients come in: its index in `Config::listen`.
using ListenerId = Strong<struct ListenerIdTag, std::uint16_t>;

/// Key material and rules for TLS, in one role. Opaque to the core; immutable, shared by threads.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
};

/// What a finished TLS handshake established.
struct TlsFacts {
  std::string version;      ///< "TLSv1.3"
  std::string cipher;       ///< "TLS_AES_256_GCM_SHA384"
  std::string alpn;         ///< the protocol agreed on; empty for none
  std::string server_name;  ///< the host that the client says it wants; empty for none
  // Of a verified peer certificate; empty for none.
  std::string peer_common_name;
  std::vector<std::string> peer_units;  ///< organizationalUnitName
  std::vector<std::string> peer_names;  ///< subjectAltName: DNS names, addresses of mail, URIs
  /// Channel binding data of type tls-server-end-point (RFC 5929, section 4): the hash of the
  /// server's certificate, whichever side we are.
  std::string server_end_point;
};

/// Who is at the other end of an accepted connection.
struct PeerFacts {
  std::string address;     ///< "192.0.2.1", "::1", or "unix"
  std::uint16_t port = 0;  ///< 0 for Unix-domain sockets
  bool loopback = false;   ///< 127.0.0.0/8, ::1, or a Unix-domain socket
  bool unix_socket = false;
  std::optional<std::uint32_t> uid;  ///< of a Unix-domain peer (SO_PEERCRED)
};

/// What a stream tells its owner. Called by the worker's loop only, never from within a call to
/// the stream; the owner may do anything in there, also destroy the stream.
class StreamEvents {
 public:
  /// A connect came through (also TLS is still to be started by the owner, if wanted).
  virtual void on_connected() {}
  /// Bytes arrived. The view is valid during the call only.
  virtual void on_received(Bytes bytes) = 0;
  /// After a send that took less than it was offered: there is room again.
  virtual void on_writable() = 0;
  /// The handshake begun by start_tls is complete. Plain bytes flow from here on.
  virtual void on_secured() {}
  /// The peer will send no more; we may still send. Told once, after all that it sent.
  virtual void on_end() = 0;
  /// The connection is gone (reset, timeout, refused, TLS failure). The last event of the stream.
  /// `reason` is for people: "connection refused", "connection reset by peer", ...
  virtual void on_lost(const std::string& reason) = 0;

 protected:
  ~StreamEvents() = default;
};

/// A byte stream to a client or a server, plain or TLS. Destroying it closes the connection; bytes
/// that were accepted by `send` are still delivered by the system (TLS: a close_notify is tried).
class Stream {
 public:
  virtual ~Stream() = default;

  /// Offers bytes, in order; gives how many were taken. When that is less than offered, the rest
  /// must be offered again after `on_writable`, beginning with the same bytes. Never fails: a
  /// broken connection takes everything and tells by `on_lost` in a later turn.
  virtual std::size_t send(std::span<const Bytes> pieces) = 0;

  /// Stops and resumes the arrival of bytes, and of on_end. A stream begins unpaused. Loss is told
  /// while paused, too, as far as the system tells it.
  virtual void pause() = 0;
  virtual void resume() = 0;

  /// Begins a TLS handshake as server. `received` are bytes that already arrived and belong to the
  /// handshake (direct TLS); empty otherwise. The result is on_secured or on_lost.
  virtual void start_tls_server(std::shared_ptr<const TlsContext> context, Bytes received) = 0;
  /// Begins a TLS handshake as client; `host` is the name to send (SNI) and, if the context asks
  /// for it, to verify. Bytes that arrived before it fail the stream: they were not protected.
  virtual void start_tls_client(std::shared_ptr<const TlsContext> context, const std::string& host,
                                bool direct) = 0;
  /// Nothing before on_secured.
  [[nodiscard]] virtual const TlsFacts* tls() const = 0;

  [[nodiscard]] virtual PeerFacts peer() const = 0;
  /// The peer speaks for somebody else, whom `peer` gives from now on: an IPv6 address, or an IPv4
  /// one behind ::ffff. It is not taken for one of this machine, whatever it says.
  virtual void set_peer(const std::array<std::uint8_t, 16>& address, std::uint16_t port) = 0;

  /// Sends no more (the peer reads end of file after what was sent).
  virtual void shut_down_sending() = 0;

  /// Closes with a reset instead of an orderly end: the peer must not take what it has got for
  /// whole.
  virtual void reset() = 0;
};

/// One worker's way to the world.
class Io {
 public:
  virtual ~Io() = default;

  /// Begins to connect (names are resolved without blocking): on_connected or on_lost follows.
  virtual std::unique_ptr<Stream> connect(const Endpoint& endpoint, StreamEvents& owner) = 0;

  /// Takes the stream out of this worker's loop: no event comes after that. Its bytes that have not
  /// been read stay where they are.
  virtual void detach(Stream& stream) = 0;
  /// Puts a detached stream (from any worker) into this worker's loop.
  virtual void attach(Stream& stream, StreamEvents& owner) = 0;
  /// Lets somebody else of this worker have the stream's events from the next event on.
  virtual void set_owner(Stream& stream, StreamEvents& owner) = 0;

  /// Random bytes fit for keys.
  virtual void entropy(std::span<char> into) = 0;
  /// Seconds since 1970, for what other machines compare with their clocks.
  [[nodiscard]] virtual std::int64_t unix_time() const = 0;
};

/// What a worker's loop drives: the engine. Called by that worker's thread only. One turn is:
/// begin_turn, the mail, everything that is ready, end_turn; then the loop waits.
class Driven {
 public:
  /// Everything until end_turn happens at `now`.
  virtual void begin_turn(Instant now) = 0;
  /// Everything that was ready has been told; what is due by now is to be done here.
  virtual void end_turn() = 0;
  /// When the next turn must begin at the latest, asked after each turn, as of then. kNever: when
  /// something happens. The loop may come up to a millisecond late, never early.
  [[nodiscard]] virtual Instant next_deadline() const = 0;

  /// A client came in. Its stream has no owner yet: either give it one by Io::set_owner, or
  /// destroy it, before this returns.
  virtual void on_accepted(std::unique_ptr<Stream> stream, ListenerId listener) = 0;
  /// The system has no room for more connections; told once, until accepting goes on.
  virtual void on_accept_paused(const std::string& reason) { static_cast<void>(reason); }
  virtual void on_accept_resumed() {}

 protected:
  ~Driven() = default;
};

}  // namespace forebay::core
