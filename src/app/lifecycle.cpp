#include "app/lifecycle.hpp"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <ctime>
#include <thread>

#include "app/audit_log.hpp"
#include "app/descriptors.hpp"
#include "app/http_pages.hpp"
#include "app/readiness.hpp"
#include "app/runtime_factory.hpp"
#include "app/service_manager.hpp"
#include "app/slow_log.hpp"
#include "app/version.hpp"
#include "forebay/config/names.hpp"

namespace forebay::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// How often a drain looks whether everybody has left.
constexpr milliseconds kDrainLook{20};
/// How often slow statements are written to their file.
constexpr milliseconds kRecordsLook{500};
/// How often is looked whether lines of the log were left out.
constexpr std::chrono::seconds kLogLook{1};
/// How often is looked whose addresses are to be looked up again.
constexpr std::chrono::seconds kNamesLook{1};
/// How often is looked whether clients come and go, and how many had to for free memory to be given
/// back.
constexpr std::chrono::seconds kHeapLook{1};
constexpr std::uint64_t kStorm = 500;
/// Giving back takes longest where much is free, and the workers may have to wait for it.
constexpr std::chrono::seconds kTrimPause{10};
/// A process id has room for so many workers.
constexpr std::size_t kWorkersMax = 127;
constexpr int kSignals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};

// SIG_BLOCK or SIG_UNBLOCK, for this thread and those that it starts.
void mask_signals(int how) {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : kSignals) sigaddset(&mask, signal);
  pthread_sigmask(how, &mask, nullptr);
}

std::size_t worker_count(const config::Config& config) {
  if (config.workers > 0) return std::min<std::size_t>(config.workers, kWorkersMax);
  const std::size_t most = config.peer_id == 0 ? kWorkersMax : core::ProcessIds::kWorkersMax;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, most);
}

}  // namespace

Result<void> Lifecycle::run() {
  // Keys live in memory: no core dump, and no other process of this user looks in.
  prctl(PR_SET_DUMPABLE, 0);
  ::signal(SIGPIPE, SIG_IGN);
  // Only this thread has them, and only while it serves: one that comes when all is over would end
  // the process as if it had not ended well.
  for (const int signal : kSignals) signals_.add(signal);
  mask_signals(SIG_BLOCK);
  if (const auto started = start(); started.has_error()) return started.error();
  mask_signals(SIG_UNBLOCK);
  await_signal();
  control_.run();
  mask_signals(SIG_BLOCK);
  host_.reset();
  http_.reset();
  cluster_sources_.reset();
  workers_.reset();
  write_records();
  say(core::Weight::normal, "stopped", "stopped");
  journal_->flush();
  return {};
}

Result<void> Lifecycle::start() {
  auto journal = LogJournal::open(config_);
  if (journal.has_error()) return journal.error();
  journal_ = std::move(journal.value());

  const std::size_t workers = worker_count(config_);
  const auto clients = provide_descriptors(config_, workers);
  if (clients.has_error()) return clients.error();
  config::Config resolved = config_;
  resolved.max_client_conn = *clients;
  std::vector<std::string> notes;
  auto runtime = make_runtime(std::move(resolved), notes, std::move(sources_));
  if (runtime.has_error()) return runtime.error();
  runtime_ = std::move(runtime.value());

  if (const auto begun = begin_takeover(); begun.has_error()) return begun.error();
  if (const auto checked = check_audit_log(config_.audit.file); checked.has_error()) {
    return checked.error();
  }
  auto opened = open_listeners(config_);
  if (opened.has_error()) return opened.error();
  listeners_ = std::move(opened.value());
  resolver_ = std::make_unique<net::Resolver>(net::system_look_up(control_));
  resolver_->keep_for(config_.dns_max_ttl, config_.dns_nxdomain_ttl);
  shared_ = std::make_unique<core::Shared>(workers, *journal_);
  consoles_ = std::make_unique<admin::Consoles>(*shared_);
  shared_->consoles = consoles_.get();
  shared_->control = this;
  shared_->predecessors = predecessors();
  started_ = std::time(nullptr);
  shared_->reloads.last_time = started_;
  workers_ = std::make_unique<Workers>(*shared_);
  if (const auto added = workers_->add(workers, runtime_, *resolver_); added.has_error()) {
    return added.error();
  }
  for (const Place& place : listeners_) workers_->listen(place.listener, place.id);
  if (config_.http) {
    auto token = read_http_token(config_.http_token_file);
    if (token.has_error()) return token.error();
    http_token_ = std::move(token.value());
    auto http = open_http(*config_.http);
    if (http.has_error()) return http.error();
    http_ = std::move(http.value());
  }
  if (const auto awaited = await_takeover(); awaited.has_error()) return awaited.error();
  announce(notes);
  watch_records();
  resolver_->on_moved([this](const std::string& host, const net::Resolver::Addresses& now) {
    std::string all;
    for (const std::string& address : now) all += (all.empty() ? "" : ", ") + address;
    say(core::Weight::normal, "host_moved",
        "host " + host + " has another address now: " + all +
            "; server connections to others are replaced as they become free");
    workers_->host_moved(host, now);
  });
  watch_names();
  workers_->start();
  cluster_sources_ = std::make_unique<ClusterSources>(control_, *shared_, *resolver_);
  cluster_sources_->use(config_);
  finish_takeover();
  tell_service_manager("READY=1");
  watch_workers();
  watch_heap();
  watch_log();
  watch_files({});
  return {};
}

