#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "bench/macro/sockets.hpp"

/// The floor: bytes go from each client to a server connection of its own and back, unread. Two
/// reads, two writes, and a wait that all share.
namespace forebay::bench {
namespace {

constexpr std::uint32_t kListening = 0xffffffff;
constexpr std::size_t kRoom = 64 * 1024;

/// One socket; its partner has the number with the lowest bit turned.
struct End {
  int socket = -1;
  std::string unsent;
  std::size_t at = 0;
  bool blocked = false;
};

class Relay {
 public:
  Relay(std::uint16_t listen_port, std::uint16_t server_port)
      : listening_(listen_at(listen_port)), server_port_(server_port) {
    poll_.add(listening_, kListening);
  }

  [[noreturn]] void run() {
    for (;;) {
      for (const epoll_event& event : poll_.wait(-1)) {
        const std::uint32_t number = event.data.u32;
        if (number == kListening) {
          accept();
        } else if (ends_[number].socket >= 0) {
          if ((event.events & EPOLLOUT) != 0) go_on(number);
          if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) pass(number);
        }
      }
    }
  }

 private:
  void accept() {
    const int client = accept_from(listening_);
    if (client < 0) return;
    const auto number = static_cast<std::uint32_t>(ends_.size());
    ends_.push_back({client});
    ends_.push_back({connect_to(server_port_)});
    poll_.add(client, number);
    poll_.add(ends_[number + 1].socket, number + 1);
  }

  void pass(std::uint32_t number) {
    End& to = ends_[number ^ 1];
    const Moved moved = receive(ends_[number].socket, room_);
    if (moved.flow == Flow::over) return close(number);
    if (moved.bytes == 0) return;
    to.unsent.assign(room_.data(), moved.bytes);
    to.at = 0;
    go_on(number ^ 1);
  }

  /// Sends what is there; while something is left, its source is not read.
  void go_on(std::uint32_t number) {
    End& end = ends_[number];
    const Flow flow = send_from(end.socket, end.unsent, end.at);
    if (flow == Flow::over) return close(number);
    if (flow == Flow::some) end.unsent.clear();
    if (std::exchange(end.blocked, flow == Flow::later) == end.blocked) return;
    watch(number);
    watch(number ^ 1);
  }

  void watch(std::uint32_t number) {
    const std::uint32_t reads = ends_[number ^ 1].blocked ? 0U : EPOLLIN;
    const std::uint32_t writes = ends_[number].blocked ? EPOLLOUT : 0U;
    poll_.change(ends_[number].socket, number, reads | writes);
  }

  void close(std::uint32_t number) {
    for (const std::uint32_t each : {number, number ^ 1}) {
      ::close(ends_[each].socket);
      ends_[each] = {};
    }
  }

  Poll poll_;
  int listening_;
  std::uint16_t server_port_;
  std::vector<End> ends_;
  std::vector<char> room_ = std::vector<char>(kRoom);
};

}  // namespace
}  // namespace forebay::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_relay LISTEN_PORT SERVER_PORT\n");
    return 2;
  }
  forebay::bench::Relay(static_cast<std::uint16_t>(std::atoi(argv[1])),
                        static_cast<std::uint16_t>(std::atoi(argv[2])))
      .run();
}
