#include <sys/stat.h>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

#include "app/audit_log.hpp"
#include "app/descriptors.hpp"
#include "app/http_pages.hpp"
#include "app/lifecycle.hpp"
#include "app/runtime_factory.hpp"
#include "app/service_manager.hpp"
#include "forebay/config/set.hpp"

// Another configuration while clients are served: first everything is made ready, which may fail
// and then has changed nothing; then it is put into use, which cannot fail.
namespace forebay::app {
namespace {

constexpr std::chrono::seconds kWatchEvery{1};

/// What changes with the content of files and folders; empty while the first is not there.
std::string looks_of(const std::vector<std::string>& files) {
  std::string looks;
  for (const std::string& path : files) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
      if (looks.empty()) return {};
      looks += "none;";
      continue;
    }
    looks += std::to_string(facts.st_mtim.tv_sec) + "." + std::to_string(facts.st_mtim.tv_nsec) +
             " " + std::to_string(facts.st_size) + " " + std::to_string(facts.st_ino) + ";";
  }
  return looks;
}

}  // namespace

void Lifecycle::reload(std::function<void(const config::Reloaded&)> done) {
  boost::asio::post(control_, [this, done = std::move(done)] { done(reload_now()); });
}

void Lifecycle::set(std::string name, std::string value,
                    std::function<void(const config::Reloaded&)> done) {
  boost::asio::post(control_, [this, name = std::move(name), value = std::move(value),
                               done = std::move(done)] { done(set_now(name, value)); });
}

config::Reloaded Lifecycle::reload_now() {
  config::Reloaded reloaded;
  if (!draining_) tell_service_manager("RELOADING=1");
  std::string looks = looks_of(files_);  // before they are read: later changes are news
  config::LoadedConfig loaded = load_();
  if (loaded.files != files_) {
    files_ = loaded.files;
    looks.clear();  // nobody looked at all of these before: they are read once more
  }
  replace(std::move(loaded), reloaded);
  if (!reloaded.applied) reopen_log();
  (reloaded.applied ? shared_->reloads.applied : shared_->reloads.failed).add();
  shared_->reloads.last_applied = reloaded.applied;
  if (reloaded.applied) shared_->reloads.last_time = std::time(nullptr);
  tell_reloaded(reloaded);
  watch_files(std::move(looks));
  if (!draining_) tell_service_manager("READY=1");
  return reloaded;
}

// Whoever has moved the file away wants it anew, whatever became of the configuration.
void Lifecycle::reopen_log() {
  auto log = LogJournal::open_output(config_);
  if (log.has_error()) {
    say(core::Weight::error, "log", log.error().message);
  } else {
    journal_->use(std::move(log.value()));
  }
}

// The next reload reads the file, and what it says holds again.
config::Reloaded Lifecycle::set_now(const std::string& name, const std::string& value) {
  config::Reloaded reloaded;
  if (document_ == nullptr) {
    reloaded.errors.emplace_back(
        "SET needs a configuration file; this Forebay was started without one (forebay run)");
    return reloaded;
  }
  auto set = config::set(*document_, name, value, config::SystemEnvironment());
  reloaded.refusal = set.refusal;
  set.loaded.warnings.clear();  // those of the file were said when it was read
  replace(std::move(set.loaded), reloaded);
  for (const config::Change& change : reloaded.changes) {
    if (reloaded.applied) say(core::Weight::normal, "config_changed", "SET: " + to_string(change));
  }
  return reloaded;
}

void Lifecycle::replace(config::LoadedConfig loaded, config::Reloaded& reloaded) {
  for (const auto& warning : loaded.warnings) reloaded.warnings.push_back(to_string(warning));
  for (const auto& error : loaded.errors) reloaded.errors.push_back(to_string(error));
  if (draining_) {
    reloaded.errors.emplace_back("Forebay is shutting down");
    return;
  }
  if (taken_over_) {
    reloaded.errors.emplace_back("another Forebay has taken over");
    return;
  }
  if (!loaded.ok()) return;
  reloaded.changes = config::difference(config_, *loaded.config);
  config::keep_until_restart(config_, *loaded.config);
  auto prepared = prepare(std::move(loaded));
  if (prepared.has_error()) {
    reloaded.errors.push_back(prepared.error().message);
    return;
  }
  for (const std::string& note : prepared->notes) reloaded.warnings.push_back(note);
  apply(std::move(prepared.value()));
  reloaded.applied = true;
}

