#include "app/takeover.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstring>
#include <optional>

namespace forebay::app {
namespace {

using std::chrono::seconds;

class TakeoverHosts : public ::testing::Test {
 protected:
  ~TakeoverHosts() override {
    host.reset();
    listener.reset();
    ::rmdir(folder);
  }

  void wait_for_somebody(seconds patience = seconds(60)) {
    ASSERT_NE(::mkdtemp(folder), nullptr);
    path = std::string(folder) + "/takeover";
    auto opened = net::Listener::open(Endpoint{path, 0}, 0600);
    ASSERT_FALSE(opened.has_error()) << opened.error().message;
    listener = std::move(opened.value());
    host.emplace(control, listener,
                 TakeoverHost::Owner{.places =
                                         [this] {
                                           ++asked;
                                           return std::vector<TakeoverHost::Place>{};
                                         },
                                     .taken = [this](pid_t) { ++taken; },
                                     .refused = [this](const std::string&) { ++refused; }},
                 patience);
  }

  net::Descriptor come(std::string_view said) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    net::Descriptor peer(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(peer.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    EXPECT_EQ(::send(peer.get(), said.data(), said.size(), 0), static_cast<ssize_t>(said.size()));
    return peer;
  }

  char folder[32] = "/tmp/forebay-takeover-XXXXXX";
  std::string path;
  boost::asio::io_context control{1};
  std::shared_ptr<const net::Listener> listener;
  std::optional<TakeoverHost> host;
  int asked = 0;
  int taken = 0;
  int refused = 0;
};

TEST_F(TakeoverHosts, a_conversation_that_has_ended_is_not_ended_again_by_its_time) {
  wait_for_somebody(seconds(0));
  const net::Descriptor peer = come("something else\n");
  while (refused == 0) control.run_one();
  control.poll();
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(asked, 0);
}

TEST_F(TakeoverHosts, without_a_descriptor_for_it_somebody_waits_at_the_door) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UndefinedBehaviorSanitizer, which is with it, needs descriptors itself";
#endif
  wait_for_somebody();
  const net::Descriptor peer = come("takeover 1\n");
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const net::Descriptor next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const rlimit none{static_cast<rlim_t>(next.get()), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(control.run_one(), 1u);
  EXPECT_EQ(control.poll_one(), 0u) << "it does not try again at once";
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  while (asked == 0) control.run_one();
  EXPECT_EQ(refused, 0);
}

}  // namespace
}  // namespace forebay::app
