#pragma once

#include <utility>

#include "forebay/core/io.hpp"

namespace forebay::core {

/// Stands for a client that is gone while what it said is carried out. What it would be told goes
/// nowhere, up to a limit: PostgreSQL, too, ends a statement whose rows it cannot send.
class GoneStream final : public Stream {
 public:
  explicit GoneStream(PeerFacts peer) : peer_(std::move(peer)) {}

  std::size_t send(std::span<const Bytes> pieces) override {
    std::size_t size = 0;
    for (const Bytes piece : pieces) size += piece.size();
    if (size > room_) return 0;
    room_ -= size;
    return size;
  }
  void pause() override {}
  void resume() override {}
  void start_tls_server(std::shared_ptr<const TlsContext> /*context*/,
                        Bytes /*received*/) override {}
  void start_tls_client(std::shared_ptr<const TlsContext> /*context*/, const std::string& /*host*/,
                        bool /*direct*/) override {}
  [[nodiscard]] const TlsFacts* tls() const override { return nullptr; }
  [[nodiscard]] PeerFacts peer() const override { return peer_; }
  void set_peer(const std::array<std::uint8_t, 16>& /*address*/, std::uint16_t /*port*/) override {}
  void shut_down_sending() override {}
  void reset() override {}

 private:
  static constexpr std::size_t kMost = 64 * 1024;
  PeerFacts peer_;
  std::size_t room_ = kMost;
};

}  // namespace forebay::core
