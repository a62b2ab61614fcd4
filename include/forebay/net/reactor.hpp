#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "forebay/base/result.hpp"
#include "forebay/base/time.hpp"
#include "forebay/core/io.hpp"
#include "forebay/net/counters.hpp"
#include "forebay/net/listener.hpp"
#include "forebay/net/resolver.hpp"
#include "forebay/net/task.hpp"

namespace forebay::net {

struct ReactorOptions {
  /// Where the bytes of every stream arrive; also the most that one on_received brings. Three TLS
  /// records. In a relay of 1 MiB results this took 5 to 9% less CPU than 32 KiB; 64 KiB took more.
  std::size_t read_buffer_bytes = 48 * 1024;
  /// For connects to host names; null: such connects fail. Must outlive the reactor.
  Resolver* resolver = nullptr;
  /// How long one address may take to answer a connect: the last or only one, and one after which
  /// there are others to try.
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::milliseconds connect_timeout_with_others{3'000};
  /// A peer that acknowledges nothing of what was sent for five of these periods is lost.
  std::chrono::milliseconds peer_watch_period{5'000};
};

/// One worker's loop: epoll, the streams in it, and mail from other threads. Unless said
/// otherwise, everything is called by the thread that runs it. Streams must be destroyed or
/// detached before their reactor.
///
/// Of the interface core::Stream it makes this, beyond what stands there:
///  - Streams may be destroyed, detached and given another owner within any callback, also other
///    streams than the one that is told.
///  - `send` before on_connected or on_secured takes nothing and leads to on_writable. After
///    shut_down_sending, reset and on_lost it swallows.
///  - When a send fails, what the peer had still sent arrives before on_lost, unless paused.
///  - start_tls_server with `received` bytes is direct TLS: the client must offer "postgresql" by
///    ALPN. Without, it is the answer to an SSLRequest: bytes that came in the same on_received
///    behind that request were not protected; the owner must close the stream instead.
///  - start_tls_client: the owner has consumed one byte, 'S'; if more came in the same
///    on_received, it must close the stream. What else arrived before is found out here.
///  - TLS that ends without a close_notify is on_lost, not on_end: it may be cut.
///  - `reset` tells a TCP peer so; a Unix-domain peer merely reads end of file.
class Reactor : public core::Io {
 public:
  /// Who shall have a connection that was just accepted; called by the accepting reactor's thread.
  using Pick = std::function<Reactor&(core::ListenerId)>;

  /// Drives until `stop`.
  virtual void run(core::Driven& driven) = 0;
  /// One turn: waits for something to happen, at most so long.
  virtual void turn(core::Driven& driven, Duration longest_wait) = 0;
  /// Ends `run` after the turn in which this arrives. Any thread.
  virtual void stop() = 0;

  /// Has a task done in the loop, in the order of posting. Any thread. Tasks that are still there
  /// when the reactor goes are destroyed undone.
  virtual void post(Task task) = 0;

  /// Accepts from `listener`, until stop_accepting. Without `pick`, this reactor keeps what it
  /// accepts.
  virtual void listen(std::shared_ptr<const Listener> listener, core::ListenerId id,
                      Pick pick = {}) = 0;
  /// Lets go of one listener.
  virtual void stop_listening(const Listener& listener) = 0;
  /// Lets go of all listeners.
  virtual void stop_accepting() = 0;

  /// Any thread.
  [[nodiscard]] virtual const ReactorCounters& counters() const = 0;
};

/// Fails only when the system has no descriptors left.
Result<std::unique_ptr<Reactor>> make_reactor(const ReactorOptions& options = {});

}  // namespace forebay::net
