#include "forebay/net/listener.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>

#include "forebay/net/descriptor.hpp"
#include "net/address.hpp"
#include "net/connecting.hpp"
#include "net/system_error.hpp"

namespace forebay::net {
namespace {

/// Two of us who start at the same time must not both find a stale socket file and replace each
/// other's. The directory is locked meanwhile, which leaves no file behind.
class DirectoryLock {
 public:
  static Result<DirectoryLock> of_file(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
    DirectoryLock lock;
    lock.directory_ = Descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock.directory_) {
      return failure("could not open the directory " + directory + ": " + system_reason(errno) +
                     " (it must exist, and we must be allowed to read it)");
    }
    constexpr int kTries = 200;  // others hold it for milliseconds
    for (int i = 0; i < kTries; ++i) {
      if (::flock(lock.directory_.get(), LOCK_EX | LOCK_NB) == 0) return lock;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return failure("could not lock the directory " + directory +
                   ": another process holds a lock on it (see lslocks)");
  }

 private:
  Descriptor directory_;
};

Error cannot_listen(const std::string& where, int error) {
  std::string remedy;
  if (error == EADDRINUSE) remedy = " (another process listens there: stop it, or change listen)";
  if (error == EADDRNOTAVAIL) remedy = " (this machine does not have that address)";
  if (error == EACCES) remedy = " (we are not allowed to: another port, or other permissions)";
  return failure("could not listen on " + where + ": " + system_reason(error) + remedy);
}

/// No descriptor: `error` says why.
Descriptor listen_on(const SocketAddress& address, int& error) {
  Descriptor made(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (made) {
    const int on = 1;
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.family() == AF_INET6) {
      ::setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    set_tcp_options(made.get());  // connections inherit them: no call for each
    if (::bind(made.get(), address.get(), address.size()) == 0 &&
        ::listen(made.get(), Listener::kBacklog) == 0) {
      return made;
    }
  }
  error = errno;
  return {};
}

Result<std::vector<SocketAddress>> addresses_of(const Endpoint& endpoint) {
  if (endpoint.host == "*" || endpoint.host.empty()) {
    return std::vector{SocketAddress::any(AF_INET, endpoint.port),
                       SocketAddress::any(AF_INET6, endpoint.port)};
  }
  if (auto numeric = SocketAddress::numeric(endpoint.host, endpoint.port)) {
    return std::vector{*numeric};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  if (const int error = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found)) {
    return failure("could not resolve the name \"" + endpoint.host +
                   "\" to listen on: " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const auto address = SocketAddress::copy(*one->ai_addr, one->ai_addrlen);
    // The hosts file may say a thing twice.
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
  }
  return addresses;
}

/// Removes a socket file that nobody serves.
Result<void> clear_way(const SocketAddress& address) {
  const std::string path = address.text();
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) {
    if (errno == ENOENT) return {};
    return cannot_listen(path, errno);
  }
  if (!S_ISSOCK(facts.st_mode)) {
    return failure("could not listen on " + path +
                   ": there is something that is not a socket (remove it, or change listen)");
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return cannot_listen(path, errno);
  if (::connect(probe.get(), address.get(), address.size()) != 0 && errno == ECONNREFUSED) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return failure("could not remove the stale socket file " + path + ": " + system_reason(errno));
  }
  return cannot_listen(path, EADDRINUSE);
}

}  // namespace

Result<std::shared_ptr<const Listener>> Listener::open(const Endpoint& endpoint,
                                                       std::uint32_t unix_mode) {
  const std::shared_ptr<Listener> made(new Listener(endpoint));
  if (auto done = endpoint.is_unix() ? made->open_unix(unix_mode) : made->open_tcp(); !done) {
    return done.error();
  }
  return std::shared_ptr<const Listener>(made);
}

Result<std::shared_ptr<const Listener>> Listener::adopt(const Endpoint& endpoint,
                                                        std::vector<Descriptor> sockets) {
  const std::shared_ptr<Listener> made(new Listener(endpoint));
  made->owns_file_ = false;
  for (Descriptor& socket : sockets) {
    int listens = 0;
    socklen_t size = sizeof listens;
    SocketAddress bound;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        listens == 0 || ::getsockname(socket.get(), bound.room(), bound.room_size()) != 0 ||
        (bound.family() == AF_UNIX) != endpoint.is_unix()) {
      return failure("what was handed over for " + to_string(endpoint) +
                     " is no socket that listens there");
    }
    ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
    if (!endpoint.is_unix()) made->endpoint_.port = bound.port();
    made->descriptors_.push_back(socket.release());
  }
  if (endpoint.is_unix()) made->note_file();
  return std::shared_ptr<const Listener>(made);
}

Result<void> Listener::open_tcp() {
  const auto addresses = addresses_of(endpoint_);
  if (!addresses) return addresses.error();
  for (SocketAddress address : *addresses) {
    address.set_port(endpoint_.port);
    int error = 0;
    Descriptor made = listen_on(address, error);
    if (!made) {
      // Everywhere, and names, mean what this machine has: it may lack one of the families.
      const bool lacking = error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
      if (lacking && addresses->size() > 1) continue;
      return cannot_listen(address.text(), error);
    }
    if (endpoint_.port == 0) {
      SocketAddress bound;
      ::getsockname(made.get(), bound.room(), bound.room_size());
      endpoint_.port = bound.port();
    }
    descriptors_.push_back(made.release());
  }
  if (descriptors_.empty()) return cannot_listen(to_string(endpoint_), EADDRNOTAVAIL);
  return {};
}

Result<void> Listener::open_unix(std::uint32_t mode) {
  const std::string& path = endpoint_.host;
  const auto address = SocketAddress::unix_file(path);
  if (!address) return address.error();
  const auto lock = DirectoryLock::of_file(path);
  if (!lock) return lock.error();
  if (auto cleared = clear_way(*address); !cleared) return cleared;
  Descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made || ::bind(made.get(), address->get(), address->size()) != 0) {
    return cannot_listen(path, errno);
  }
  note_file();
  // Nobody can connect before listen, so nobody slips in under the wrong permissions.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(made.get(), kBacklog) != 0) {
    return cannot_listen(path, errno);
  }
  descriptors_.push_back(made.release());
  return {};
}

void Listener::note_file() {
  struct stat facts {};
  if (::lstat(endpoint_.host.c_str(), &facts) != 0) return;
  file_device_ = facts.st_dev;
  file_inode_ = facts.st_ino;
}

Listener::~Listener() {
  for (const int descriptor : descriptors_) ::close(descriptor);
  if (file_inode_ == 0 || !owns_file_) return;
  struct stat facts {};
  const std::string& path = endpoint_.host;
  if (::lstat(path.c_str(), &facts) == 0 && facts.st_dev == file_device_ &&
      facts.st_ino == file_inode_) {
    ::unlink(path.c_str());
  }
}

}  // namespace forebay::net
