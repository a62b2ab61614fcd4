#include "bench/macro/sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace forebay::bench {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int tcp_socket() {
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) fail("socket");
  const int on = 1;
  ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return made;
}

}  // namespace

void fail(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

int listen_at(std::uint16_t port) {
  const int made = tcp_socket();
  const int on = 1;
  ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(made, 4096) != 0) {
    fail("listen on port " + std::to_string(port));
  }
  return made;
}

int connect_to(std::uint16_t port) {
  const int made = tcp_socket();
  const sockaddr_in address = loopback(port);
  if (::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    fail("connect to port " + std::to_string(port));
  }
  return made;
}

int accept_from(int listening) {
  return ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

Moved receive(int socket, std::span<char> into) {
  const ssize_t size = ::recv(socket, into.data(), into.size(), 0);
  if (size > 0) return {Flow::some, static_cast<std::size_t>(size)};
  return {size < 0 && (errno == EAGAIN || errno == EINTR) ? Flow::later : Flow::over, 0};
}

Flow send_from(int socket, const std::string& bytes, std::size_t& at) {
  while (at < bytes.size()) {
    const ssize_t size = ::send(socket, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR ? Flow::later : Flow::over;
    at += static_cast<std::size_t>(size);
  }
  return Flow::some;
}

Poll::Poll() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) fail("epoll_create1");
}

void Poll::add(int descriptor, std::uint32_t number, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = number;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
}

void Poll::change(int descriptor, std::uint32_t number, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = number;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) != 0) fail("epoll_ctl");
}

std::span<const epoll_event> Poll::wait(int milliseconds) {
  const int count =
      ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), milliseconds);
  if (count < 0 && errno != EINTR) fail("epoll_wait");
  return {events_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace forebay::bench
