#include "net/peer_watch.hpp"

#include "net/socket_stream.hpp"

namespace forebay::net {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

PeerWatch::Verdict PeerWatch::judge(const tcp_info& facts, milliseconds period) {
  if (facts.tcpi_unacked == 0 && facts.tcpi_probes == 0) return Verdict::settled;
  return milliseconds(facts.tcpi_last_ack_recv) < period ? Verdict::alive : Verdict::silent;
}

Instant PeerWatch::due(Instant now) noexcept {
  if (next_ == kNever && some_unanswered_) {
    last_ = now;
    next_ = now + period_;
  }
  return next_;
}

void PeerWatch::look(Slots<SocketStream>& slots, Instant now) {
  if (now < next_) return;
  const auto since = duration_cast<milliseconds>(now - last_);
  next_ = kNever;
  some_unanswered_ = false;
  for (auto& slot : slots.all()) {
    if (slot.stream == nullptr || !slot.unanswered) continue;
    const auto facts = slot.stream->tcp_facts();
    switch (facts ? judge(*facts, since) : Verdict::settled) {
      case Verdict::settled:
        slot.unanswered = false;
        slot.silent = 0;
        break;
      case Verdict::alive:
        slot.silent = 0;
        some_unanswered_ = true;
        break;
      case Verdict::silent:
        some_unanswered_ = true;
        if (++slot.silent < kSilentPeriods) break;
        slot.unanswered = false;
        slot.stream->doom(
            "connection timed out: the peer has acknowledged nothing for " +
            std::to_string(duration_cast<milliseconds>(period_ * (kSilentPeriods - 1)).count()) +
            " ms");
        break;
    }
  }
}

}  // namespace forebay::net
