#include "net/epoll_reactor.hpp"

#include <sys/eventfd.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "forebay/base/assert.hpp"
#include "net/socket_calls.hpp"
#include "net/socket_stream.hpp"
#include "net/system_error.hpp"
#include "net/tls_session.hpp"

namespace forebay::net {

using std::chrono::milliseconds;

Result<std::unique_ptr<Reactor>> make_reactor(const ReactorOptions& options) {
  Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  Descriptor event(epoll ? ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1);
  if (event) {
    auto made = std::make_unique<EpollReactor>(options, std::move(epoll), std::move(event));
    if (made->start()) return std::unique_ptr<Reactor>(std::move(made));
  }
  return failure("could not make a worker's loop: " + system_reason(errno) +
                 " (raise the limit of open files)");
}

EpollReactor::EpollReactor(const ReactorOptions& options, Descriptor epoll, Descriptor event)
    : options_(options),
      epoll_(std::move(epoll)),
      mailbox_(std::make_shared<Mailbox>(std::move(event), counters_)),
      peer_watch_(options.peer_watch_period),
      acceptor_(*this),
      read_buffer_(options.read_buffer_bytes),
      scratch_(TlsSession::kRecord),
      now_(std::chrono::steady_clock::now()) {}

EpollReactor::~EpollReactor() {
  acceptor_.close();
  mailbox_->close();
  FB_ASSERT(slots_.size() == 0);  // streams go before their reactor
}

bool EpollReactor::start() {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = SlotId(kMailboxIndex, 0).key();
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, mailbox_->event(), &event) == 0;
}

// The loop.

void EpollReactor::run(core::Driven& driven) {
  while (!stopping_) turn(driven, Duration::max());
  stopping_ = false;
}

void EpollReactor::stop() {
  post([this] { stopping_ = true; });
}

void EpollReactor::post(Task task) {
  // What is posted may be done, and lead to our end, before the posting thread is out of here: the
  // mailbox stays for it.
  const std::shared_ptr<Mailbox> mailbox = mailbox_;
  mailbox->post(std::move(task));
}

void EpollReactor::turn(core::Driven& driven, Duration longest_wait) {
  driven_ = &driven;
  const int count = wait(longest_wait);
  now_ = std::chrono::steady_clock::now();
  counters_.turns.add();
  handshakes_left_ = kHandshakes;
  driven.begin_turn(now_);
  do_mail();
  do_due();
  do_events(count);
  acceptor_.go_on(now_);
  peer_watch_.look(slots_, now_);
  driven.end_turn();
}

int EpollReactor::wait(Duration longest_wait) {
  int timeout = timeout_in_ms(longest_wait);
  if (timeout != 0 && !mailbox_->may_sleep()) timeout = 0;
  const int count = wait_for_events(epoll_.get(), events_.data(), kEvents, timeout);
  counters_.epoll_wait.add();
  FB_ASSERT(count >= 0 || errno == EINTR);
  return std::max(count, 0);
}

/// Until the next deadline, rounded up so that the loop does not turn before it; -1 for ever. The
/// clock was read when the turn began: what the turn has taken is not worth another look.
int EpollReactor::timeout_in_ms(Duration longest_wait) {
  if (!due_.empty() || stopping_) return 0;
  const Instant deadline =
      std::min({driven_->next_deadline(), acceptor_.due(), peer_watch_.due(now_)});
  if (deadline <= now_) return 0;
  Duration wait = longest_wait;
  if (deadline != kNever) wait = std::min(wait, deadline - now_);
  if (wait == Duration::max()) return -1;
  const auto rounded = std::chrono::ceil<milliseconds>(wait).count();
  return static_cast<int>(std::clamp<std::int64_t>(rounded, 0, 3'600'000));
}

void EpollReactor::do_mail() {
  mailbox_->take(mail_);
  for (Task& task : mail_) task();
  counters_.mails.add(mail_.size());
  mail_.clear();
}

void EpollReactor::do_due() {
  due_now_.swap(due_);
  for (const SlotId id : due_now_) {
    if (SocketStream* stream = slots_.find(id)) stream->on_due();
  }
  due_now_.clear();
}

