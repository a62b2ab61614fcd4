#include "net/socket_stream.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "forebay/base/assert.hpp"
#include "net/epoll_reactor.hpp"
#include "net/socket_calls.hpp"
#include "net/system_error.hpp"

namespace forebay::net {
namespace {

/// When sending broke, the peer's last words are still read, but not more than this often.
constexpr std::uint8_t kLastReads = 16;
/// Pieces in one system call.
constexpr std::size_t kMostPieces = 64;
/// How often what the peer had sent is thrown away before closing.
constexpr int kMostDiscards = 64;

/// Closing a socket with unread bytes sends a reset, which destroys what the peer has not read
/// yet, such as our error message. So they are read first.
void discard_received(int socket) {
  std::array<char, 16 * 1024> scrap;
  for (int i = 0; i < kMostDiscards; ++i) {
    if (::recv(socket, scrap.data(), scrap.size(), MSG_DONTWAIT) <= 0) return;
  }
}

/// Sends as many pieces as fit into one call, and takes them off. `tried` is what they amount to.
[[gnu::noinline]] ssize_t gather(int socket, std::span<const Bytes>& pieces, std::size_t& tried) {
  std::array<iovec, kMostPieces> vectors;
  const std::size_t count = std::min(pieces.size(), vectors.size());
  tried = 0;
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
    tried += pieces[i].size();
  }
  pieces = pieces.subspan(count);
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  return send_message(socket, message, MSG_NOSIGNAL);
}

// A part of every idle client. What only some need stands behind pointers.
static_assert(sizeof(SocketStream) <= 96);

int take_error(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

SocketStream::SocketStream(Descriptor descriptor, const PeerAddress& peer)
    : descriptor_(std::move(descriptor)), peer_(peer), phase_(Phase::open) {}

SocketStream::~SocketStream() {
  if (phase_ == Phase::over) return;
  if (tls_ && (sending_ == Sending::open || sending_ == Sending::blocked)) tls_->close_notify();
  const bool last_words = reactor_ == nullptr || reactor_->unanswered(slot_);
  if (phase_ == Phase::open && receiving_ == Receiving::open && last_words) {
    discard_received(descriptor_.get());
  }
  close();
}

// In and out of a reactor.

void SocketStream::join(EpollReactor& reactor, core::StreamEvents* owner) {
  FB_ASSERT(reactor_ == nullptr);
  FB_ASSERT(phase_ == Phase::open);
  reactor_ = &reactor;
  owner_ = owner;
  slot_ = reactor.add(*this);
  if (tls_) tls_->wire().count_in(&reactor.counted());
  watch();
  if (sending_ == Sending::broken || (tls_ && tls_->has_more())) queue();
}

void SocketStream::leave() {
  FB_ASSERT(phase_ != Phase::connecting);
  if (reactor_ == nullptr) return;
  if (watched_) reactor_->unwatch(descriptor_.get());
  watched_ = false;
  queued_ = false;
  if (phase_ != Phase::over) reactor_->remove(slot_);
  if (tls_) tls_->wire().count_in(nullptr);
  reactor_ = nullptr;
  owner_ = nullptr;
}

void SocketStream::watch() {
  interest_ = (wants_bytes() ? EPOLLIN : 0U) | (wants_room() ? EPOLLOUT : 0U);
  watched_ = reactor_->watch(descriptor_.get(), interest_, slot_);
  if (!watched_) doom("could not watch the connection: " + system_reason(errno));
}

void SocketStream::refresh_interest() {
  if (!watched_) return;
  const std::uint32_t wanted = (wants_bytes() ? EPOLLIN : 0U) | (wants_room() ? EPOLLOUT : 0U);
  if (wanted == interest_) return;
  interest_ = wanted;
  reactor_->rewatch(descriptor_.get(), interest_, slot_);
}

bool SocketStream::handshaking() const noexcept {
  return tls_ && !tls_->secured();
}

bool SocketStream::wants_bytes() const noexcept {
  return receiving_ == Receiving::open && (!paused_ || handshaking());
}

bool SocketStream::wants_room() const noexcept {
  if (tls_ && tls_->wire().has_unsent()) return true;
  return sending_ == Sending::shutting || (sending_ == Sending::blocked && !handshaking());
}

void SocketStream::queue() {
  if (queued_) return;
  queued_ = true;
  reactor_->queue(slot_);
}

// Events.

void SocketStream::on_ready(std::uint32_t events) {
  if (phase_ == Phase::connecting) return on_connect_ready();
  EpollReactor& reactor = *reactor_;
  const SlotId self = slot_;
  FB_ASSERT(owner_ != nullptr);
  if ((events & EPOLLOUT) != 0 && wants_room()) {
    on_room();
    if (!reactor.holds(self)) return;
  }
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) return;
  if (wants_bytes()) return on_bytes(true);
  on_nothing_to_read(events);
}

void SocketStream::on_due() {
  queued_ = false;
  if (phase_ == Phase::connecting) {
    return descriptor_ ? on_connected() : lose(connecting_->reason());
  }
  if (sending_ != Sending::broken) {
    if (wants_bytes()) on_bytes(false);
    return;
  }
  if (!wants_bytes() || last_reads_ == 0) return lose(*broken_);
  --last_reads_;
  EpollReactor& reactor = *reactor_;
  const SlotId self = slot_;
  on_bytes(true);
  if (reactor.holds(self)) queue();
}

/// `ready`: the socket may be read, once; else only what the TLS session has already got.
void SocketStream::on_bytes(bool ready) {
  if (handshaking()) return continue_handshake(ready);
  if (tls_) return read_secured(ready);
  if (ready) read_plain();
}

void SocketStream::read_plain() {
  const std::span<char> room = reactor_->read_buffer();
  const ssize_t size = receive(descriptor_.get(), room.data(), room.size(), 0);
  reactor_->counted().recv.add();
  if (size > 0) {
    reactor_->counted().received_bytes.add(static_cast<std::uint64_t>(size));
    reactor_->heard(slot_);
    return owner_->on_received({room.data(), static_cast<std::size_t>(size)});
  }
  if (size == 0) return tell_end();
  if (errno != EAGAIN && errno != EINTR) return lose(system_reason(errno));
  reactor_->counted().recv_eagain.add();
  if (sending_ == Sending::broken) lose(*broken_);
}

/// The loss of a paused stream is told; its bytes and its end wait.
void SocketStream::on_nothing_to_read(std::uint32_t events) {
  refresh_interest();  // a pause reaches epoll only now, when it matters
  if ((events & EPOLLERR) != 0) {
    const int error = take_error(descriptor_.get());
    return lose(error == 0 && broken_ ? *broken_ : system_reason(error));
  }
  if ((events & EPOLLHUP) == 0) return;
  // Both directions have ended. epoll would say so again and again, and there is nothing to do
  // before bytes are wanted, which watches anew.
  reactor_->unwatch(descriptor_.get());
  watched_ = false;
}

void SocketStream::on_room() {
  EpollReactor& reactor = *reactor_;
  const SlotId self = slot_;
  if (tls_ && tls_->wire().has_unsent()) {
    tls_->wire().flush();
    if (tls_->wire().has_unsent()) return;
    if (tls_->wire().send_error() != 0) break_sending(system_reason(tls_->wire().send_error()));
  }
  if (sending_ == Sending::shutting) {
    ::shutdown(descriptor_.get(), SHUT_WR);
    sending_ = Sending::shut;
  } else if (sending_ == Sending::blocked && !handshaking()) {
    sending_ = Sending::open;
    owner_->on_writable();
    if (!reactor.holds(self)) return;
  }
  refresh_interest();
}

void SocketStream::tell_end() {
  if (sending_ == Sending::broken) return lose(*broken_);
  receiving_ = Receiving::ended;
  refresh_interest();
  owner_->on_end();
}

void SocketStream::lose(std::string reason) {
  core::StreamEvents& owner = *owner_;
  // The alert that says why a handshake failed shall reach the peer.
  if (handshaking()) discard_received(descriptor_.get());
  close();
  owner.on_lost(reason);
}

void SocketStream::close() {
  if (phase_ == Phase::connecting && reactor_->options().resolver != nullptr) {
    reactor_->options().resolver->unreachable(connecting_->endpoint().host);
  }
  phase_ = Phase::over;
  descriptor_.close();  // which also takes it out of epoll
  watched_ = false;
  if (reactor_ == nullptr) return;
  reactor_->remove(slot_);
  reactor_->connection_closed();
}

// What the owner asks for.

void SocketStream::resume() {
  if (!paused_) return;
  paused_ = false;
  if (reactor_ == nullptr || phase_ != Phase::open || receiving_ == Receiving::ended) return;
  if (watched_) {
    refresh_interest();
  } else {
    watch();
  }
  if (tls_ && tls_->has_more()) queue();
}

std::size_t SocketStream::send(std::span<const Bytes> pieces) {
  std::size_t offered = 0;
  for (const Bytes piece : pieces) offered += piece.size();
  if (offered == 0) return 0;
  if (phase_ == Phase::over) return offered;
  FB_ASSERT(reactor_ != nullptr);
  switch (sending_) {
    case Sending::open:
      break;
    case Sending::blocked:
      return 0;
    case Sending::shutting:
    case Sending::shut:
    case Sending::broken:
      return offered;
  }
  if (phase_ == Phase::connecting || handshaking()) {
    sending_ = Sending::blocked;
    return 0;
  }
  return tls_ ? send_secured(pieces, offered) : send_plain(pieces, offered);
}

std::size_t SocketStream::send_plain(std::span<const Bytes> pieces, std::size_t offered) {
  std::size_t taken = 0;
  while (taken < offered) {
    std::size_t tried = pieces[0].size();
    ssize_t size;
    if (pieces.size() == 1) {
      size = send_on(descriptor_.get(), pieces[0].data(), tried, MSG_NOSIGNAL);
    } else {
      size = gather(descriptor_.get(), pieces, tried);
    }
    reactor_->counted().send.add();
    if (size < 0 && errno != EAGAIN && errno != EINTR) {
      break_sending(system_reason(errno));
      return offered;
    }
    const std::size_t sent = size < 0 ? 0 : static_cast<std::size_t>(size);
    taken += sent;
    reactor_->counted().sent_bytes.add(sent);
    if (sent == tried) continue;
    reactor_->counted().send_short.add();
    sending_ = Sending::blocked;
    refresh_interest();
    break;
  }
  reactor_->sent(slot_);
  return taken;
}

void SocketStream::break_sending(std::string reason) {
  if (sending_ == Sending::broken) return;
  sending_ = Sending::broken;
  broken_ = std::make_unique<std::string>(std::move(reason));
  last_reads_ = kLastReads;
  queue();
}

void SocketStream::doom(std::string reason) {
  break_sending(std::move(reason));
  last_reads_ = 0;
  queue();
}

void SocketStream::shut_down_sending() {
  if (phase_ != Phase::open) return;
  if (sending_ != Sending::open && sending_ != Sending::blocked) return;
  if (tls_ && tls_->secured()) tls_->close_notify();
  if (tls_ && tls_->wire().has_unsent()) {
    sending_ = Sending::shutting;
  } else {
    ::shutdown(descriptor_.get(), SHUT_WR);
    sending_ = Sending::shut;
  }
  refresh_interest();
}

void SocketStream::reset() {
  if (phase_ == Phase::over) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

std::optional<tcp_info> SocketStream::tcp_facts() const {
  if (phase_ != Phase::open || peer_.is_unix()) return {};
  tcp_info facts{};
  socklen_t size = sizeof facts;
  if (::getsockopt(descriptor_.get(), IPPROTO_TCP, TCP_INFO, &facts, &size) != 0) return {};
  return facts;
}

}  // namespace forebay::net
