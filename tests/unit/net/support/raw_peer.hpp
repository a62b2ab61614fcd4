#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "forebay/base/bytes.hpp"
#include "forebay/base/endpoint.hpp"
#include "support/loop.hpp"

namespace forebay::net::test {

/// The other end of a stream, as a bare socket that does what no stream of ours would do.
class RawPeer {
 public:
  /// Connects; the system accepts on behalf of a listener that sleeps.
  explicit RawPeer(const Endpoint& endpoint);
  explicit RawPeer(int socket) : socket_(socket) {}
  RawPeer(RawPeer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~RawPeer() { close(); }

  [[nodiscard]] int socket() const { return socket_; }
  /// All of it; the peer must read meanwhile, or it must fit.
  void send(Bytes bytes) const;
  /// What has arrived, without waiting; nothing at the end of file or after a reset.
  std::string receive_some() const;
  /// Whether the end of file, or a reset, is the next thing to read; without waiting.
  [[nodiscard]] bool at_end() const;
  [[nodiscard]] bool was_reset() const;
  void shut_down_sending() const;
  void close();
  /// Closes with a reset.
  void reset();
  /// From now on nothing reaches this socket, not even for the system to acknowledge.
  void go_deaf() const;

 private:
  int socket_;
};

/// A bare listening socket.
class RawListener {
 public:
  explicit RawListener(Family family, int backlog = 16);
  ~RawListener();
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] int socket() const { return socket_; }
  /// Waits for a connection.
  [[nodiscard]] RawPeer accept() const;

 private:
  Endpoint endpoint_;
  int socket_;
};

/// A stream in a loop, and a bare socket at its other end.
struct Served {
  Served(Loop& loop, Family family);

  std::shared_ptr<const Listener> listener;
  Owner server;
  std::optional<RawPeer> peer;
};

}  // namespace forebay::net::test
