#include "net/tls_wire.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/socket_calls.hpp"

namespace forebay::net {

/// The functions that OpenSSL calls.
struct TlsBio {
  static TlsWire& wire(BIO* bio) { return *static_cast<TlsWire*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* into, int room) {
    BIO_clear_retry_flags(bio);
    bool again = false;
    const int size = wire(bio).read(into, room, again);
    if (again) BIO_set_retry_read(bio);
    return size;
  }

  static int write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    return wire(bio).write(from, size);
  }

  static long control(BIO* bio, int command, long, void*) {
    switch (command) {
      case BIO_CTRL_FLUSH:
        return 1;
      case BIO_CTRL_EOF:
        return wire(bio).at_end_ ? 1 : 0;
      default:
        return 0;
    }
  }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "forebay");
      if (m == nullptr) return m;
      BIO_meth_set_read(m, read);
      BIO_meth_set_write(m, write);
      BIO_meth_set_ctrl(m, control);
      return m;
    }();
    return made;
  }
};

BIO* TlsWire::make_bio() {
  const BIO_METHOD* method = TlsBio::method();
  BIO* bio = method == nullptr ? nullptr : BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

void TlsWire::keep_early() {
  std::string rest(early_);  // which may be a view of early_kept_
  early_kept_ = std::move(rest);
  early_ = early_kept_;
}

int TlsWire::read(char* into, int room, bool& again) {
  if (!early_.empty()) {
    const std::size_t size = std::min(early_.size(), static_cast<std::size_t>(room));
    std::memcpy(into, early_.data(), size);
    early_.remove_prefix(size);
    if (early_.empty()) std::string().swap(early_kept_);
    return static_cast<int>(size);
  }
  if (at_end_) return 0;
  if (!may_receive_) {
    again = true;
    return -1;
  }
  may_receive_ = false;
  const ssize_t size = receive(socket_, into, static_cast<std::size_t>(room), 0);
  if (counters_ != nullptr) {
    counters_->recv.add();
    if (size > 0) counters_->received_bytes.add(static_cast<std::uint64_t>(size));
  }
  if (size > 0) return static_cast<int>(size);
  if (size == 0) {
    at_end_ = true;
    return 0;
  }
  again = errno == EAGAIN || errno == EINTR;
  if (again && counters_ != nullptr) counters_->recv_eagain.add();
  if (!again) receive_error_ = errno;
  return -1;
}

int TlsWire::write(const char* from, int size) {
  const Bytes bytes(from, static_cast<std::size_t>(size));
  if (unsent_.empty()) {
    unsent_.assign(bytes.substr(try_send(bytes)));
  } else {
    if (unsent_.size() + bytes.size() > kMostUnsent) return -1;
    unsent_.append(bytes);
  }
  return size;
}

void TlsWire::flush() {
  const std::size_t sent = try_send(unsent_);
  unsent_.erase(0, sent);
  if (unsent_.empty()) std::string().swap(unsent_);  // it would keep its memory otherwise
}

/// How many of the bytes nobody has to care for any more.
std::size_t TlsWire::try_send(Bytes bytes) {
  if (send_error_ != 0) return bytes.size();
  const ssize_t size = send_on(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  const std::size_t sent = size < 0 ? 0 : static_cast<std::size_t>(size);
  if (counters_ != nullptr) {
    counters_->send.add();
    counters_->sent_bytes.add(sent);
    if (sent < bytes.size()) counters_->send_short.add();
  }
  if (size >= 0 || errno == EAGAIN || errno == EINTR) return sent;
  send_error_ = errno;
  return bytes.size();
}

}  // namespace forebay::net
