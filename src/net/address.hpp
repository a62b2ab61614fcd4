#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"
#include "forebay/core/io.hpp"

namespace forebay::net {

/// An address in the system's form.
class SocketAddress {
 public:
  SocketAddress() = default;

  /// Of a socket file. Fails when the path is too long for the system (107 bytes).
  static Result<SocketAddress> unix_file(const std::string& path);
  /// Nothing when `host` is not a numeric IPv4 or IPv6 address (a zone may follow: "fe80::1%eth0").
  static std::optional<SocketAddress> numeric(const std::string& host, std::uint16_t port);
  /// All local addresses of a family.
  static SocketAddress any(int family, std::uint16_t port);
  static SocketAddress copy(const sockaddr& from, socklen_t size);

  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage_);
  }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  /// As people write it: "127.0.0.1:5432", "[::1]:5432", "/run/s".
  [[nodiscard]] std::string text() const;

  /// For the system to write into (accept, getsockname).
  sockaddr* room() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t* room_size() noexcept {
    size_ = sizeof storage_;
    return &size_;
  }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept;

/// Who is at the other end, in few bytes, as each stream keeps it.
class PeerAddress {
 public:
  PeerAddress() = default;
  /// `descriptor` is asked for the user of a Unix-domain peer.
  PeerAddress(const SocketAddress& address, int descriptor);

  /// As somebody said who speaks for it; an IPv4 address behind ::ffff.
  PeerAddress(const std::array<std::uint8_t, 16>& address, std::uint16_t port);

  [[nodiscard]] bool is_unix() const noexcept { return kind_ == Kind::unix_file; }
  [[nodiscard]] core::PeerFacts facts() const;

 private:
  /// `told`: by whoever speaks for it.
  enum class Kind : std::uint8_t { unknown, v4, v6, told_v4, told_v6, unix_file };

  std::array<unsigned char, 16> bytes_{};  ///< IPv4: the first four
  std::uint32_t uid_ = 0;
  std::uint16_t port_ = 0;
  Kind kind_ = Kind::unknown;
  bool uid_known_ = false;
};

}  // namespace forebay::net
