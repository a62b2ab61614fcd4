#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/consoles.hpp"
#include "app/cluster_sources.hpp"
#include "app/host_checks.hpp"
#include "app/http_server.hpp"
#include "app/learn_file.hpp"
#include "app/log_journal.hpp"
#include "app/takeover.hpp"
#include "app/worker.hpp"
#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/difference.hpp"
#include "forebay/config/load.hpp"
#include "forebay/net/listener.hpp"
#include "forebay/net/resolver.hpp"
#include "metrics/metrics.hpp"

namespace forebay::app {

/// Start, serve, reload, drain, stop: the life of the process. Runs on the control thread, which is
/// the main one; signals, host names and HTTP are dealt with here, connections by the workers.
class Lifecycle final : private core::Control {
 public:
  /// Reads the configuration again, for a reload.
  using Load = std::function<config::LoadedConfig()>;

  /// `take_over`: the place of the process that waits at `takeover_socket`.
  Lifecycle(config::LoadedConfig loaded, Load load, bool take_over = false)
      : config_(std::move(*loaded.config)),
        sources_(std::move(loaded.sources)),
        document_(std::move(loaded.document)),
        files_(std::move(loaded.files)),
        load_(std::move(load)),
        take_over_(take_over) {}

  /// Serves until it is told to stop. The error is why it could not begin.
  Result<void> run();

 private:
  struct Place {
    Endpoint endpoint;  ///< as the configuration has it
    std::shared_ptr<const net::Listener> listener;
    core::ListenerId id;
  };
  /// Everything that a new configuration needs, ready to be used.
  struct Prepared {
    config::Config config;
    std::shared_ptr<const config::Document> document;
    std::shared_ptr<const core::Runtime> runtime;
    std::shared_ptr<const LogJournal::Output> log;
    std::vector<Place> opened;
    std::unique_ptr<HttpServer> http;
    bool http_changes = false;
    config::Secret http_token;
    std::vector<std::string> notes;
  };

  Result<void> start();
  Result<std::vector<Place>> open_listeners(const config::Config& config);
  Result<std::shared_ptr<const net::Listener>> open_listener(const Endpoint& endpoint,
                                                             std::uint32_t unix_mode);
  Result<std::unique_ptr<HttpServer>> open_http(const Endpoint& endpoint);
  [[nodiscard]] metrics::Process process() const;

  // Takeover.
  Result<void> begin_takeover();
  void finish_takeover();
  std::vector<net::Descriptor> handed_for_listening(const Endpoint& endpoint);
  std::vector<net::Descriptor> handed_for_http(const Endpoint& endpoint);
  Result<void> await_takeover();
  std::vector<TakeoverHost::Place> places_to_hand_over();
  void taken(pid_t by);
  Result<std::shared_ptr<const net::Listener>> open_cancels();
  void listen_for_cancels();
  [[nodiscard]] std::vector<Endpoint> predecessors() const;

  // Reload.
  void reload(std::function<void(const config::Reloaded&)> done) override;
  void set(std::string name, std::string value,
           std::function<void(const config::Reloaded&)> done) override;
  config::Reloaded reload_now();
  config::Reloaded set_now(const std::string& name, const std::string& value);
  /// What becomes of a configuration that was read.
  void replace(config::LoadedConfig loaded, config::Reloaded& reloaded);
  Result<Prepared> prepare(config::LoadedConfig loaded);
  void apply(Prepared prepared);
  void reopen_log();
  void watch_files(std::string looks);
  void look_at_files();
  void tell_reloaded(const config::Reloaded& reloaded);

  void announce(const std::vector<std::string>& notes);
  void announce_trust();
  void await_signal();
  void on_signal(int signal);
  void request(core::ControlRequest request, core::WorkerId from, std::uint64_t console) override;
  [[nodiscard]] std::vector<core::NamedHost> named_hosts() const override;
  core::ControlAnswer obey(core::ControlRequest request);
  void drain(const char* why);
  void wait_for_clients();
  void watch_drain();
  void write_records();
  void watch_records();
  void watch_names();
  void watch_workers();
  void watch_heap();
  void watch_log();
  void stop();
  void say(core::Weight weight, std::string_view event, const std::string& text);

  config::Config config_;                             ///< as it was read
  config::Sources sources_;                           ///< until the start
  std::shared_ptr<const config::Document> document_;  ///< what it was read from; null: no file
  std::vector<std::string> files_;  ///< that it is read from, and their folders, to be watched
  const Load load_;
  const bool take_over_;
  boost::asio::io_context control_{1};
  boost::asio::signal_set signals_{control_};
  boost::asio::steady_timer drain_timer_{control_};
  boost::asio::steady_timer watch_timer_{control_};
  std::string files_read_;  ///< what they looked like when they were read: time, size, number
  std::string files_seen_;  ///< and a second ago
  boost::asio::steady_timer records_timer_{control_};
  std::uint64_t lost_audit_records_ = 0;
  std::uint64_t lost_slow_statements_ = 0;
  std::uint64_t audit_log_errors_ = 0;
  std::uint64_t slow_log_errors_ = 0;
  LearnFile learn_file_;
  boost::asio::steady_timer names_timer_{control_};
  boost::asio::steady_timer workers_timer_{control_};
  boost::asio::steady_timer log_timer_{control_};
  boost::asio::steady_timer heap_timer_{control_};
  std::uint64_t heap_seen_ = 0;  ///< how many clients had come or gone at the last look
  std::chrono::steady_clock::time_point next_trim_;
  std::uint64_t heap_trimmed_ = 0;  ///< and when free memory was given back
  std::unique_ptr<LogJournal> journal_;
  std::shared_ptr<const core::Runtime> runtime_;
  std::unique_ptr<net::Resolver> resolver_;
  std::vector<Place> listeners_;
  /// Removed by a reload, and open until every worker has let go.
  std::vector<std::pair<Endpoint, std::weak_ptr<const net::Listener>>> leaving_;
  std::uint16_t next_listener_ = 0;
  std::unique_ptr<core::Shared> shared_;
  std::int64_t started_ = 0;  ///< in Unix time
  std::unique_ptr<admin::Consoles> consoles_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<ClusterSources> cluster_sources_;
  HostChecks host_checks_{control_};
  std::unique_ptr<HttpServer> http_;
  config::Secret http_token_;         ///< empty: none is asked for
  HandedSockets handed_;              ///< until the start
  std::optional<Takeover> takeover_;  ///< likewise
  std::unique_ptr<TakeoverHost> host_;
  std::shared_ptr<const net::Listener> cancels_;  ///< null: the place was not asked for
  bool taken_over_ = false;
  std::chrono::steady_clock::time_point drain_deadline_;
  bool draining_ = false;
};

}  // namespace forebay::app
