#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/net/descriptor.hpp"
#include "forebay/net/listener.hpp"

// One process takes the place of another without refusing anybody: it gets the other's listening
// sockets over a Unix-domain socket, and when it serves, the other one leaves. A conversation:
//
//   the new one   "takeover 1"
//   the old one   a line for each place, and the sockets themselves (SCM_RIGHTS)
//   the new one   "ready"
//   the old one   "leaving"
//
// The old one goes on as if nothing had happened if "ready" never comes.
namespace forebay::app {

/// Sockets that somebody else opened, by the places that they listen at.
class HandedSockets {
 public:
  struct Place {
    std::string name;
    std::vector<net::Descriptor> sockets;
  };

  void add(const std::string& name, net::Descriptor socket);
  /// A place without any: it is there to be told of.
  void add(const std::string& name);
  /// What comes behind `kind` in the names of the places that begin with it.
  [[nodiscard]] std::vector<std::string> all(std::string_view kind) const;
  /// Those of a place; none if it was not handed over, or was taken before.
  std::vector<net::Descriptor> take(std::string_view name);
  /// The places whose sockets nobody took.
  [[nodiscard]] std::vector<std::string> left() const;

 private:
  std::vector<Place> places_;
};

/// The side of the process that leaves.
class TakeoverHost {
 public:
  struct Place {
    std::string name;  ///< in one line
    std::vector<int> sockets;
  };
  struct Owner {
    std::function<std::vector<Place>()> places;
    std::function<void(pid_t by)> taken;
    std::function<void(const std::string& why)> refused;
  };

  /// Waits for somebody at `listener`. Everything is called on the control thread. `patience`: for
  /// the other side; between the sockets and "ready" a process starts.
  TakeoverHost(boost::asio::io_context& control, std::shared_ptr<const net::Listener> listener,
               Owner owner, std::chrono::seconds patience = std::chrono::seconds(60));
  ~TakeoverHost();

  [[nodiscard]] const std::shared_ptr<const net::Listener>& listener() const { return listener_; }

 private:
  using Later = std::function<void(const boost::system::error_code&)>;
  /// What has become due may still be called after it was cancelled: not when `what` has ended.
  static Later during(const std::shared_ptr<const bool>& what, std::function<void()> then);
  void accept();
  void accept_later();
  void begin(net::Descriptor peer);
  void await(void (TakeoverHost::*step)(const std::string& said));
  void give(const std::string& said);
  void leave(const std::string& said);
  void end(const std::string& why);
  void finish();

  std::shared_ptr<const net::Listener> listener_;
  const Owner owner_;
  const std::chrono::seconds given_;
  const std::shared_ptr<const bool> here_ = std::make_shared<const bool>(true);
  std::shared_ptr<const bool> conversation_;  ///< null: nobody is there
  boost::asio::posix::stream_descriptor door_;
  boost::asio::posix::stream_descriptor peer_;
  boost::asio::steady_timer patience_;
  boost::asio::steady_timer pause_;
  pid_t by_ = 0;
};

/// The side of the process that comes.
class Takeover {
 public:
  /// Asks the process that waits at `path`.
  static Result<Takeover> begin(const std::string& path);
  [[nodiscard]] HandedSockets& sockets() noexcept { return sockets_; }
  /// We serve: the other one may leave.
  Result<void> finish();

 private:
  net::Descriptor peer_;
  HandedSockets sockets_;
};

}  // namespace forebay::app
