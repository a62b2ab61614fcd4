#include <sys/epoll.h>

#include <cerrno>

#include "forebay/base/assert.hpp"
#include "net/epoll_reactor.hpp"
#include "net/socket_stream.hpp"
#include "net/system_error.hpp"

namespace forebay::net {

SocketStream::SocketStream(EpollReactor& reactor, core::StreamEvents& owner,
                           const Endpoint& endpoint)
    : reactor_(&reactor),
      owner_(&owner),
      connecting_(std::make_unique<Connecting>(endpoint)),
      slot_(reactor.add(*this)),
      phase_(Phase::connecting) {}

void SocketStream::connect_to_file() {
  const auto address = SocketAddress::unix_file(connecting_->endpoint().host);
  if (!address) {
    connecting_->set_reason(address.error().message);
    return queue();
  }
  connecting_->set_addresses({*address});
  try_addresses();
}

void SocketStream::connect_to(const Result<Resolver::Addresses>& addresses) {
  FB_ASSERT(phase_ == Phase::connecting);
  if (!addresses) {
    connecting_->set_reason(addresses.error().message);
    return queue();
  }
  std::vector<SocketAddress> numeric;
  for (const std::string& address : *addresses) {
    if (auto one = SocketAddress::numeric(address, connecting_->endpoint().port)) {
      numeric.push_back(*one);
    }
  }
  connecting_->set_addresses(std::move(numeric));
  try_addresses();
}

/// Begins attempts until one is under way, or all have failed. Tells nothing itself.
void SocketStream::try_addresses() {
  const ReactorOptions& options = reactor_->options();
  while (connecting_->more()) {
    reactor_->counted().connects.add();
    const int error = connecting_->try_next(descriptor_, options.connect_timeout,
                                            options.connect_timeout_with_others);
    if (error == 0) break;
    if (error == EINPROGRESS) {
      interest_ = EPOLLOUT;
      watched_ = reactor_->watch(descriptor_.get(), interest_, slot_);
      if (watched_) return;
      connecting_->note_failure(errno);
    } else {
      connecting_->note_failure(error);
    }
    descriptor_.close();
  }
  queue();
}

void SocketStream::on_connect_ready() {
  const int error = Connecting::outcome(descriptor_);
  if (error == 0) return on_connected();
  connecting_->note_failure(error);
  watched_ = false;
  descriptor_.close();
  if (connecting_->more()) return try_addresses();
  lose(connecting_->reason());
}

void SocketStream::on_connected() {
  const SocketAddress& address = connecting_->current();
  if (address.family() != AF_UNIX) end_connect_timeout(descriptor_.get());
  peer_ = PeerAddress(address, descriptor_.get());
  phase_ = Phase::open;
  connecting_.reset();
  if (watched_) {
    refresh_interest();
  } else {
    watch();
  }
  owner_->on_connected();
}

}  // namespace forebay::net
