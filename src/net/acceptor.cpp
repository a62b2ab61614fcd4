#include "net/acceptor.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "forebay/net/descriptor.hpp"
#include "net/address.hpp"
#include "net/epoll_reactor.hpp"
#include "net/slots.hpp"
#include "net/system_error.hpp"

namespace forebay::net {
namespace {

bool no_room(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void Acceptor::add(std::shared_ptr<const Listener> listener, core::ListenerId id,
                   Reactor::Pick pick) {
  for (const int descriptor : listener->descriptors()) {
    const auto unused = std::ranges::find(places_, nullptr, &Place::listener);
    Place& place = unused != places_.end() ? *unused : places_.emplace_back();
    place = {listener, descriptor, id, pick, false};
  }
  if (resume_at_ == kNever) watch_all();
}

void Acceptor::remove(const Listener& listener) {
  for (Place& place : places_) {
    if (place.listener.get() != &listener) continue;
    if (place.watched) reactor_.unwatch(place.descriptor);
    place = {};
  }
}

void Acceptor::close() {
  for (const Place& place : places_) {
    if (place.watched) reactor_.unwatch(place.descriptor);
  }
  places_.clear();
  resume_at_ = kNever;
}

void Acceptor::watch_all() {
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    if (place.watched || place.listener == nullptr) continue;
    place.watched = reactor_.watch_listening(place.descriptor, SlotId(i, 0));
    if (!place.watched) return pause(errno);
  }
}

void Acceptor::on_ready(std::uint32_t index) {
  // Whoever is still waiting is reported again: a look for one more than there is costs as much as
  // most of an accept. Only where one batch follows another are they made larger.
  const std::uint64_t turn = reactor_.counted().turns.value();
  batch_ = turn == full_turn_ + 1 ? std::min(2 * batch_, kBatchMax) : 1;
  // What is called may close us, or pause us: each time, look again.
  for (int i = 0; i < batch_; ++i) {
    if (index >= places_.size() || !places_[index].watched || !accept_one(index)) return;
  }
  full_turn_ = turn;
}

/// False when there is nobody to accept, or no room.
bool Acceptor::accept_one(std::uint32_t index) {
  SocketAddress address;
  Descriptor accepted(::accept4(places_[index].descriptor, address.room(), address.room_size(),
                                SOCK_NONBLOCK | SOCK_CLOEXEC));
  reactor_.counted().accept.add();
  if (!accepted) {
    if (no_room(errno)) pause(errno);
    // Other errors are those of one connection, which is gone; the next may be fine.
    return errno != EAGAIN && !no_room(errno);
  }
  const PeerAddress peer(address, accepted.get());
  const core::ListenerId id = places_[index].id;
  Reactor& target = places_[index].pick ? places_[index].pick(id) : reactor_;
  if (std::exchange(told_, false)) reactor_.driven()->on_accept_resumed();
  if (&target == &reactor_) {
    reactor_.adopt(std::move(accepted), peer, id);
  } else {
    auto& other = static_cast<EpollReactor&>(target);
    other.post([&other, connection = std::move(accepted), peer, id]() mutable {
      other.adopt(std::move(connection), peer, id);
    });
  }
  return true;
}

void Acceptor::pause(int error) {
  for (Place& place : places_) {
    if (place.watched) reactor_.unwatch(place.descriptor);
    place.watched = false;
  }
  resume_at_ = reactor_.now() + kPause;
  if (told_ || reactor_.driven() == nullptr) return;
  told_ = true;
  reactor_.driven()->on_accept_paused("new clients have to wait: " + system_reason(error) +
                                      (error == EMFILE || error == ENFILE
                                           ? " (raise the limit of open files: LimitNOFILE, "
                                             "ulimit -n, or lower max_client_conn)"
                                           : " (the system lacks memory)"));
}

void Acceptor::go_on(Instant now) {
  if (now < resume_at_) return;
  resume_at_ = kNever;
  watch_all();
}

}  // namespace forebay::net
