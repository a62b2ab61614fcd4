#pragma once

#include <atomic>
#include <cstdint>

#include "forebay/routing/sql/facts.hpp"

namespace forebay::core {

/// What a text may do to what currval and lastval say in its session. Bits.
using SequenceUse = std::uint8_t;
inline constexpr SequenceUse kMayTake = 1;     ///< a number of a sequence, perhaps, by a trigger
inline constexpr SequenceUse kTakes = 2;       ///< INSERT, nextval, or what nobody knows
inline constexpr SequenceUse kTakesFirst = 4;  ///< ... before anything in it can ask

SequenceUse sequence_use(const sql::Facts& facts);

/// What a client remembers of the numbers that it took.
struct ClientSequences {
  std::uint32_t version = 0;  ///< counts the statements that took some
  bool taken = false;         ///< the last of these was on the link at hand
  std::uint8_t vain = 0;      ///< so often it was expected to ask, and did not
};

/// Whose numbers currval and lastval speak of on a link. What nobody took here since it was opened
/// or cleaned (DISCARD SEQUENCES), nobody can be told.
struct LinkSequences {
  std::uint64_t user = 0;     ///< the session (by its serial) that used it last; 0 for nobody
  std::uint32_t version = 0;  ///< ClientSequences::version of the user's last number here
  bool mixed = false;         ///< others have used it before
  /// Clients ask: it is cleaned for each that comes, so that all that it knows is the client's.
  bool cleaned = false;
  std::atomic<bool>* asked = nullptr;  ///< of the pool: whether some client ever has; or null

  /// A client's statement is sent that may take a number.
  void note(SequenceUse use, ClientSequences& client, std::uint64_t serial) noexcept {
    mixed = mixed || (user != 0 && user != serial);
    if ((use & kTakes) != 0) {
      version = ++client.version;
      client.taken = true;
    } else if (user != serial) {
      version = 0;
    }
    user = serial;
  }
  /// Whether the client's last number was taken here, and all else that was.
  [[nodiscard]] bool only(const ClientSequences& client, std::uint64_t serial) const noexcept {
    return user == serial && version == client.version && !mixed;
  }
  /// Whether what the server would say is what it would say to a session of the client's own.
  [[nodiscard]] bool speak_of(const ClientSequences& client, std::uint64_t serial) const noexcept {
    return user == 0 ? client.version == 0 : only(client, serial);
  }
  [[nodiscard]] bool to_be_cleaned(const ClientSequences& client,
                                   std::uint64_t serial) const noexcept {
    return cleaned && user != 0 && !only(client, serial);
  }
  void clear() noexcept {
    user = 0;
    version = 0;
    mixed = false;
  }
};

}  // namespace forebay::core