// Those that are not open yet.
Result<std::vector<Lifecycle::Place>> Lifecycle::open_listeners(const config::Config& config) {
  std::vector<Place> opened;
  for (const Endpoint& endpoint : config.listen) {
    if (std::ranges::find(listeners_, endpoint, &Place::endpoint) != listeners_.end()) continue;
    auto listener = open_listener(endpoint, config.unix_socket_mode);
    if (listener.has_error()) return listener.error();
    opened.push_back({endpoint, std::move(listener.value()), core::ListenerId(next_listener_++)});
  }
  return opened;
}

Result<std::shared_ptr<const net::Listener>> Lifecycle::open_listener(const Endpoint& endpoint,
                                                                      std::uint32_t unix_mode) {
  for (const auto& [known, listener] : leaving_) {
    if (auto still = listener.lock(); still != nullptr && known == endpoint) return still;
  }
  auto handed = handed_for_listening(endpoint);
  return handed.empty() ? net::Listener::open(endpoint, unix_mode)
                        : net::Listener::adopt(endpoint, std::move(handed));
}

Result<std::unique_ptr<HttpServer>> Lifecycle::open_http(const Endpoint& endpoint) {
  auto handed = handed_for_http(endpoint);
  return HttpServer::listen(
      control_, endpoint,
      {.page =
           [this](std::string_view path, std::string_view query, std::string_view accepted) {
             return page_of(*shared_, process(), path, query, accepted);
           },
       .readiness =
           [this](std::string_view query, HttpPages::ReadinessDone done) {
             if (draining_) return done({Readiness::Kind::not_ready, "draining"});
             ask_readiness(*shared_, config_, query, host_checks_, std::move(done));
           },
       .token = [this] { return std::string(http_token_.reveal()); }},
      handed.empty() ? net::Descriptor() : std::move(handed.front()));
}

metrics::Process Lifecycle::process() const {
  return {.version = FOREBAY_VERSION,
          .runtime = runtime_.get(),
          .started = started_,
          .lost_log_lines = journal_->lost(),
          .left_out_log_lines = journal_->left_out(),
          .lost_audit_records = lost_audit_records_,
          .lost_slow_statements = lost_slow_statements_,
          .write_errors = {{"log", journal_->failures()},
                           {"audit_log", audit_log_errors_},
                           {"slow_query_log", slow_log_errors_},
                           {"learn_file", learn_file_.failures()}}};
}

// ---------------------------------------------------------------- what the operator is told

void Lifecycle::say(core::Weight weight, std::string_view event, const std::string& text) {
  journal_->note({.weight = weight, .event = event, .text = text});
}

