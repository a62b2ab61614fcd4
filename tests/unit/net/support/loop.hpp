#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "forebay/core/io.hpp"
#include "forebay/net/reactor.hpp"

/// Reactors for tests, turned by the test itself or by a thread.
namespace forebay::net::test {

/// How long a test waits for what must happen.
inline constexpr std::chrono::seconds kPatience{30};

struct TestDriven final : core::Driven {
  void begin_turn(Instant moment) override {
    now = moment;
    ++turns;
  }
  void end_turn() override {
    if (when_turn_ends) when_turn_ends();
  }
  [[nodiscard]] Instant next_deadline() const override { return deadline; }
  void on_accepted(std::unique_ptr<core::Stream> stream, core::ListenerId listener) override {
    if (when_accepted) when_accepted(std::move(stream), listener);
  }
  void on_accept_paused(const std::string& reason) override { paused.push_back(reason); }
  void on_accept_resumed() override { ++resumed; }

  Instant now{};
  Instant deadline = kNever;
  int turns = 0;
  int resumed = 0;
  std::vector<std::string> paused;
  std::function<void(std::unique_ptr<core::Stream>, core::ListenerId)> when_accepted;
  std::function<void()> when_turn_ends;
};

/// The owner of one stream: notes what it is told, and does what the test wants meanwhile.
struct Owner final : core::StreamEvents {
  std::unique_ptr<core::Stream> stream;
  std::string received;
  std::string lost;  ///< the reason
  int connected = 0;
  int writable = 0;
  int secured = 0;
  int ended = 0;
  int losses = 0;
  std::size_t largest = 0;  ///< of the pieces that arrived

  std::function<void()> when_connected, when_writable, when_secured, when_ended, when_lost;
  std::function<void(Bytes)> when_received;

  void on_connected() override { note(connected, when_connected); }
  void on_received(Bytes bytes) override {
    received += bytes;
    largest = std::max(largest, bytes.size());
    if (auto act = when_received) act(bytes);
  }
  void on_writable() override { note(writable, when_writable); }
  void on_secured() override { note(secured, when_secured); }
  void on_end() override { note(ended, when_ended); }
  void on_lost(const std::string& reason) override {
    lost = reason;
    note(losses, when_lost);
  }

  std::size_t send(Bytes bytes) { return stream->send({&bytes, 1}); }

 private:
  static void note(int& count, const std::function<void()>& act) {
    ++count;
    if (const auto copy = act) copy();  // it may replace itself
  }
};

/// Sends a long text, as much at a time as the stream takes.
class Pump {
 public:
  Pump(Owner& owner, Bytes text) : owner_(owner), rest_(text) {
    owner.when_writable = [this] { go_on(); };
    go_on();
  }
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  void go_on() {
    if (!rest_.empty()) rest_.remove_prefix(owner_.send(rest_));
  }
  Owner& owner_;
  Bytes rest_;
};

/// A reactor that the test turns.
struct Loop {
  explicit Loop(const ReactorOptions& options = {});

  /// Turns until something is so; false when it does not come about.
  [[nodiscard]] bool until(const std::function<bool()>& so);
  /// Turns until nothing happens any more, for things that must not happen. What is on its way
  /// over loopback is there by then.
  void settle();

  TestDriven driven;
  std::unique_ptr<Reactor> reactor;
};

/// A reactor with a thread of its own.
class LoopThread {
 public:
  explicit LoopThread(const ReactorOptions& options = {});
  ~LoopThread();

  [[nodiscard]] Reactor& reactor() { return *loop_.reactor; }
  [[nodiscard]] TestDriven& driven() { return loop_.driven; }
  /// Does something there, and waits until it is done.
  void run(std::function<void()> work);
  /// Waits until something is so, looking there after each turn.
  [[nodiscard]] bool until(const std::function<bool()>& so);

 private:
  Loop loop_;
  std::thread thread_;
};

/// Where test servers listen: 127.0.0.1, ::1, or a file in a directory that goes with the test.
enum class Family { v4, v6, unix_file };
std::string name_of(Family family);
void PrintTo(Family family, std::ostream* out);  // GoogleTest's name for it
Endpoint endpoint_for(Family family);
std::shared_ptr<const Listener> listen_for(Family family);

/// A text whose every part differs, to find what is lost, doubled or out of order.
std::string numbered_text(std::size_t size);

/// Two streams of ours, connected to each other, in one loop.
struct Couple {
  Couple(Loop& loop, Family family);

  std::shared_ptr<const Listener> listener;
  Owner client;
  Owner server;
};

/// A directory for the files of a test program, removed at its end.
std::string test_directory();

}  // namespace forebay::net::test
