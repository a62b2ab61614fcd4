#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "core/engine/engine.hpp"
#include "forebay/net/reactor.hpp"

namespace forebay::app {

/// A thread with its loop and its engine.
class Worker {
 public:
  Worker(core::WorkerId id, core::Shared& shared, std::shared_ptr<const core::Runtime> runtime,
         std::unique_ptr<net::Reactor> reactor)
      : id_(id),
        reactor_(std::move(reactor)),
        engine_(std::make_unique<core::Engine>(
            core::Engine::Setup{id, *reactor_, shared, std::move(runtime)})) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  /// Any thread. Nothing is delivered any more once the loop has ended.
  void post(core::Mail mail);
  [[nodiscard]] net::Reactor& reactor() noexcept { return *reactor_; }
  [[nodiscard]] core::WorkerId id() const noexcept { return id_; }
  /// Clients that were given to it since the start.
  std::atomic<std::uint64_t> given{0};
  /// Any thread: has the loop turn once, if it has turned since the last time this was called.
  bool turn();
  /// Any thread: ends every connection, then the loop.
  void stop();
  void join();

 private:
  const core::WorkerId id_;
  std::unique_ptr<net::Reactor> reactor_;
  std::unique_ptr<core::Engine> engine_;
  std::thread thread_;
  std::atomic<bool> turning_{false};  ///< it was asked to, and has not yet
};

/// All workers of the process, and the mail between them.
class Workers final : public core::Courier {
 public:
  explicit Workers(core::Shared& shared) : shared_(shared) { shared.courier = this; }
  ~Workers() override;

  Result<void> add(std::size_t count, std::shared_ptr<const core::Runtime> runtime,
                   net::Resolver& resolver);
  /// Any time.
  void listen(const std::shared_ptr<const net::Listener>& listener, core::ListenerId id);
  void start();
  void stop_accepting();
  void stop_listening(const std::shared_ptr<const net::Listener>& listener);
  void reload(std::shared_ptr<const core::Runtime> runtime);
  void drain();
  void host_moved(const std::string& host, const std::vector<std::string>& addresses);
  void stop();

  /// Whether every loop has turned since the last time that this was asked.
  [[nodiscard]] bool all_turn();

  void send(core::WorkerId to, core::Mail mail) override;
  [[nodiscard]] const std::vector<std::unique_ptr<Worker>>& all() const noexcept {
    return workers_;
  }

 private:
  [[nodiscard]] Worker& least_busy();

  core::Shared& shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace forebay::app
