#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace forebay::core {

/// Which client sent a NOTIFY last through which server connection to a database, so that listeners
/// are told the process id that the client knows as its own. Thread-safe.
class Notifiers {
 public:
  void note(std::uint32_t server, std::uint32_t client) {
    const std::lock_guard lock(mutex_);
    clients_[server] = client;
  }
  /// The server's connection is closed.
  void forget(std::uint32_t server) {
    const std::lock_guard lock(mutex_);
    clients_.erase(server);
  }
  /// 0 for nobody.
  [[nodiscard]] std::uint32_t client_of(std::uint32_t server) const {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find(server);
    return found == clients_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, std::uint32_t> clients_;
};

}  // namespace forebay::core
