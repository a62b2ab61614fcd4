#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/http_server.hpp"
#include "app/log_journal.hpp"
#include "app/worker.hpp"
#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "forebay/base/result.hpp"
#include "forebay/net/listener.hpp"
#include "forebay/net/resolver.hpp"

namespace forebay::app {

/// Start, serve, drain, stop: the life of the process. Runs on the control thread, which is the
/// main one; signals, host names and HTTP are dealt with here, connections by the workers.
class Lifecycle {
 public:
  explicit Lifecycle(config::Config config) : config_(std::move(config)) {}

  /// Serves until it is told to stop. The error is why it could not begin.
  Result<void> run();

 private:
  Result<void> start();
  Result<void> open_listeners();
  void announce(const std::vector<std::string>& notes);
  void announce_trust();
  void await_signal();
  void on_signal(int signal);
  void drain(const char* why);
  void watch_drain();
  void stop();
  void say(core::Weight weight, std::string_view event, const std::string& text);

  config::Config config_;
  boost::asio::io_context control_{1};
  boost::asio::signal_set signals_{control_};
  boost::asio::steady_timer drain_timer_{control_};
  std::unique_ptr<LogJournal> journal_;
  std::shared_ptr<const core::Runtime> runtime_;
  std::unique_ptr<net::Resolver> resolver_;
  std::vector<std::shared_ptr<const net::Listener>> listeners_;
  std::unique_ptr<core::Shared> shared_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<HttpServer> http_;
  std::chrono::steady_clock::time_point drain_deadline_;
  bool draining_ = false;
};

}  // namespace forebay::app
