#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "forebay/base/endpoint.hpp"
#include "forebay/net/descriptor.hpp"
#include "net/address.hpp"

namespace forebay::net {

/// What a stream keeps while its connection is being made: which addresses are still to be tried,
/// and what went wrong with the others.
class Connecting {
 public:
  explicit Connecting(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }

  /// Where to connect to, in this order.
  void set_addresses(std::vector<SocketAddress> addresses) { addresses_ = std::move(addresses); }
  [[nodiscard]] bool more() const noexcept { return next_ < addresses_.size(); }
  /// The attempt under way, or the last one.
  [[nodiscard]] const SocketAddress& current() const { return addresses_[next_ - 1]; }

  /// Begins with the next address, which must be there. 0: connected; EINPROGRESS: wait until
  /// `socket` is writable; else what went wrong.
  [[nodiscard]] int try_next(Descriptor& socket, std::chrono::milliseconds timeout,
                             std::chrono::milliseconds timeout_with_others);
  /// What became of an attempt that was in progress: an errno.
  static int outcome(const Descriptor& socket);

  /// Notes why the current address did not do.
  void note_failure(int error);
  /// Why there is no connection, for people.
  [[nodiscard]] std::string reason() const;
  void set_reason(std::string reason) { failures_ = std::move(reason); }

 private:
  Endpoint endpoint_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  std::string failures_;
};

/// Takes away the time limit that only connecting has.
void end_connect_timeout(int socket);

/// Small packets at once, and probes that find a vanished peer within a minute. Sockets that are
/// accepted have it from their listening socket.
void set_tcp_options(int socket);

}  // namespace forebay::net
