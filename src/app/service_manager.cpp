#include "app/service_manager.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "forebay/base/endpoint.hpp"

namespace forebay::app {

// The protocol of sd_notify(3): one datagram to the socket that the environment names.
void tell_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = path == nullptr ? 0 : std::strlen(path);
  if (size < 2 || size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // a name without a file
  std::string text(state);
  if (state == "RELOADING=1") {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    text += "\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1000);
  }
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  ::sendto(socket, text.data(), text.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  ::close(socket);
}

namespace {

/// The first descriptor that is handed over, sd_listen_fds(3).
constexpr int kFirst = 3;

/// The number in a variable that is meant for this process, as another one says; 0: there is none.
std::uint64_t number_for_us(const char* name, const char* process) {
  const char* value = std::getenv(name);
  const char* us = std::getenv(process);
  if (value == nullptr || (us != nullptr && std::strtoll(us, nullptr, 10) != ::getpid())) return 0;
  return std::strtoull(value, nullptr, 10);
}

/// As `listen` has it; any address of either family is "*".
std::string place_of(int socket) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return {};
  char text[INET6_ADDRSTRLEN] = {};
  if (bound.ss_family == AF_UNIX) return reinterpret_cast<const sockaddr_un*>(&bound)->sun_path;
  std::uint16_t port = 0;
  if (bound.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&bound);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    port = ntohs(v4->sin_port);
  } else if (bound.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&bound);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    port = ntohs(v6->sin6_port);
  }
  const std::string address(text);
  return to_string(Endpoint{address == "0.0.0.0" || address == "::" ? "*" : address, port});
}

}  // namespace

std::chrono::microseconds watchdog_interval() {
  return std::chrono::microseconds(number_for_us("WATCHDOG_USEC", "WATCHDOG_PID"));
}

HandedSockets activated_sockets() {
  HandedSockets sockets;
  const auto count = static_cast<int>(number_for_us("LISTEN_FDS", "LISTEN_PID"));
  for (int number = kFirst; number < kFirst + count; ++number) {
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    sockets.add("listen " + place_of(number), net::Descriptor(number));
  }
  ::unsetenv("LISTEN_FDS");  // they are not for programs that we start
  return sockets;
}

}  // namespace forebay::app
