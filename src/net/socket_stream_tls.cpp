#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "forebay/base/assert.hpp"
#include "net/epoll_reactor.hpp"
#include "net/socket_stream.hpp"
#include "net/system_error.hpp"

namespace forebay::net {
namespace {

/// Goes through pieces in portions of one record.
class Portions {
 public:
  Portions(std::span<const Bytes> pieces, std::span<char> scratch)
      : pieces_(pieces), scratch_(scratch) {}

  void skip(std::size_t size) {
    while (size > 0) {
      const std::size_t here = std::min(size, pieces_.front().size() - offset_);
      size -= here;
      advance(here);
    }
  }

  /// The next bytes, at most so many; empty at the end. Valid until the next call. Small pieces
  /// are put together, so that they travel in one record.
  Bytes next(std::size_t most) {
    Bytes first = rest_of_piece();
    if (first.size() >= most || pieces_.size() <= 1) {
      first = first.substr(0, most);
      if (!first.empty()) advance(first.size());
      return first;
    }
    std::size_t filled = 0;
    while (filled < most && !pieces_.empty()) {
      const Bytes some = rest_of_piece().substr(0, most - filled);
      std::memcpy(scratch_.data() + filled, some.data(), some.size());
      filled += some.size();
      advance(some.size());
    }
    return {scratch_.data(), filled};
  }

 private:
  [[nodiscard]] Bytes rest_of_piece() const {
    return pieces_.empty() ? Bytes() : pieces_.front().substr(offset_);
  }
  void advance(std::size_t size) {
    offset_ += size;
    while (!pieces_.empty() && offset_ == pieces_.front().size()) {
      pieces_ = pieces_.subspan(1);
      offset_ = 0;
    }
  }

  std::span<const Bytes> pieces_;
  std::size_t offset_ = 0;
  std::span<char> scratch_;
};

bool something_arrived(int socket) {
  char byte;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

std::shared_ptr<const OpenSslContext> ours(std::shared_ptr<const core::TlsContext> context) {
  FB_ASSERT(context != nullptr);
  return std::static_pointer_cast<const OpenSslContext>(std::move(context));
}

}  // namespace

void SocketStream::start_tls_server(std::shared_ptr<const core::TlsContext> context,
                                    Bytes received) {
  if (phase_ == Phase::over) return;
  FB_ASSERT(phase_ == Phase::open && reactor_ != nullptr && !tls_);
  auto session = TlsSession::as_server(ours(std::move(context)), descriptor_.get(),
                                       /*direct=*/!received.empty());
  if (session) (*session)->wire().set_early(received);
  start_tls(std::move(session));
}

void SocketStream::start_tls_client(std::shared_ptr<const core::TlsContext> context,
                                    const std::string& host, bool direct) {
  if (phase_ == Phase::over) return;
  FB_ASSERT(phase_ == Phase::open && reactor_ != nullptr && !tls_);
  if (something_arrived(descriptor_.get())) {
    return doom("the server sent bytes between its consent to TLS and the handshake, unprotected");
  }
  start_tls(TlsSession::as_client(ours(std::move(context)), descriptor_.get(), host, direct));
}

/// The first step is made here, or in a turn that has room for it; the owner is told in a later
/// one.
void SocketStream::start_tls(Result<std::unique_ptr<TlsSession>> session) {
  if (!session) return doom(session.error().message);
  if (receiving_ == Receiving::ended) {
    return doom("TLS handshake failed: the peer closed the connection before it");
  }
  tls_ = std::move(*session);
  tls_->wire().count_in(&reactor_->counted());
  if (!reactor_->takes_handshake() || tls_->handshake() != TlsSession::Progress::waits) queue();
  tls_->wire().keep_early();
  refresh_interest();
}

const core::TlsFacts* SocketStream::tls() const {
  return tls_ ? tls_->facts() : nullptr;
}

void SocketStream::continue_handshake(bool ready) {
  EpollReactor& reactor = *reactor_;
  const SlotId self = slot_;
  if (!reactor.takes_handshake()) {
    if (!ready) queue();  // else epoll says so again
    return;
  }
  if (ready) tls_->wire().allow_receive();
  switch (tls_->handshake()) {
    case TlsSession::Progress::waits:
      return refresh_interest();
    case TlsSession::Progress::failed:
      return lose(tls_->failure_reason());
    case TlsSession::Progress::done:
      break;
  }
  reactor.counted().handshakes.add();
  refresh_interest();
  owner_->on_secured();
  if (!reactor.holds(self)) return;
  // The peer's first bytes may have come together with the end of its handshake.
  if (wants_bytes() && tls_->has_more()) read_secured(false);
}

void SocketStream::read_secured(bool ready) {
  EpollReactor& reactor = *reactor_;
  const SlotId self = slot_;
  const bool broken = sending_ == Sending::broken;
  if (ready) tls_->wire().allow_receive();
  // One recv was allowed, so this ends after what one recv can bring.
  for (;;) {
    const std::span<char> room = reactor.read_buffer();
    const TlsSession::Got got = tls_->read(room);
    if (got.bytes > 0) {
      reactor.heard(self);
      owner_->on_received({room.data(), got.bytes});
      if (!reactor.holds(self)) return;
    }
    if (tls_->wire().has_unsent()) refresh_interest();  // TLS itself may have answered
    if (got.after == TlsSession::After::failure)
      return lose(broken_ ? *broken_ : tls_->failure_reason());
    if (!wants_bytes()) return;
    if (got.after == TlsSession::After::end) return tell_end();
    if (got.bytes == 0) {
      if (broken && ready) lose(*broken_);
      return;
    }
    if (!tls_->has_more()) return;
  }
}

std::size_t SocketStream::send_secured(std::span<const Bytes> pieces, std::size_t offered) {
  TlsWire& wire = tls_->wire();
  Portions portions(pieces, reactor_->scratch());
  std::size_t taken = std::min(tls_->already_written, offered);
  portions.skip(taken);
  tls_->already_written -= taken;
  while (taken < offered && !wire.has_unsent()) {
    const Bytes portion = portions.next(TlsSession::kRecord);
    if (!tls_->write(portion)) {
      break_sending(tls_->failure_reason());
      return offered;
    }
    if (wire.send_error() != 0) {
      break_sending(system_reason(wire.send_error()));
      return offered;
    }
    // A record that the socket did not take whole is not yet sent as far as the owner knows: if
    // the owner goes now, it must not believe that these bytes arrive. It offers them again, and
    // then they are passed over.
    if (wire.has_unsent()) {
      tls_->already_written = portion.size();
    } else {
      taken += portion.size();
    }
  }
  if (taken < offered || wire.has_unsent()) {
    sending_ = Sending::blocked;
    refresh_interest();
  }
  reactor_->sent(slot_);
  return taken;
}

}  // namespace forebay::net
