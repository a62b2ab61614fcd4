#include "support/raw_peer.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace forebay::net::test {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address address_of(const Endpoint& endpoint) {
  Address address;
  if (endpoint.is_unix()) {
    auto& local = reinterpret_cast<sockaddr_un&>(address.storage);
    local.sun_family = AF_UNIX;
    std::strncpy(local.sun_path, endpoint.host.c_str(), sizeof local.sun_path - 1);
    address.size = sizeof local;
  } else if (endpoint.host.find(':') == std::string::npos) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    ::inet_pton(AF_INET, endpoint.host.c_str(), &v4.sin_addr);
    address.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    ::inet_pton(AF_INET6, endpoint.host.c_str(), &v6.sin6_addr);
    address.size = sizeof v6;
  }
  return address;
}

}  // namespace

RawPeer::RawPeer(const Endpoint& endpoint) {
  Address address = address_of(endpoint);
  socket_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(socket_, address.get(), address.size), 0) << std::strerror(errno);
}

void RawPeer::send(Bytes bytes) const {
  while (!bytes.empty()) {
    const ssize_t size = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(size, 0) << std::strerror(errno);
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

std::string RawPeer::receive_some() const {
  std::string text(1 << 16, '\0');
  const ssize_t size = ::recv(socket_, text.data(), text.size(), MSG_DONTWAIT);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

bool RawPeer::at_end() const {
  char byte;
  return ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

bool RawPeer::was_reset() const {
  char byte;
  return ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == ECONNRESET;
}

void RawPeer::shut_down_sending() const {
  ::shutdown(socket_, SHUT_WR);
}

void RawPeer::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void RawPeer::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

void RawPeer::go_deaf() const {
  sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{.len = 1, .filter = &drop};
  EXPECT_EQ(::setsockopt(socket_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

RawListener::RawListener(Family family, int backlog) : endpoint_(endpoint_for(family)) {
  Address address = address_of(endpoint_);
  socket_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(socket_, address.get(), address.size), 0) << std::strerror(errno);
  EXPECT_EQ(::listen(socket_, backlog), 0);
  if (family == Family::unix_file) return;
  ::getsockname(socket_, address.get(), &address.size);
  endpoint_.port = ntohs(reinterpret_cast<sockaddr_in&>(address.storage).sin_port);
}

RawListener::~RawListener() {
  ::close(socket_);
}

RawPeer RawListener::accept() const {
  const int accepted = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
  EXPECT_GE(accepted, 0) << std::strerror(errno);
  return RawPeer(accepted);
}

Served::Served(Loop& loop, Family family) : listener(listen_for(family)) {
  loop.driven.when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
    loop.reactor->set_owner(*stream, server);
    server.stream = std::move(stream);
  };
  loop.reactor->listen(listener, core::ListenerId(0));
  peer.emplace(listener->endpoint());
  EXPECT_TRUE(loop.until([&] { return server.stream != nullptr; }));
  loop.reactor->stop_accepting();
  loop.driven.when_accepted = nullptr;
}

}  // namespace forebay::net::test