void EpollReactor::do_events(int count) {
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    const SlotId id = SlotId::from_key(event.data.u64);
    if (id.generation() != 0) {
      if (SocketStream* stream = slots_.find(id)) stream->on_ready(event.events);
    } else if (id.index() != kMailboxIndex) {
      acceptor_.on_ready(id.index());
    }
  }
}

// core::Io

std::unique_ptr<core::Stream> EpollReactor::connect(const Endpoint& endpoint,
                                                    core::StreamEvents& owner) {
  auto stream = std::make_unique<SocketStream>(*this, owner, endpoint);
  if (endpoint.is_unix()) {
    stream->connect_to_file();
  } else if (SocketAddress::numeric(endpoint.host, endpoint.port)) {
    stream->connect_to(Resolver::Addresses{endpoint.host});
  } else if (options_.resolver == nullptr) {
    stream->connect_to(failure("could not resolve host name \"" + endpoint.host +
                               "\": only addresses can be used here"));
  } else {
    // The answer may come after the stream, and after the reactor: it finds out by the slot, and
    // by the mailbox.
    options_.resolver->resolve(endpoint.host, [this, mailbox = mailbox_, id = stream->slot()](
                                                  const Result<Resolver::Addresses>& addresses) {
      mailbox->post([this, id, addresses] {
        if (SocketStream* waiting = slots_.find(id)) waiting->connect_to(addresses);
      });
    });
  }
  return stream;
}

void EpollReactor::detach(core::Stream& stream) {
  static_cast<SocketStream&>(stream).leave();
}

void EpollReactor::attach(core::Stream& stream, core::StreamEvents& owner) {
  static_cast<SocketStream&>(stream).join(*this, &owner);
}

void EpollReactor::set_owner(core::Stream& stream, core::StreamEvents& owner) {
  static_cast<SocketStream&>(stream).set_owner(owner);
}

void EpollReactor::entropy(std::span<char> into) {
  for (char& byte : into) {
    if (entropy_left_ == 0) fetch_entropy();
    byte = std::exchange(entropy_[--entropy_left_], '\0');
  }
}

// A login takes several keys; one call serves many of them. What was given out is not kept.
void EpollReactor::fetch_entropy() {
  ssize_t size = 0;
  while ((size = ::getrandom(entropy_.data(), entropy_.size(), 0)) < 0) {
    FB_ASSERT(errno == EINTR);  // the system has no other reason to refuse
  }
  entropy_left_ = static_cast<std::size_t>(size);
}

// What is watched.

bool EpollReactor::watch(int descriptor, std::uint32_t interest, SlotId id) {
  counters_.epoll_ctl.add();
  epoll_event event{};
  event.events = interest;
  event.data.u64 = id.key();
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void EpollReactor::rewatch(int descriptor, std::uint32_t interest, SlotId id) {
  counters_.epoll_ctl.add();
  epoll_event event{};
  event.events = interest;
  event.data.u64 = id.key();
  FB_ASSERT(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event) == 0);
}

void EpollReactor::unwatch(int descriptor) {
  counters_.epoll_ctl.add();
  FB_ASSERT(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr) == 0);
}

bool EpollReactor::watch_listening(int descriptor, SlotId id) {
  // Exclusive: one connection wakes one worker, not all.
  return watch(descriptor, EPOLLIN | EPOLLEXCLUSIVE, id);
}

void EpollReactor::listen(std::shared_ptr<const Listener> listener, core::ListenerId id,
                          Pick pick) {
  acceptor_.add(std::move(listener), id, std::move(pick));
}

void EpollReactor::adopt(Descriptor descriptor, const PeerAddress& peer,
                         core::ListenerId listener) {
  counters_.accepted.add();
  auto stream = std::make_unique<SocketStream>(std::move(descriptor), peer);
  SocketStream& made = *stream;
  made.join(*this, nullptr);
  const SlotId id = made.slot();
  driven_->on_accepted(std::move(stream), listener);
  FB_ASSERT(!holds(id) || slots_.find(id)->has_owner());
}

}  // namespace forebay::net