void Lifecycle::announce(const std::vector<std::string>& notes) {
  say(core::Weight::normal, "starting",
      "forebay " FOREBAY_VERSION ", " + std::to_string(shared_->workers) + " worker" +
          (shared_->workers == 1 ? "" : "s") + ", " +
          std::to_string(runtime_->config.max_client_conn.value_or(0)) + " clients at most");
  for (const Place& place : listeners_) {
    const Endpoint& endpoint = place.listener->endpoint();
    say(core::Weight::normal, "listening",
        "clients come in at " + to_string(endpoint) +
            (runtime_->client_tls != nullptr && !endpoint.is_unix()
                 ? ", TLS " + std::string(config::to_string(config_.client_tls.mode))
                 : ", no TLS"));
  }
  for (const auto& [name, database] : config_.databases) {
    std::string hosts;
    for (const Endpoint& host : database.hosts)
      hosts += (hosts.empty() ? "" : ", ") + to_string(host);
    const auto settings = config_.pool_settings(database, nullptr);
    const auto& tls = database.server_tls ? *database.server_tls : config_.server_tls;
    say(core::Weight::normal, "database",
        (name == "*" ? std::string("every database") : "database \"" + name + "\"") + " at " +
            hosts + ", " + std::string(config::to_string(settings.pool_mode)) + " pooling, " +
            std::to_string(settings.pool_size) + " connections for each role, TLS " +
            std::string(config::to_string(tls.mode)));
  }
  announce_trust();
  if (config_.http) {
    say(core::Weight::normal, "http", "health and metrics at http://" + to_string(*config_.http));
  }
  for (const std::string& note : notes) say(core::Weight::warning, "configuration", note);
}

// Exactly what is trusted, and who may come in without a password.
void Lifecycle::announce_trust() {
  const auto any = [&](config::AuthMethod method) {
    if (config_.auth == method) return true;
    return std::any_of(config_.databases.begin(), config_.databases.end(),
                       [&](const auto& entry) { return entry.second.auth == method; });
  };
  if (any(config::AuthMethod::server)) {
    say(core::Weight::normal, "trust",
        "the server checks the passwords of clients (SCRAM and MD5 are passed on and not kept; a "
        "clear-text password is asked for only inside TLS or from this machine)");
    if (config_.passwordless_from_anywhere) {
      say(core::Weight::warning, "trust",
          "whoever can reach Forebay may use every role for which the server asks Forebay for no "
          "password");
    } else {
      const bool by_unix =
          std::any_of(config_.databases.begin(), config_.databases.end(), [](const auto& entry) {
            return std::any_of(entry.second.hosts.begin(), entry.second.hosts.end(),
                               [](const Endpoint& host) { return host.is_unix(); });
          });
      say(core::Weight::normal, "trust",
          by_unix
              ? "where the server asks Forebay for no password, only this operating-system user "
                "may come in without one, through a Unix-domain socket"
              : "where the server asks Forebay for no password, clients of this machine may come "
                "in without one, others are refused");
    }
  }
  if (any(config::AuthMethod::trust)) {
    const bool open = !std::all_of(config_.listen.begin(), config_.listen.end(),
                                   [](const Endpoint& listen) { return listen.is_local(); });
    say(core::Weight::warning, "trust",
        std::string("auth = \"trust\": whoever can reach Forebay may use every role without a "
                    "password") +
            (open ? ", and it listens to other machines" : ""));
  }
  if (config_.cleartext_without_tls) {
    say(core::Weight::warning, "trust",
        "cleartext_without_tls = true: passwords may cross the network unprotected");
  }
}

// ---------------------------------------------------------------- signals

void Lifecycle::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    on_signal(signal);
    if (!control_.stopped()) await_signal();
  });
}

void Lifecycle::on_signal(int signal) {
  switch (signal) {
    case SIGHUP:
      reload_now();
      return;
    case SIGQUIT:
      stop();
      return;
    default:
      if (draining_) {
        say(core::Weight::normal, "stopping", "asked again: ending every connection now");
        stop();
      } else {
        drain(signal == SIGTERM ? "SIGTERM" : "SIGINT");
      }
  }
}

std::vector<core::NamedHost> Lifecycle::named_hosts() const {
  std::vector<core::NamedHost> hosts;
  for (auto& known : resolver_->known()) {
    hosts.push_back({std::move(known.host), std::move(known.addresses), known.kept});
  }
  return hosts;
}

// From a console, on its worker's thread.
void Lifecycle::request(core::ControlRequest request, core::WorkerId from, std::uint64_t console) {
  boost::asio::post(control_, [this, request, from, console] {
    workers_->send(from, core::mail::Answered{console, obey(request)});
  });
}

core::ControlAnswer Lifecycle::obey(core::ControlRequest request) {
  switch (request) {
    case core::ControlRequest::shutdown:
      say(core::Weight::normal, "stopping", "SHUTDOWN in the console: ending every connection");
      boost::asio::post(control_, [this] { stop(); });
      return {};
    case core::ControlRequest::shutdown_wait_for_clients:
      if (draining_) return {{}, "shutdown already in progress"};
      wait_for_clients();
      return {};
    default:
      if (draining_) return {{}, "shutdown already in progress"};
      drain("SHUTDOWN in the console");
      return {};
  }
}

