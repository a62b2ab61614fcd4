#include "net/address.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <charconv>
#include <cstring>

namespace forebay::net {
namespace {

template <class T>
T& as(sockaddr_storage& storage) {
  return reinterpret_cast<T&>(storage);
}

template <class T>
const T& as(const sockaddr_storage& storage) {
  return reinterpret_cast<const T&>(storage);
}

std::string address_text(int family, const void* bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(family, bytes, text, sizeof text);
  return text;
}

// Every client's address comes by here; inet_ntop formats it with printf.
std::string v4_text(const std::array<unsigned char, 4>& bytes) {
  std::array<char, 20> text{};
  char* at = text.data();
  for (const unsigned char byte : bytes) {
    at = std::to_chars(at, text.data() + text.size(), static_cast<unsigned>(byte)).ptr;
    *at++ = '.';
  }
  return {text.data(), at - 1};
}

}  // namespace

Result<SocketAddress> SocketAddress::unix_file(const std::string& path) {
  SocketAddress made;
  auto& address = as<sockaddr_un>(made.storage_);
  if (path.size() >= sizeof address.sun_path) {
    return failure("the path of the socket file " + path + " has " + std::to_string(path.size()) +
                   " bytes; the system allows " + std::to_string(sizeof address.sun_path - 1) +
                   ": choose a shorter one");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  made.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return made;
}

std::optional<SocketAddress> SocketAddress::numeric(const std::string& host, std::uint16_t port) {
  SocketAddress made;
  auto& v4 = as<sockaddr_in>(made.storage_);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    made.size_ = sizeof v4;
    return made;
  }
  auto& v6 = as<sockaddr_in6>(made.storage_);
  const std::size_t percent = host.find('%');
  if (::inet_pton(AF_INET6, host.substr(0, percent).c_str(), &v6.sin6_addr) != 1) return {};
  if (percent != std::string::npos) {
    v6.sin6_scope_id = ::if_nametoindex(host.c_str() + percent + 1);
    if (v6.sin6_scope_id == 0) return {};
  }
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  made.size_ = sizeof v6;
  return made;
}

SocketAddress SocketAddress::any(int family, std::uint16_t port) {
  return *numeric(family == AF_INET ? "0.0.0.0" : "::", port);
}

std::uint16_t SocketAddress::port() const noexcept {
  switch (family()) {
    case AF_INET:
      return ntohs(as<sockaddr_in>(storage_).sin_port);
    case AF_INET6:
      return ntohs(as<sockaddr_in6>(storage_).sin6_port);
    default:
      return 0;
  }
}

SocketAddress SocketAddress::copy(const sockaddr& from, socklen_t size) {
  SocketAddress made;
  std::memcpy(&made.storage_, &from, size);
  made.size_ = size;
  return made;
}

void SocketAddress::set_port(std::uint16_t port) noexcept {
  if (family() == AF_INET) as<sockaddr_in>(storage_).sin_port = htons(port);
  if (family() == AF_INET6) as<sockaddr_in6>(storage_).sin6_port = htons(port);
}

std::string SocketAddress::text() const {
  switch (family()) {
    case AF_INET:
      return address_text(AF_INET, &as<sockaddr_in>(storage_).sin_addr) + ":" +
             std::to_string(port());
    case AF_INET6:
      return "[" + address_text(AF_INET6, &as<sockaddr_in6>(storage_).sin6_addr) +
             "]:" + std::to_string(port());
    case AF_UNIX:
      return as<sockaddr_un>(storage_).sun_path;
    default:
      return "an unknown address";
  }
}

bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept {
  return a.size() == b.size() && std::memcmp(a.get(), b.get(), a.size()) == 0;
}

PeerAddress::PeerAddress(const SocketAddress& address, int descriptor) : port_(address.port()) {
  switch (address.family()) {
    case AF_INET: {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.get());
      kind_ = Kind::v4;
      std::memcpy(bytes_.data(), &v4->sin_addr, 4);
      return;
    }
    case AF_INET6: {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.get());
      const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
      kind_ = mapped ? Kind::v4 : Kind::v6;
      std::memcpy(bytes_.data(), v6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
      return;
    }
    case AF_UNIX: {
      kind_ = Kind::unix_file;
      ucred peer{};
      socklen_t size = sizeof peer;
      uid_known_ = ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
      uid_ = peer.uid;
      return;
    }
    default:
      return;
  }
}

PeerAddress::PeerAddress(const std::array<std::uint8_t, 16>& address, std::uint16_t port)
    : port_(port) {
  in6_addr v6{};
  std::memcpy(&v6, address.data(), address.size());
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
  kind_ = mapped ? Kind::told_v4 : Kind::told_v6;
  std::memcpy(bytes_.data(), address.data() + (mapped ? 12 : 0), mapped ? 4 : 16);
}

core::PeerFacts PeerAddress::facts() const {
  core::PeerFacts facts;
  facts.port = port_;
  switch (kind_) {
    case Kind::unknown:
      break;
    case Kind::v4:
    case Kind::told_v4:
      facts.address = v4_text({bytes_[0], bytes_[1], bytes_[2], bytes_[3]});
      facts.loopback = kind_ == Kind::v4 && bytes_[0] == 127;
      break;
    case Kind::v6:
    case Kind::told_v6:
      facts.address = address_text(AF_INET6, bytes_.data());
      facts.loopback = kind_ == Kind::v6 && facts.address == "::1";
      break;
    case Kind::unix_file:
      facts.address = "unix";
      facts.loopback = true;
      facts.unix_socket = true;
      if (uid_known_) facts.uid = uid_;
      break;
  }
  return facts;
}

}  // namespace forebay::net
