#include "app/takeover.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <sstream>
#include <system_error>

namespace forebay::app {
namespace {

constexpr std::string_view kAsk = "takeover 1\n";
constexpr std::string_view kReady = "ready\n";
constexpr std::string_view kLeaving = "leaving\n";
/// How long the process that leaves may take to answer.
constexpr std::chrono::seconds kPatience{60};
/// After an accept that failed.
constexpr std::chrono::milliseconds kPause{100};
constexpr std::size_t kSocketsMax = 253;  // the kernel's SCM_MAX_FD
constexpr std::size_t kTextMax = 64UL << 10;

std::string reason() {
  return std::generic_category().message(errno);
}

struct Message {
  std::string text;
  std::vector<net::Descriptor> sockets;
};

bool send(int peer, std::string_view text, const std::vector<int>& sockets = {}) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char room[CMSG_SPACE(kSocketsMax * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!sockets.empty()) {
    message.msg_control = room;
    message.msg_controllen = CMSG_SPACE(sockets.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sockets.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), sockets.data(), sockets.size() * sizeof(int));
  }
  return ::sendmsg(peer, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

/// What the other side sent at once. Empty at the end, and upon an error.
Message receive(int peer) {
  Message result;
  result.text.resize(kTextMax);
  iovec part{result.text.data(), result.text.size()};
  alignas(cmsghdr) char room[CMSG_SPACE(kSocketsMax * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  const ssize_t size = ::recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
  result.text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  if (size <= 0) return result;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> numbers((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(numbers.data(), CMSG_DATA(header), numbers.size() * sizeof(int));
    for (const int number : numbers) result.sockets.emplace_back(number);
  }
  return result;
}

/// Who is at the other end; an error if it is another user.
Result<pid_t> process_at(int peer) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return failure(reason());
  if (who.uid != ::geteuid()) {
    return failure("process " + std::to_string(who.pid) + " belongs to user " +
                   std::to_string(who.uid) + ", and this one to user " +
                   std::to_string(::geteuid()));
  }
  return who.pid;
}

}  // namespace

void HandedSockets::add(const std::string& name, net::Descriptor socket) {
  auto place = std::ranges::find(places_, name, &Place::name);
  if (place == places_.end()) place = places_.insert(place, Place{name, {}});
  place->sockets.push_back(std::move(socket));
}

void HandedSockets::add(const std::string& name) {
  places_.push_back({name, {}});
}

std::vector<std::string> HandedSockets::all(std::string_view kind) const {
  std::vector<std::string> names;
  for (const Place& place : places_) {
    if (place.name.starts_with(kind)) names.push_back(place.name.substr(kind.size()));
  }
  return names;
}

std::vector<std::string> HandedSockets::left() const {
  std::vector<std::string> names;
  for (const Place& place : places_) {
    if (!place.sockets.empty()) names.push_back(place.name);
  }
  return names;
}

std::vector<net::Descriptor> HandedSockets::take(std::string_view name) {
  const auto place = std::ranges::find(places_, name, &Place::name);
  return place == places_.end() ? std::vector<net::Descriptor>{}
                                : std::exchange(place->sockets, {});
}

// ---------------------------------------------------------------- who leaves

TakeoverHost::TakeoverHost(boost::asio::io_context& control,
                           std::shared_ptr<const net::Listener> listener, Owner owner,
                           std::chrono::seconds patience)
    : listener_(std::move(listener)),
      owner_(std::move(owner)),
      given_(patience),
      door_(control, listener_->descriptors().front()),
      peer_(control),
      patience_(control),
      pause_(control) {
  accept();
}

TakeoverHost::~TakeoverHost() {
  door_.release();  // the listener's
}

TakeoverHost::Later TakeoverHost::during(const std::shared_ptr<const bool>& what,
                                         std::function<void()> then) {
  return [what = std::weak_ptr(what), then = std::move(then)](const auto& error) {
    if (!error && !what.expired()) then();
  };
}

void TakeoverHost::accept() {
  door_.async_wait(boost::asio::posix::descriptor_base::wait_read, during(here_, [this] {
                     net::Descriptor peer(::accept4(door_.native_handle(), nullptr, nullptr,
                                                    SOCK_NONBLOCK | SOCK_CLOEXEC));
                     // There may be no descriptor for whoever waits at the door.
                     if (!peer) return accept_later();
                     // One at a time: whoever else comes is let go.
                     if (conversation_ == nullptr) begin(std::move(peer));
                     accept();
                   }));
}

void TakeoverHost::accept_later() {
  pause_.expires_after(kPause);
  pause_.async_wait(during(here_, [this] { accept(); }));
}

void TakeoverHost::begin(net::Descriptor peer) {
  const auto by = process_at(peer.get());
  if (by.has_error()) return owner_.refused(by.error().message);
  by_ = *by;
  conversation_ = std::make_shared<const bool>(true);
  peer_.assign(peer.release());
  patience_.expires_after(given_);
  patience_.async_wait(during(conversation_, [this] { end("it took too long"); }));
  await(&TakeoverHost::give);
}

void TakeoverHost::await(void (TakeoverHost::*step)(const std::string& said)) {
  peer_.async_wait(
      boost::asio::posix::descriptor_base::wait_read,
      during(conversation_, [this, step] { (this->*step)(receive(peer_.native_handle()).text); }));
}

void TakeoverHost::give(const std::string& said) {
  if (said != kAsk) return end("it asked for something else");
  std::string text;
  std::vector<int> sockets;
  for (const Place& place : owner_.places()) {
    text += std::to_string(place.sockets.size()) + " " + place.name + "\n";
    sockets.insert(sockets.end(), place.sockets.begin(), place.sockets.end());
  }
  if (sockets.size() > kSocketsMax) {
    return end("there are " + std::to_string(sockets.size()) + " sockets, and at most " +
               std::to_string(kSocketsMax) + " can be handed over");
  }
  if (!send(peer_.native_handle(), text, sockets)) return end(reason());
  await(&TakeoverHost::leave);
}

void TakeoverHost::leave(const std::string& said) {
  if (said != kReady) return end("it ended before it was ready");
  send(peer_.native_handle(), kLeaving);
  finish();
  owner_.taken(by_);
}

void TakeoverHost::end(const std::string& why) {
  finish();
  owner_.refused("process " + std::to_string(by_) + ": " + why);
}

void TakeoverHost::finish() {
  conversation_.reset();
  patience_.cancel();
  peer_.close();
}

// ---------------------------------------------------------------- who comes

Result<Takeover> Takeover::begin(const std::string& path) {
  const auto fail = [&](const std::string& why) {
    return failure("cannot take over at " + path + ": " + why);
  };
  Takeover result;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail("the path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  result.peer_ = net::Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{kPatience.count(), 0};
  ::setsockopt(result.peer_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(result.peer_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return fail(reason() + " (a Forebay with this takeover_socket has to run)");
  }
  if (const auto by = process_at(result.peer_.get()); by.has_error()) {
    return fail(by.error().message);
  }
  if (!send(result.peer_.get(), kAsk)) return fail(reason());
  Message message = receive(result.peer_.get());
  if (message.text.empty()) return fail("the other process refused; its log says why");
  std::istringstream lines(message.text);
  auto socket = message.sockets.begin();
  std::size_t count = 0;
  std::string name;
  while (lines >> count && lines.ignore(1) && std::getline(lines, name)) {
    if (count > static_cast<std::size_t>(message.sockets.end() - socket)) {
      return fail("sockets are missing (the limit of open files may be too low)");
    }
    if (count == 0) result.sockets_.add(name);
    for (; count > 0; --count) result.sockets_.add(name, std::move(*socket++));
  }
  return {boost::system::in_place_value, std::move(result)};
}

Result<void> Takeover::finish() {
  if (send(peer_.get(), kReady) && receive(peer_.get()).text == kLeaving) return {};
  return failure("the process whose place was taken has ended, or does not leave");
}

}  // namespace forebay::app