void Lifecycle::drain(const char* why) {
  draining_ = true;
  tell_service_manager("STOPPING=1");
  say(core::Weight::normal, "draining",
      std::string(why) +
          ": no new clients; those between transactions are let go, the others when "
          "theirs ends, for at most " +
          std::to_string(config_.shutdown_timeout.count()) + " ms");
  workers_->stop_accepting();
  listeners_.clear();
  if (taken_over_) listen_for_cancels();
  workers_->drain();
  drain_deadline_ = steady_clock::now() + config_.shutdown_timeout;
  watch_drain();
}

void Lifecycle::wait_for_clients() {
  draining_ = true;
  tell_service_manager("STOPPING=1");
  say(core::Weight::normal, "draining",
      "SHUTDOWN WAIT_FOR_CLIENTS in the console: no new clients; ending when the last has left");
  workers_->stop_accepting();
  listeners_.clear();
  if (taken_over_) listen_for_cancels();
  drain_deadline_ = steady_clock::time_point::max();
  watch_drain();
}

void Lifecycle::write_records() {
  if (!config_.slow_query_log.empty()) {
    lost_slow_statements_ += write_slow_log(*shared_, config_.slow_query_log, slow_log_errors_);
  }
  if (!config_.audit.file.empty()) {
    lost_audit_records_ += write_audit_log(*shared_, config_.audit.file, audit_log_errors_);
  }
  if (!config_.tenants.learn_file.empty() && !taken_over_) {
    learn_file_.write(shared_->learning, config_.tenants, shared_->journal);
  }
}

// Slow statements, the audit log, and what tenants were seen to do, where there are such.
void Lifecycle::watch_records() {
  if (config_.slow_query_log.empty() && config_.audit.file.empty() &&
      config_.tenants.learn_file.empty()) {
    return;
  }
  write_records();
  records_timer_.expires_after(kRecordsLook);
  records_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_records();
  });
}

// The service manager kills us when it does not hear of us: when the control thread or a worker
// hangs.
void Lifecycle::watch_workers() {
  const auto interval = watchdog_interval();
  if (interval.count() == 0) return;
  if (workers_->all_turn()) tell_service_manager("WATCHDOG=1");
  workers_timer_.expires_after(interval / 3);
  workers_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_workers();
  });
}

// Logins, of TLS above all, and clients that leave make holes in the heap. When a storm of them has
// passed they go back to the system; while it goes on, the next ones use them.
void Lifecycle::watch_heap() {
  std::uint64_t moves = 0;
  for (const core::Counters& counters : shared_->counters) {
    moves += counters.clients_accepted.value() + counters.clients_closed.value();
  }
  if (moves == heap_seen_ && moves - heap_trimmed_ >= kStorm && steady_clock::now() >= next_trim_) {
    ::malloc_trim(0);
    heap_trimmed_ = moves;
    next_trim_ = steady_clock::now() + kTrimPause;
  }
  heap_seen_ = moves;
  heap_timer_.expires_after(kHeapLook);
  heap_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_heap();
  });
}

// While it ends, too: then there are most lines.
void Lifecycle::watch_log() {
  journal_->tell_left_out();
  log_timer_.expires_after(kLogLook);
  log_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_log();
  });
}

// A name may lead elsewhere while every connection that it led to stays open.
void Lifecycle::watch_names() {
  resolver_->refresh();
  names_timer_.expires_after(kNamesLook);
  names_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_names();
  });
}

void Lifecycle::watch_drain() {
  std::uint64_t sessions = 0;
  for (const core::Counters& counters : shared_->counters) {
    sessions += counters.clients_accepted.value() - counters.clients_closed.value();
  }
  const bool late = steady_clock::now() >= drain_deadline_;
  if (late && sessions > 0 && !draining_) return drain("shutdown_timeout after the takeover");
  if (late && sessions > 0) {
    say(core::Weight::warning, "stopping",
        "shutdown_timeout is over: ending " + std::to_string(sessions) +
            " clients in the middle of a transaction");
  }
  if (late || sessions == 0) {
    stop();
    return;
  }
  drain_timer_.expires_after(kDrainLook);
  drain_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_drain();
  });
}

void Lifecycle::stop() {
  workers_->stop();
  control_.stop();
}

}  // namespace forebay::app
