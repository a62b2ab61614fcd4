#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// What was bound of late on one link, for samples of slow statements. It has all its room from the
/// beginning: however much a client binds, nothing grows. What comes takes the place of what is
/// oldest, and who asks for what has lost its place is told so.
class BoundValues {
 public:
  /// Of all together, and of one Bind: its formats and values, as they were sent.
  static constexpr std::size_t kRoom = 1536;
  static constexpr std::size_t kOneMax = 512;
  static constexpr std::size_t kKept = 32;

  /// Names what one Bind had. 0: nothing.
  using Ticket = std::uint32_t;

  void keep(Bytes portal, Bytes values) noexcept;
  /// Of the portal that is executed now.
  Ticket executed = 0;
  bool shown = false;  ///< to people; else how long they are

  /// Another client comes: what was bound until now is nobody's.
  void forget() noexcept { forgotten_ = last_; }
  /// What the portal was bound to last.
  [[nodiscard]] Ticket find(Bytes portal) const noexcept;

  struct Values {
    Bytes sent;         ///< from the parameters' formats on; empty: nobody knows
    bool whole = true;  ///< else the rest is missing
  };
  /// Valid until the next `keep`.
  [[nodiscard]] Values at(Ticket ticket) const noexcept;

 private:
  struct Entry {
    std::uint64_t begin = 0;  ///< in all bytes that ever came
    Ticket ticket = 0;
    std::uint32_t portal = 0;  ///< its hash
    std::uint16_t size = 0;
    bool whole = false;
  };
  [[nodiscard]] bool holds(const Entry& entry) const noexcept {
    return entry.ticket != 0 && static_cast<std::int32_t>(entry.ticket - forgotten_) > 0 &&
           end_ - entry.begin <= kRoom;
  }

  std::array<Entry, kKept> entries_;
  std::array<char, kRoom> bytes_;
  std::uint64_t end_ = 0;
  Ticket last_ = 0;
  Ticket forgotten_ = 0;
};

/// For people: "$1 = 'it''s', $2 = NULL, $3 = '\x00ff'"; `redacted`: "$1 = 4 bytes, $2 = NULL".
std::string parameters_text(const BoundValues::Values& values, bool redacted);

}  // namespace forebay::core
