#pragma once

#include <sys/epoll.h>

#include <array>
#include <ctime>
#include <memory>
#include <span>
#include <vector>

#include "forebay/net/descriptor.hpp"
#include "forebay/net/reactor.hpp"
#include "net/acceptor.hpp"
#include "net/address.hpp"
#include "net/mailbox.hpp"
#include "net/peer_watch.hpp"
#include "net/slots.hpp"

namespace forebay::net {

class SocketStream;

/// The reactor over level-triggered epoll. A socket is registered once and stays so; what is not
/// ready costs nothing, what is ready costs its own recv and send, and all that is ready at a time
/// shares one epoll_wait and one look at the clock.
class EpollReactor final : public Reactor {
 public:
  EpollReactor(const ReactorOptions& options, Descriptor epoll, Descriptor event);
  EpollReactor(const EpollReactor&) = delete;
  EpollReactor& operator=(const EpollReactor&) = delete;
  ~EpollReactor() override;

  /// Watches its own mailbox; false when the system has no room for that.
  [[nodiscard]] bool start();

  // core::Io
  std::unique_ptr<core::Stream> connect(const Endpoint& endpoint,
                                        core::StreamEvents& owner) override;
  void detach(core::Stream& stream) override;
  void attach(core::Stream& stream, core::StreamEvents& owner) override;
  void set_owner(core::Stream& stream, core::StreamEvents& owner) override;
  void entropy(std::span<char> into) override;
  [[nodiscard]] std::int64_t unix_time() const override { return std::time(nullptr); }

  // Reactor
  void run(core::Driven& driven) override;
  void turn(core::Driven& driven, Duration longest_wait) override;
  void stop() override;
  void post(Task task) override;
  void listen(std::shared_ptr<const Listener> listener, core::ListenerId id, Pick pick) override;
  void stop_listening(const Listener& listener) override { acceptor_.remove(listener); }
  void stop_accepting() override { acceptor_.close(); }
  [[nodiscard]] const ReactorCounters& counters() const override { return counters_; }

  // For streams.

  [[nodiscard]] const ReactorOptions& options() const noexcept { return options_; }
  [[nodiscard]] ReactorCounters& counted() noexcept { return counters_; }
  /// Where bytes arrive. In use until on_received returns.
  [[nodiscard]] std::span<char> read_buffer() noexcept { return {read_buffer_}; }
  /// Where small pieces become one TLS record. In use within one call only.
  [[nodiscard]] std::span<char> scratch() noexcept { return {scratch_}; }

  SlotId add(SocketStream& stream) { return slots_.add(stream); }
  void remove(SlotId id) { slots_.remove(id); }
  [[nodiscard]] bool holds(SlotId id) const noexcept { return slots_.find(id) != nullptr; }
  /// Asks for SocketStream::on_due in the next turn, which comes without waiting.
  void queue(SlotId id) { due_.push_back(id); }
  void sent(SlotId id) noexcept { peer_watch_.sent(slots_.at(id)); }
  void heard(SlotId id) noexcept { PeerWatch::heard(slots_.at(id)); }
  /// Whether something was sent since the peer was heard from.
  [[nodiscard]] bool unanswered(SlotId id) noexcept { return slots_.at(id).unanswered; }
  void connection_closed() noexcept { acceptor_.room_may_be(); }
  /// Whether one more step of a TLS handshake may be taken in this turn. One takes as long as some
  /// tens of transactions: many that come at once must not hold up who is at work.
  [[nodiscard]] bool takes_handshake() noexcept {
    if (handshakes_left_ == 0) return false;
    --handshakes_left_;
    return true;
  }

  /// False, with errno, when the system has no room to watch one more.
  [[nodiscard]] bool watch(int descriptor, std::uint32_t interest, SlotId id);
  void rewatch(int descriptor, std::uint32_t interest, SlotId id);
  void unwatch(int descriptor);

  // For the acceptor.

  /// Any kind of key with generation 0.
  [[nodiscard]] bool watch_listening(int descriptor, SlotId id);
  void adopt(Descriptor descriptor, const PeerAddress& peer, core::ListenerId listener);
  /// Null before the first turn.
  [[nodiscard]] core::Driven* driven() noexcept { return driven_; }
  /// When the turn began.
  [[nodiscard]] Instant now() const noexcept { return now_; }

 private:
  /// Ready descriptors in one turn.
  static constexpr int kEvents = 256;
  /// Steps of TLS handshakes in one turn.
  static constexpr int kHandshakes = 4;
  /// Random bytes in one call: what the system gives without fail.
  static constexpr std::size_t kEntropy = 256;
  /// The key of the mailbox: generation 0, and an index that no listening socket has.
  static constexpr std::uint32_t kMailboxIndex = 0xffffffff;

  int wait(Duration longest_wait);
  [[nodiscard]] int timeout_in_ms(Duration longest_wait);
  void fetch_entropy();
  void do_mail();
  void do_due();
  void do_events(int count);

  const ReactorOptions options_;
  ReactorCounters counters_;
  Descriptor epoll_;
  std::shared_ptr<Mailbox> mailbox_;  ///< outlives us in the hands of the resolver
  Slots<SocketStream> slots_;
  PeerWatch peer_watch_;
  Acceptor acceptor_;
  std::vector<SlotId> due_;
  std::vector<SlotId> due_now_;
  std::vector<Task> mail_;
  std::vector<char> read_buffer_;
  std::vector<char> scratch_;
  std::array<epoll_event, kEvents> events_{};
  std::array<char, kEntropy> entropy_{};  ///< its first entropy_left_ bytes are unused
  std::size_t entropy_left_ = 0;
  core::Driven* driven_ = nullptr;
  Instant now_;
  int handshakes_left_ = kHandshakes;
  bool stopping_ = false;
};

}  // namespace forebay::net
