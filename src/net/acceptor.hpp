#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "forebay/base/time.hpp"
#include "forebay/core/io.hpp"
#include "forebay/net/listener.hpp"
#include "forebay/net/reactor.hpp"

namespace forebay::net {

class EpollReactor;

/// A reactor's part in the listeners that it shares with others.
///
/// When the system has no room for one more connection, the listening sockets are taken out of
/// epoll, which would otherwise report them for ever; another attempt is made after a while, and
/// as soon as a connection of ours closes.
class Acceptor {
 public:
  explicit Acceptor(EpollReactor& reactor) : reactor_(reactor) {}

  void add(std::shared_ptr<const Listener> listener, core::ListenerId id, Reactor::Pick pick);
  void remove(const Listener& listener);
  /// Lets go of all.
  void close();

  /// epoll's word about the socket with this index.
  void on_ready(std::uint32_t index);
  /// A connection was closed.
  void room_may_be() noexcept {
    if (resume_at_ != kNever) resume_at_ = Instant();
  }
  /// When go_on has something to do.
  [[nodiscard]] Instant due() const noexcept { return resume_at_; }
  void go_on(Instant now);

 private:
  /// Connections accepted in a turn from one socket, at most; the others' turn comes after.
  static constexpr int kBatchMax = 16;
  static constexpr std::chrono::milliseconds kPause{100};

  struct Place {
    std::shared_ptr<const Listener> listener;  ///< null: of one that was removed
    int descriptor = -1;
    core::ListenerId id;
    Reactor::Pick pick;
    bool watched = false;
  };

  bool accept_one(std::uint32_t index);
  void watch_all();
  void pause(int error);

  EpollReactor& reactor_;
  std::vector<Place> places_;  ///< the index is the key for epoll
  Instant resume_at_ = kNever;
  bool told_ = false;                            ///< that we pause; until the next connection
  int batch_ = 1;                                ///< connections in this turn
  std::uint64_t full_turn_ = ~std::uint64_t{1};  ///< the last turn in which so many came
};

}  // namespace forebay::net
