#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "forebay/net/listener.hpp"
#include "forebay/net/reactor.hpp"
#include "support/rig.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

/// System calls of a transaction: the whole program but its main function, over real sockets.
namespace forebay::test {
namespace {

constexpr std::size_t kServers = 20;

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  explicit Socket(const Endpoint& to) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  Socket(Socket&& other) noexcept
      : received(std::move(other.received)),
        started(other.started),
        descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  void send(Bytes bytes) const {
    EXPECT_EQ(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Adds what has arrived to `received`.
  void receive() {
    char room[65536];
    const ssize_t size = ::recv(descriptor_, room, sizeof room, MSG_DONTWAIT);
    if (size > 0) received.append(room, static_cast<std::size_t>(size));
  }

  std::string received;
  bool started = false;

 private:
  int descriptor_;
};

config::Config config_for(const Endpoint& server) {
  config::Config config = plain_config();
  config.databases["app"].hosts = {server};
  config.pool.pool_size = kServers;
  return config;
}

/// An engine on a reactor that the test turns, with clients and servers at bare sockets.
class Setting {
 public:
  explicit Setting(std::size_t crowd) {
    shared_.courier = &courier_;
    reactor_->listen(entrance_, core::ListenerId(0));
    for (std::size_t i = 0; i < crowd; ++i) add_client();
  }
  ~Setting() { engine_.reset(); }

  void add_client() {
    static const std::string startup =
        encode_startup(split(R"(Startup 3.0 user="u" database="app")")[0]);
    Socket& client = clients.emplace_back(entrance_->endpoint());
    client.send(startup);
    until([&] { return client.received.ends_with(ready_); });
    client.received.clear();
  }

  /// Every client says it at once; until all have the whole reply.
  void all_say(const std::string& request, const std::string& reply) {
    for (Socket& client : clients) client.send(request);
    reply_ = reply;
    until([&] {
      for (const Socket& client : clients) {
        if (client.received.size() < reply.size()) return false;
      }
      return true;
    });
    for (Socket& client : clients) {
      EXPECT_EQ(client.received, reply);
      client.received.clear();
    }
  }

  [[nodiscard]] const net::ReactorCounters& counters() const { return reactor_->counters(); }

  std::vector<Socket> clients;

 private:
  template <class Condition>
  void until(const Condition& so) {
    for (int i = 0; i < 100'000 && !so(); ++i) {
      reactor_->turn(*engine_, std::chrono::milliseconds(1));
      serve();
      for (Socket& client : clients) client.receive();
    }
    ASSERT_TRUE(so());
  }

  // Each server answers whatever it is sent with the one reply, as soon as it has all of it.
  void serve() {
    for (;;) {
      const int accepted = ::accept(exit_->descriptors().front(), nullptr, nullptr);
      if (accepted < 0) break;
      servers_.emplace_back(accepted);
    }
    for (Socket& server : servers_) {
      server.receive();
      if (server.received.empty()) continue;
      server.received.clear();
      server.send(std::exchange(server.started, true) ? reply_ : welcome_);
    }
  }

  class NoCourier final : public core::Courier {
   public:
    void send(core::WorkerId, core::Mail) override {}
  };

  const std::string ready_ = backend("ReadyForQuery I");
  const std::string welcome_ =
      backend(R"(AuthenticationOk ; BackendKeyData 7 "key!" ; ReadyForQuery I)");
  std::string reply_;
  std::shared_ptr<const net::Listener> entrance_ = *net::Listener::open({"127.0.0.1", 0});
  std::shared_ptr<const net::Listener> exit_ = *net::Listener::open({"127.0.0.1", 0});
  ListJournal journal_;
  NoCourier courier_;
  core::Shared shared_{1, journal_};
  std::unique_ptr<net::Reactor> reactor_ = std::move(*net::make_reactor());
  std::unique_ptr<core::Engine> engine_ = std::make_unique<core::Engine>(core::Engine::Setup{
      core::WorkerId(0), *reactor_, shared_, make_runtime(config_for(exit_->endpoint()))});
  std::vector<Socket> servers_;
};

struct Calls {
  explicit Calls(const net::ReactorCounters& counters)
      : recv(counters.recv.value()),
        eagain(counters.recv_eagain.value()),
        send(counters.send.value()),
        control(counters.epoll_ctl.value()),
        wake_ups(counters.wake_ups.value()) {}
  std::uint64_t recv, eagain, send, control, wake_ups;
};

/// Two reads, two writes, and a share in a wait: also for clients that had to wait for a server.
void expect_budget(std::size_t clients, const std::string& request, const std::string& reply) {
  constexpr std::size_t kRounds = 20;
  Setting setting(clients);
  for (int i = 0; i < 5; ++i) setting.all_say(request, reply);
  const Calls before(setting.counters());
  for (std::size_t i = 0; i < kRounds; ++i) setting.all_say(request, reply);
  const Calls after(setting.counters());
  EXPECT_EQ(after.recv - before.recv, 2 * kRounds * clients);
  EXPECT_EQ(after.send - before.send, 2 * kRounds * clients);
  EXPECT_EQ(after.eagain - before.eagain, 0u);
  EXPECT_EQ(after.control - before.control, 0u);
  EXPECT_EQ(after.wake_ups - before.wake_ups, 0u);
}

const std::string kQuery = frontend(R"(Query "select 1")");
const std::string kReply =
    backend(R"(RowDescription "c" ; DataRow "1" ; CommandComplete "SELECT 1" ; ReadyForQuery I)");

TEST(Calls, of_a_query_with_a_server_for_everybody) {
  expect_budget(16, kQuery, kReply);
}

TEST(Calls, of_a_query_when_clients_wait_for_servers) {
  expect_budget(64, kQuery, kReply);
}

TEST(Calls, of_a_query_when_many_clients_wait_for_servers) {
  expect_budget(256, kQuery, kReply);
}

TEST(Calls, of_a_pipeline_are_those_of_one_query) {
  std::string request;
  std::string reply;
  for (int i = 0; i < 100; ++i) {
    request += kQuery;
    reply += kReply;
  }
  expect_budget(16, request, reply);
}

TEST(Calls, of_a_login_that_needs_no_server_are_two) {
  Setting setting(4);
  setting.all_say(kQuery, kReply);
  const Calls before(setting.counters());
  setting.add_client();
  const Calls after(setting.counters());
  EXPECT_EQ(after.recv - before.recv, 1u);
  EXPECT_EQ(after.send - before.send, 1u) << "AuthenticationOk and what follows it in one";
  EXPECT_EQ(after.control - before.control, 1u);
  EXPECT_EQ(after.eagain - before.eagain, 0u);
}

}  // namespace
}  // namespace forebay::test
