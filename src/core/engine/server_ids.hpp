#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/pool/ticket.hpp"
#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// The sessions that are known by the process id of their own server connection, as those are that
/// keep one for as long as they are there: so cancel requests for them find them. Servers on
/// several hosts may give the same id; the key, which is ours, tells them apart. Thread-safe.
class ServerIds {
 public:
  void add(std::uint32_t process_id, SessionKey session, std::string cancel_key) {
    const std::lock_guard lock(mutex_);
    sessions_.emplace(process_id, Entry{session, std::move(cancel_key)});
  }
  void forget(std::uint32_t process_id, SessionKey session) {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = sessions_.equal_range(process_id);
    for (auto at = first; at != last; ++at) {
      if (at->second.session == session) {
        sessions_.erase(at);
        return;
      }
    }
  }
  /// Whose key that is.
  [[nodiscard]] std::optional<SessionKey> find(std::uint32_t process_id, Bytes cancel_key) const {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = sessions_.equal_range(process_id);
    for (auto at = first; at != last; ++at) {
      if (equal_in_constant_time(at->second.cancel_key, cancel_key)) return at->second.session;
    }
    return std::nullopt;
  }

 private:
  struct Entry {
    SessionKey session;
    std::string cancel_key;
  };
  mutable std::mutex mutex_;
  std::unordered_multimap<std::uint32_t, Entry> sessions_;
};

}  // namespace forebay::core
