#pragma once

#include <netinet/tcp.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "forebay/base/time.hpp"
#include "net/slots.hpp"

namespace forebay::net {

class SocketStream;

/// Finds TCP peers that vanished while something sent to them is not acknowledged.
///
/// Keepalive does not look at such connections, and without help the system gives up after some
/// fifteen minutes. TCP_USER_TIMEOUT is no help: it also ends connections to a peer that is alive
/// and merely does not read (a server that waits for a lock while a client pipelines), although
/// that peer acknowledges every probe of its closed window. So the acknowledgements are looked at
/// here: once a period, and only for streams that were sent to and have not been heard from since.
class PeerWatch {
 public:
  /// So many periods in a row without any acknowledgement end a connection. The first may have
  /// begun before there was anything to acknowledge, so this is four whole periods at least.
  static constexpr std::uint8_t kSilentPeriods = 5;

  enum class Verdict { settled, alive, silent };

  explicit PeerWatch(std::chrono::milliseconds period) : period_(period) {}

  /// What the system knows of a peer says, about the last `period`.
  static Verdict judge(const tcp_info& facts, std::chrono::milliseconds period);

  void sent(Slots<SocketStream>::Slot& slot) noexcept {
    if (slot.unanswered) return;
    slot.unanswered = true;
    some_unanswered_ = true;
  }
  static void heard(Slots<SocketStream>::Slot& slot) noexcept {
    slot.unanswered = false;
    slot.silent = 0;
  }

  /// When to look next; kNever while nothing was sent.
  [[nodiscard]] Instant due(Instant now) noexcept;
  /// Looks, if it is time.
  void look(Slots<SocketStream>& slots, Instant now);

 private:
  std::chrono::milliseconds period_;
  Instant last_{};
  Instant next_ = kNever;
  bool some_unanswered_ = false;
};

}  // namespace forebay::net
