#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.hpp"
#include "support/list_journal.hpp"

namespace forebay::test {

class RigIo;

/// The engine's end of a connection whose other end is a string.
class RigStream final : public core::Stream {
 public:
  RigStream(RigIo& io, core::StreamEvents* told) : owner(told), io_(io) {}
  ~RigStream() override;

  std::size_t send(std::span<const Bytes> pieces) override;
  void pause() override {}
  void resume() override {}
  void start_tls_server(std::shared_ptr<const core::TlsContext>, Bytes) override {}
  void start_tls_client(std::shared_ptr<const core::TlsContext>, const std::string&,
                        bool) override {}
  [[nodiscard]] const core::TlsFacts* tls() const override { return nullptr; }
  [[nodiscard]] core::PeerFacts peer() const override { return {"192.0.2.1", 4711}; }
  void set_peer(const std::array<std::uint8_t, 16>&, std::uint16_t) override {}
  void shut_down_sending() override {}
  void reset() override {}

  core::StreamEvents* owner;
  std::string sent;       ///< by the engine, since somebody emptied it
  std::size_t sends = 0;  ///< calls

 private:
  RigIo& io_;
};

/// Takes everything at once, and tells nothing by itself.
class RigIo final : public core::Io {
 public:
  std::unique_ptr<core::Stream> connect(const Endpoint& endpoint,
                                        core::StreamEvents& owner) override;
  void detach(core::Stream&) override {}
  void attach(core::Stream& stream, core::StreamEvents& owner) override;
  void set_owner(core::Stream& stream, core::StreamEvents& owner) override;
  void entropy(std::span<char> into) override;
  [[nodiscard]] std::int64_t unix_time() const override { return 1'700'000'000; }

  std::vector<RigStream*> servers;  ///< open connections to servers, oldest first
};

/// One engine with clients and servers that are strings: what is said is handled within the call,
/// and the network itself allocates nothing once its strings have grown. For counting what the core
/// costs: allocations, sends, instructions, nanoseconds. Every server is told what to answer.
class Rig final {
 public:
  /// Clients log in; servers are opened as the pool sees fit.
  explicit Rig(config::Config config, std::size_t clients);
  ~Rig();

  /// A client says something in a turn of its own. Servers that were sent something have it in
  /// `sent` after that.
  void client_says(std::size_t client, Bytes request);
  void server_says(RigStream& server, Bytes reply);
  /// From the life cycle, in a turn of its own.
  void deliver(core::Mail letter);
  /// Until no server is waiting for its login to be answered.
  void let_servers_in();

  /// The whole of a small transaction. Gives how many sends it took.
  std::size_t exchange(std::size_t client, Bytes request, Bytes reply);

  [[nodiscard]] RigStream& client(std::size_t index) { return *clients_[index]; }
  [[nodiscard]] RigIo& io() noexcept { return io_; }
  [[nodiscard]] core::Engine& engine() noexcept { return *engine_; }
  [[nodiscard]] const core::Counters& counters() const noexcept { return shared_->counters[0]; }

 private:
  class NoCourier final : public core::Courier {
   public:
    void send(core::WorkerId, core::Mail) override {}
  };

  void turn(core::StreamEvents& owner, Bytes bytes);

  ListJournal journal_;
  NoCourier courier_;
  Instant now_{std::chrono::hours(1)};
  std::unique_ptr<core::Shared> shared_;
  RigIo io_;
  std::unique_ptr<core::Engine> engine_;
  std::vector<RigStream*> clients_;
};

}  // namespace forebay::test
