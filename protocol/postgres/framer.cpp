#include "forebay/protocol/postgres/framer.hpp"

#include <algorithm>

namespace forebay::pg {

Framer::Item Framer::next(Bytes input, std::size_t whole_max) noexcept {
  // Everything that passes untouched and stands side by side makes one run.
  std::size_t at = 0;
  const auto run_or = [&](const Item& other) {
    return at > 0 ? Item{Kind::run, Bytes(input.data(), at), {}, 0} : other;
  };
  for (;;) {
    if (rest_ > 0) {
      const std::size_t taken = std::min<std::size_t>(rest_, input.size() - at);
      rest_ -= static_cast<std::uint32_t>(taken);
      at += taken;
    }
    const std::size_t left = input.size() - at;
    const char* const here = input.data() + at;
    if (left < kHeaderSize) {
      // The last byte of a message may come alone.
      return run_or({Kind::need, {}, {}, rest_ > 0 ? 1 : kHeaderSize});
    }
    const char type = *here;
    const MessageKind& kind = message_kind(sender_, type);
    const std::uint32_t length = load_u32(here + 1);
    if (kind.look == Look::unknown || length < 4 || length - 4 < kind.body_min ||
        length - 4 > kind.body_max) {
      return run_or({Kind::malformed, {}, {type, length - 4, {}}, 0});
    }
    if (kind.look == Look::pass) {
      rest_ = length + 1;
      continue;
    }
    if (at > 0) return run_or({});  // the run goes first
    const std::size_t total = std::size_t{length} + 1;
    const std::size_t wanted = total <= whole_max ? total : std::min(total, kHeadMin);
    if (left < wanted) return {Kind::need, {}, {}, wanted};
    const std::size_t taken = total <= whole_max ? total : std::min(total, left);
    rest_ = static_cast<std::uint32_t>(total - taken);
    return {taken == total ? Kind::message : Kind::head, Bytes(here, taken),
            Message{type, length - 4, Bytes(here + kHeaderSize, taken - kHeaderSize)}, 0};
  }
}

}  // namespace forebay::pg
