#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "forebay/core/io.hpp"

/// A network in memory: what `core::Io` and `core::Stream` promise, in one thread, in an order that
/// the test decides. Nothing happens by itself: an event waits until `deliver` is called for it.
/// Whoever breaks the rules of core/io.hpp ends the test program with the rule.
namespace forebay::test {

class MemoryIo;
class MemoryNet;
class MemoryStream;

/// What happens to a connection attempt.
enum class Reception : std::uint8_t { accept, refuse, hang };

/// One connection: the engine's end is a MemoryStream, the test's a FarEnd.
struct Channel {
  // Towards the engine: sent by the far end and not delivered yet.
  std::string inbound;
  bool far_ended = false;             ///< nothing comes behind inbound
  std::optional<std::string> broken;  ///< on_lost is due, with this reason

  // Towards the far end: taken from the engine and not read yet.
  std::string outbound;
  std::size_t window = SIZE_MAX;  ///< outbound holds so many bytes at most
  bool ended = false;             ///< the engine will send no more
  bool was_reset = false;         ///< ... and wants the far end to know that it is not whole

  // The engine's end.
  MemoryStream* stream = nullptr;  ///< null once it is destroyed
  MemoryIo* io = nullptr;          ///< null while detached
  core::StreamEvents* owner = nullptr;
  std::optional<Reception> connecting;  ///< the answer to connect is due
  bool connected = false;
  bool paused = false;
  bool short_of_room = false;  ///< a send took less than it was offered
  bool handshaking = false;
  bool lost_told = false;
  bool end_told = false;
  bool tls_wanted = false;  ///< the engine has begun a handshake
  bool tls_direct = false;
  std::optional<core::TlsFacts> tls;  ///< after the handshake
  core::PeerFacts peer;
  Endpoint endpoint;     ///< that was connected to
  std::size_t sent = 0;  ///< bytes that the engine sent in all
};

enum class Event : std::uint8_t { connect, secured, received, writable, end, lost };

class MemoryStream final : public core::Stream {
 public:
  explicit MemoryStream(std::shared_ptr<Channel> channel);
  ~MemoryStream() override;

  std::size_t send(std::span<const Bytes> pieces) override;
  void pause() override { channel_->paused = true; }
  void resume() override { channel_->paused = false; }
  void start_tls_server(std::shared_ptr<const core::TlsContext> context, Bytes received) override;
  void start_tls_client(std::shared_ptr<const core::TlsContext> context, const std::string& host,
                        bool direct) override;
  [[nodiscard]] const core::TlsFacts* tls() const override;
  [[nodiscard]] core::PeerFacts peer() const override { return channel_->peer; }
  void set_peer(const std::array<std::uint8_t, 16>& address, std::uint16_t port) override;
  void shut_down_sending() override { channel_->ended = true; }
  void reset() override;

  [[nodiscard]] Channel& channel() noexcept { return *channel_; }

 private:
  std::shared_ptr<Channel> channel_;
};

/// The test's end of a connection.
class FarEnd {
 public:
  FarEnd() = default;
  explicit FarEnd(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}

  void send(Bytes bytes) { channel_->inbound += bytes; }
  /// All that the engine sent since the last call; at most so many bytes.
  std::string read(std::size_t most = SIZE_MAX);
  /// Sends no more.
  void end() { channel_->far_ended = true; }
  /// Breaks the connection: what was sent and not delivered is lost.
  void reset(const std::string& reason = "connection reset by peer");
  /// Both directions are over; what the engine sends goes nowhere.
  void close();
  /// Finishes the handshake that the engine has begun.
  void secure(core::TlsFacts facts);

  [[nodiscard]] bool ended() const { return channel_->ended; }
  [[nodiscard]] bool was_reset() const { return channel_->was_reset; }
  /// The engine has closed its end.
  [[nodiscard]] bool closed() const { return channel_->stream == nullptr; }
  [[nodiscard]] Channel& channel() const { return *channel_; }
  explicit operator bool() const { return channel_ != nullptr; }
  bool operator==(const FarEnd&) const = default;

 private:
  std::shared_ptr<Channel> channel_;
};

/// One worker's part of the network.
class MemoryIo final : public core::Io {
 public:
  MemoryIo(MemoryNet& net, core::WorkerId id) : net_(net), id_(id) {}
  ~MemoryIo() override;

  std::unique_ptr<core::Stream> connect(const Endpoint& endpoint,
                                        core::StreamEvents& owner) override;
  void detach(core::Stream& stream) override;
  void attach(core::Stream& stream, core::StreamEvents& owner) override;
  void set_owner(core::Stream& stream, core::StreamEvents& owner) override;
  void entropy(std::span<char> into) override;
  [[nodiscard]] std::int64_t unix_time() const override { return 1'700'000'000; }

  /// A connection that comes in at a listener, and its far end.
  std::pair<std::unique_ptr<core::Stream>, FarEnd> accept(const core::PeerFacts& peer);

  /// What could be told to this worker now, connections in the order in which they were made.
  struct Ready {
    std::shared_ptr<Channel> channel;
    Event event;
  };
  [[nodiscard]] std::vector<Ready> ready() const;
  /// Tells it; of bytes at most so many.
  void deliver(const Ready& ready, std::size_t most = SIZE_MAX);

  [[nodiscard]] core::WorkerId id() const noexcept { return id_; }
  /// Connections whose engine's end is open in this worker.
  [[nodiscard]] std::size_t open() const;

 private:
  MemoryNet& net_;
  core::WorkerId id_;
};

/// Who listens where, and the randomness of everything.
class MemoryNet {
 public:
  explicit MemoryNet(std::uint64_t seed) : random(seed) {}

  /// How an attempt to connect is received; by default refused. Asked when the answer is due.
  std::function<Reception(const Endpoint&)> reception;
  /// A connection was accepted.
  std::function<void(const Endpoint&, FarEnd)> on_accept;
  /// Room for bytes on their way to the far end of new connections.
  std::size_t window = SIZE_MAX;

  std::mt19937_64 random;
  std::vector<std::shared_ptr<Channel>> channels;  ///< all that the engines have not closed
  std::size_t next_port = 40'000;
};

}  // namespace forebay::test
