#include "app/http_server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

namespace forebay::app {
namespace {

int lowest_free_descriptor() {
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(descriptor);
  return descriptor;
}

/// A client that is connected, and not let in yet.
net::Descriptor at_the_door(HttpServer& server) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const where = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::getsockname(server.descriptor(), where, &size), 0);
  net::Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), where, size), 0);
  return client;
}

TEST(HttpServers, wait_when_there_is_no_descriptor_for_a_client) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UndefinedBehaviorSanitizer, which is with it, needs descriptors itself";
#endif
  boost::asio::io_context control{1};
  auto server = HttpServer::listen(control, Endpoint{"127.0.0.1", 0}, {});
  ASSERT_FALSE(server.has_error()) << server.error().message;
  const net::Descriptor client = at_the_door(**server);

  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free_descriptor());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(control.run_one(), 1u);
  EXPECT_EQ(control.poll_one(), 0u) << "it does not try again at once";
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(control.run_one(), 1u);  // the pause
  EXPECT_EQ(control.run_one(), 1u);  // it comes in
}

// Two clients are at the door: when the first has come in, the second has as well, and is to be
// told of in the next turn. The server may be gone by then.
TEST(HttpServers, may_go_while_a_client_comes_in) {
  boost::asio::io_context control{1};
  auto server = HttpServer::listen(control, Endpoint{"127.0.0.1", 0}, {});
  ASSERT_FALSE(server.has_error()) << server.error().message;
  const net::Descriptor first = at_the_door(**server);
  const net::Descriptor second = at_the_door(**server);
  EXPECT_EQ(control.poll_one(), 1u);
  (*server).reset();
  control.poll();
}

// Also of those that wait for an answer, while nothing is read or written.
TEST(HttpServers, have_so_many_connections_whatever_they_wait_for) {
  boost::asio::io_context control{1};
  std::vector<HttpPages::ReadinessDone> asked;
  HttpPages pages;
  pages.readiness = [&asked](std::string_view, HttpPages::ReadinessDone done) {
    asked.push_back(std::move(done));
  };
  auto server = HttpServer::listen(control, Endpoint{"127.0.0.1", 0}, std::move(pages));
  ASSERT_FALSE(server.has_error()) << server.error().message;

  constexpr std::size_t kMax = 32;
  std::vector<net::Descriptor> clients;
  const auto connected = [&clients] {
    std::size_t count = 0;
    for (const net::Descriptor& client : clients) {
      char byte = 0;
      if (::recv(client.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN) ++count;
    }
    return count;
  };
  constexpr std::string_view kRequest = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
  for (std::size_t i = 1; i <= 4 * kMax; ++i) {
    clients.push_back(at_the_door(**server));
    ASSERT_EQ(::send(clients.back().get(), kRequest.data(), kRequest.size(), 0),
              static_cast<ssize_t>(kRequest.size()));
    while (asked.size() < i) ASSERT_EQ(control.run_one(), 1u);
    ASSERT_EQ(connected(), std::min(i, kMax)) << i;
  }
  // Who has gone gets no answer, and the others do.
  for (const HttpPages::ReadinessDone& done : asked) done(Readiness{});
  asked.clear();
  control.poll();
  std::size_t answered = 0;
  for (const net::Descriptor& client : clients) {
    char byte = 0;
    if (::recv(client.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1) ++answered;
  }
  EXPECT_EQ(answered, kMax);
}

}  // namespace
}  // namespace forebay::app
