#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"
#include "forebay/net/descriptor.hpp"

namespace forebay::net {

/// The sockets of one place where clients come in. Shared by all reactors, which accept from it;
/// immutable once made. The last one who lets go closes it and removes its socket file.
class Listener {
 public:
  /// How many connections the system keeps for us until we accept them (also limited by
  /// net.core.somaxconn).
  static constexpr int kBacklog = 4096;

  /// Listens on an address ("127.0.0.1", "::1"), on all ("*": both families), on the addresses of
  /// a name (looked up here, which may take a while), or on a Unix-domain socket (the host begins
  /// with '/'). `unix_mode` are the permissions of the socket file. A socket file that nobody
  /// serves any more is replaced; one that is served is an error. Port 0 takes any free port.
  static Result<std::shared_ptr<const Listener>> open(const Endpoint& endpoint,
                                                      std::uint32_t unix_mode = 0777);

  /// The same place with sockets that listen already, which another process has made. What it
  /// cannot be for is an error. The socket file stays the other one's: see `own_file`.
  static Result<std::shared_ptr<const Listener>> adopt(const Endpoint& endpoint,
                                                       std::vector<Descriptor> sockets);

  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  /// As asked for, with the port that the system chose where that was 0.
  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  /// The listening descriptors: one, or one for each address family. They stay ours.
  [[nodiscard]] const std::vector<int>& descriptors() const noexcept { return descriptors_; }
  /// Whether the socket file goes with the listener.
  void own_file(bool ours) const noexcept { owns_file_ = ours; }

 private:
  explicit Listener(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  Result<void> open_tcp();
  Result<void> open_unix(std::uint32_t mode);
  void note_file();

  Endpoint endpoint_;
  std::vector<int> descriptors_;
  std::uint64_t file_device_ = 0;  ///< of the socket file that we made, to remove no other
  std::uint64_t file_inode_ = 0;
  mutable std::atomic<bool> owns_file_{true};
};

}  // namespace forebay::net