Result<Lifecycle::Prepared> Lifecycle::prepare(config::LoadedConfig loaded) {
  Prepared prepared;
  prepared.config = std::move(*loaded.config);
  prepared.document = std::move(loaded.document);
  const config::Config& config = prepared.config;
  const auto clients = provide_descriptors(config, shared_->workers);
  if (clients.has_error()) return clients.error();
  config::Config resolved = config;
  resolved.max_client_conn = *clients;
  auto runtime =
      make_runtime(std::move(resolved), prepared.notes, std::move(loaded.sources), runtime_.get());
  if (runtime.has_error()) return runtime.error();
  prepared.runtime = std::move(runtime.value());
  auto log = LogJournal::open_output(config);
  if (log.has_error()) return log.error();
  prepared.log = std::move(log.value());
  if (const auto checked = check_audit_log(config.audit.file); checked.has_error()) {
    return checked.error();
  }
  auto opened = open_listeners(config);
  if (opened.has_error()) return opened.error();
  prepared.opened = std::move(opened.value());
  if (config.http) {
    auto token = read_http_token(config.http_token_file);
    if (token.has_error()) return token.error();
    prepared.http_token = std::move(token.value());
  }
  prepared.http_changes = config.http != config_.http;
  if (prepared.http_changes && config.http) {
    auto http = open_http(*config.http);
    if (http.has_error()) return http.error();
    prepared.http = std::move(http.value());
  }
  return prepared;
}

void Lifecycle::apply(Prepared prepared) {
  journal_->use(std::move(prepared.log));
  runtime_ = std::move(prepared.runtime);
  resolver_->keep_for(prepared.config.dns_max_ttl, prepared.config.dns_nxdomain_ttl);
  workers_->reload(runtime_);
  std::erase_if(leaving_, [](const auto& entry) { return entry.second.expired(); });
  const auto& wanted = prepared.config.listen;
  std::erase_if(listeners_, [&](const Place& place) {
    if (std::ranges::find(wanted, place.endpoint) != wanted.end()) return false;
    workers_->stop_listening(place.listener);
    leaving_.emplace_back(place.endpoint, place.listener);
    return true;
  });
  if (prepared.config.unix_socket_mode != config_.unix_socket_mode) {
    for (const Place& place : listeners_) {
      if (place.endpoint.is_unix()) {
        ::chmod(place.endpoint.host.c_str(), prepared.config.unix_socket_mode);
      }
    }
  }
  for (Place& place : prepared.opened) {
    workers_->listen(place.listener, place.id);
    listeners_.push_back(std::move(place));
  }
  http_token_ = std::move(prepared.http_token);
  if (prepared.http_changes) http_ = std::move(prepared.http);
  write_records();  // where they belonged until now
  config_ = std::move(prepared.config);
  watch_records();
  cluster_sources_->use(config_);
  document_ = std::move(prepared.document);
}

// From now on the files are as they were read; looks at them each second where that is wanted.
void Lifecycle::watch_files(std::string looks) {
  watch_timer_.cancel();
  files_read_ = files_seen_ = std::move(looks);
  if (config_.reload_on_change && !files_.empty()) look_at_files();
}

// An editor may write in several steps: what has changed is read when it has rested.
void Lifecycle::look_at_files() {
  watch_timer_.expires_after(kWatchEvery);
  watch_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || draining_) return;
    const std::string looks = looks_of(files_);
    const bool rests = looks == std::exchange(files_seen_, looks);
    if (rests && looks != files_read_ && !looks.empty()) {
      reload_now();
    } else {
      look_at_files();
    }
  });
}

void Lifecycle::tell_reloaded(const config::Reloaded& reloaded) {
  for (const std::string& warning : reloaded.warnings) {
    say(core::Weight::warning, "configuration", warning);
  }
  for (const std::string& error : reloaded.errors) {
    say(core::Weight::error, "reload_failed", error);
  }
  if (!reloaded.applied) {
    say(core::Weight::error, "reload_failed",
        "nothing was changed: the configuration as it was "
        "before holds");
    return;
  }
  for (const config::Change& change : reloaded.changes) {
    const bool restart = change.effect == config::Effect::restart;
    say(restart ? core::Weight::warning : core::Weight::normal, "config_changed",
        to_string(change));
  }
  say(core::Weight::normal, "reloaded",
      "the configuration was read again: " + std::to_string(reloaded.changes.size()) +
          (reloaded.changes.size() == 1 ? " change" : " changes"));
}

}  // namespace forebay::app
