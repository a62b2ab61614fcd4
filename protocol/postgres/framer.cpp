#include "forebay/protocol/postgres/framer.hpp"

#include <algorithm>

namespace forebay::pg {

Framer::Item Framer::next(Bytes input, std::size_t whole_max) noexcept {
  Item item;
  // Everything that passes untouched and stands side by side makes one run.
  std::size_t at = 0;
  for (;;) {
    if (rest_ > 0) {
      const std::size_t taken = std::min<std::size_t>(rest_, input.size() - at);
      rest_ -= static_cast<std::uint32_t>(taken);
      at += taken;
    }
    const std::size_t left = input.size() - at;
    const char* const here = input.data() + at;
    if (left < kHeaderSize) {
      item.need = rest_ > 0 ? 1 : kHeaderSize;  // the last byte of a message may come alone
      break;
    }
    const char type = *here;
    const MessageKind& kind = message_kind(sender_, type);
    const std::uint32_t length = load_u32(here + 1);
    if (kind.look == Look::unknown || length < 4 || length - 4 < kind.body_min ||
        length - 4 > kind.body_max) {
      item.kind = Kind::malformed;
      item.message = {type, length - 4, {}};
      break;
    }
    if (kind.look == Look::pass) {
      rest_ = length + 1;
      continue;
    }
    const std::size_t total = std::size_t{length} + 1;
    const std::size_t wanted = total <= whole_max ? total : std::min(total, kHeadMin);
    if (left < wanted) {
      item.need = wanted;
      break;
    }
    if (at > 0) break;  // the run goes first
    const std::size_t taken = total <= whole_max ? total : std::min(total, left);
    item.kind = taken == total ? Kind::message : Kind::head;
    item.bytes = Bytes(here, taken);
    item.message = {type, length - 4, Bytes(here + kHeaderSize, taken - kHeaderSize)};
    rest_ = static_cast<std::uint32_t>(total - taken);
    return item;
  }
  if (at > 0) item = {Kind::run, Bytes(input.data(), at), {}, 0};
  return item;
}

}  // namespace forebay::pg
