#include "net/connecting.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "forebay/base/assert.hpp"
#include "net/system_error.hpp"

namespace forebay::net {
namespace {

void set_option(int socket, int level, int name, int value) {
  // A socket without one of these options still works: failing here is not worth a word.
  static_cast<void>(::setsockopt(socket, level, name, &value, sizeof value));
}

void set_connect_timeout(int socket, std::chrono::milliseconds timeout) {
  // In the state SYN_SENT this limits how long the system repeats the SYN.
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(timeout.count()));
}

/// A socket that connects to a free port of this machine may be given that very port as its own,
/// and then it is connected to itself.
bool connected_to_itself(int socket) {
  SocketAddress here;
  SocketAddress there;
  return ::getsockname(socket, here.room(), here.room_size()) == 0 &&
         ::getpeername(socket, there.room(), there.room_size()) == 0 && here == there;
}

std::string advice(int error, bool unix_file) {
  switch (error) {
    case ECONNREFUSED:
      return unix_file ? " (nobody listens there any more: is the server running?)"
                       : " (is the server running there, and listening on that address and port?)";
    case ENOENT:
      return " (is the server running, and is this the path of its socket?)";
    case EACCES:
    case EPERM:
      return " (check the permissions of the socket file, or the firewall)";
    case EADDRNOTAVAIL:
      return " (no local port is free: fewer connections, or a wider net.ipv4.ip_local_port_range)";
    case EMFILE:
    case ENFILE:
      return " (raise the limit of open files: LimitNOFILE, ulimit -n, fs.file-max)";
    case EAGAIN:
      return unix_file ? " (its queue of waiting connections is full)" : "";
    default:
      return "";
  }
}

}  // namespace

void set_tcp_options(int socket) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

void end_connect_timeout(int socket) {
  set_connect_timeout(socket, std::chrono::milliseconds(0));
}

int Connecting::try_next(Descriptor& socket, std::chrono::milliseconds timeout,
                         std::chrono::milliseconds timeout_with_others) {
  FB_ASSERT(more());
  const SocketAddress& address = addresses_[next_++];
  socket = Descriptor(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  if (address.family() != AF_UNIX) {
    set_tcp_options(socket.get());
    set_connect_timeout(socket.get(), more() ? timeout_with_others : timeout);
  }
  if (::connect(socket.get(), address.get(), address.size()) == 0) return 0;
  return errno == EINTR ? EINPROGRESS : errno;
}

int Connecting::outcome(const Descriptor& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  if (error == 0 && connected_to_itself(socket.get())) return ECONNREFUSED;
  return error;
}

void Connecting::note_failure(int error) {
  if (!failures_.empty()) failures_ += "; ";
  failures_ += "could not connect to ";
  const std::string address = current().text();
  const std::string name = to_string(endpoint_);
  failures_ += name == address ? name : name + " (" + address + ")";
  failures_ += ": " + system_reason(error) + advice(error, endpoint_.is_unix());
}

std::string Connecting::reason() const {
  return failures_.empty()
             ? "could not connect to " + to_string(endpoint_) + ": the name has no address"
             : failures_;
}

}  // namespace forebay::net
