#pragma once

#include <openssl/bio.h>

#include <cstddef>
#include <string>

#include "forebay/base/bytes.hpp"
#include "forebay/net/counters.hpp"

namespace forebay::net {

/// What a TLS session stands on: a socket, used through a BIO of ours.
///
/// Reading costs one recv for each time that the socket was found readable; after that the session
/// is told to come back, without a system call. Writing never fails from the session's view: what
/// the socket does not take is kept here until there is room, and after an error all is swallowed,
/// so that what the peer sent before can still be read.
class TlsWire {
 public:
  explicit TlsWire(int socket) : socket_(socket) {}
  TlsWire(const TlsWire&) = delete;
  TlsWire& operator=(const TlsWire&) = delete;

  /// A BIO on this, which must outlive it. Null when there is no memory.
  BIO* make_bio();

  /// Where system calls are counted; null for nowhere.
  void count_in(ReactorCounters* counters) noexcept { counters_ = counters; }

  /// The next read may ask the socket, once.
  void allow_receive() noexcept { may_receive_ = true; }
  /// Bytes that came before the session and are its first. The view must live until keep_early.
  void set_early(Bytes early) noexcept { early_ = early; }
  /// Copies what has not been read of them.
  void keep_early();

  /// Sends what was kept back.
  void flush();
  [[nodiscard]] bool has_unsent() const noexcept { return !unsent_.empty(); }

  [[nodiscard]] bool at_end() const noexcept { return at_end_; }
  [[nodiscard]] int receive_error() const noexcept { return receive_error_; }
  [[nodiscard]] int send_error() const noexcept { return send_error_; }

 private:
  friend struct TlsBio;

  /// More than a session has in flight: one burst of records and its alerts. Beyond it, a peer is
  /// making us answer without reading our answers.
  static constexpr std::size_t kMostUnsent = 256 * 1024;

  int read(char* into, int room, bool& again);
  int write(const char* from, int size);
  std::size_t try_send(Bytes bytes);

  int socket_;
  int receive_error_ = 0;
  int send_error_ = 0;
  bool may_receive_ = false;
  bool at_end_ = false;
  Bytes early_;
  std::string early_kept_;
  std::string unsent_;
  ReactorCounters* counters_ = nullptr;
};

}  // namespace forebay::net
