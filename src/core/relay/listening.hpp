#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace forebay::core {

/// What a NOTIFY says to those who listen.
struct Notification {
  std::uint32_t process_id = 0;  ///< the sender's, as itself knows it where that is known
  std::uint32_t server_process_id = 0;
  std::string channel;
  std::string payload;
};

/// What a session that listens through the shared connection has to remember: see ListenHub.
///
/// A LISTEN is not sent before the hub listens, so that nothing that is committed behind it is
/// missed; it takes effect when its transaction commits. The server gets it, too, and has the last
/// word on it; what that would tell the client itself is dropped, and the link is cleaned of it.
struct Listening {
  /// Of one session; it listens to more by a link of its own.
  static constexpr std::size_t kChannelsMax = 10'000;

  using Channels = std::set<std::string, std::less<>>;
  Channels channels;  ///< those that hold
  Channels told;      ///< those that the hub tells us of: these, and perhaps more
  /// What the message at the front is about: the hub has to listen to these before it is sent.
  std::vector<std::string> wanted;
  bool asks = false;         ///< the hub is to be asked, for `wanted` or only for its answer
  bool asked = false;        ///< ... and is: nothing that the client says is handled meanwhile
  bool refused = false;      ///< the hub does not listen: the message at the front does itself
  bool notifies = false;     ///< a NOTIFY is under way: nothing is sent behind it
  bool notified = false;     ///< the open transaction has one, which the client may hear itself
  bool holds_ready = false;  ///< ReadyForQuery waits until it has

  /// What came while the client was in a transaction, or did not read.
  std::vector<std::shared_ptr<const Notification>> waiting;
  std::size_t waiting_bytes = 0;
  std::uint32_t dropped = 0;  ///< there was too much of it
  bool restored = false;      ///< the hub was deaf for a while, and the client is to know

  [[nodiscard]] bool hears(std::string_view channel) const { return channels.contains(channel); }
  [[nodiscard]] bool is_told(std::string_view channel) const { return told.contains(channel); }
};

/// One LISTEN or UNLISTEN of an open transaction.
struct ListenChange {
  enum class Kind : std::uint8_t { listen, unlisten, unlisten_all } kind;
  std::string channel;
};

/// Whether two names of encodings mean the same: "UTF8", "utf-8", "unicode".
bool same_encoding(std::string_view a, std::string_view b);

}  // namespace forebay::core
