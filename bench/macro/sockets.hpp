#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// What the programs of the benchmark share: sockets on this machine's loopback, none of which ever
/// blocks. Whatever the system refuses ends the program: a benchmark that limps measures nothing.
namespace forebay::bench {

using Clock = std::chrono::steady_clock;

/// Ends the program with what failed and the system's reason.
[[noreturn]] void fail(const std::string& what);

/// Listens on 127.0.0.1.
int listen_at(std::uint16_t port);
/// Begins to connect to 127.0.0.1.
int connect_to(std::uint16_t port);
/// The next connection; -1 when nobody waits.
int accept_from(int listening);

/// What a recv or send came to.
enum class Flow { some, later, over };
struct Moved {
  Flow flow;
  std::size_t bytes;
};
Moved receive(int socket, std::span<char> into);
/// Sends from `at` on, and moves it.
Flow send_from(int socket, const std::string& bytes, std::size_t& at);

/// Level-triggered; every descriptor has a number of the program's own.
class Poll {
 public:
  Poll();
  void add(int descriptor, std::uint32_t number, std::uint32_t events = EPOLLIN);
  void change(int descriptor, std::uint32_t number, std::uint32_t events);
  /// Waits so long at most; the events are valid until the next call.
  std::span<const epoll_event> wait(int milliseconds);

 private:
  int epoll_;
  std::vector<epoll_event> events_{256};
};

}  // namespace forebay::bench
