#pragma once

#include <cstddef>
#include <cstdint>

#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/message_table.hpp"

namespace forebay::pg {

/// So much of a message that is over the limit is looked at: enough for every name in it.
inline constexpr std::size_t kHeadMin = 1024;

/// One message, or its head. A view: valid as long as the bytes that were given to the framer.
struct Message {
  char type = 0;
  /// Body bytes as the length word says; `body` may be shorter when only the head is here.
  std::uint32_t body_size = 0;
  Bytes body;

  [[nodiscard]] bool is(Frontend wanted) const noexcept {
    return type == static_cast<char>(wanted);
  }
  [[nodiscard]] bool is(Backend wanted) const noexcept { return type == static_cast<char>(wanted); }
  [[nodiscard]] bool whole() const noexcept { return body.size() == body_size; }
};

/// Cuts one direction of a connection, after start-up, into runs that nobody must look at and
/// messages that somebody must. It never copies and never needs the whole of a large message.
///
/// Use: `next(input)` says what stands at the front of `input`. Take `item.bytes` off the input and
/// call again. The framer remembers only how many bytes of the message at hand are still to come.
class Framer {
 public:
  enum class Kind : std::uint8_t {
    need,       ///< nothing can be said before `need` bytes are in hand, counted from the front
    run,        ///< bytes of messages (or of the rest of one) that pass untouched
    message,    ///< one whole message
    head,       ///< the first bytes of a message over the limit; its rest follows as runs
    malformed,  ///< no such message, or an impossible length: the stream ends here
  };

  struct Item {
    Kind kind = Kind::need;
    Bytes bytes;           ///< what to take off the input
    Message message;       ///< for message and head
    std::size_t need = 0;  ///< for need
  };

  explicit Framer(Sender sender) noexcept : sender_(sender) {}

  /// What stands at the front of `input`. A message that must be looked at is given whole up to
  /// `whole_max` bytes, header included; of a larger one, at least kHeadMin bytes as a head.
  Item next(Bytes input, std::size_t whole_max) noexcept;

  /// Bytes of the message at hand that have not been seen yet; 0 at a message boundary.
  [[nodiscard]] std::uint32_t rest() const noexcept { return rest_; }

 private:
  std::uint32_t rest_ = 0;
  Sender sender_;
};

}  // namespace forebay::pg
