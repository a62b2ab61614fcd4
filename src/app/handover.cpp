#include <unistd.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "app/lifecycle.hpp"
#include "app/service_manager.hpp"

// The place of one process is taken by another: the sockets go over, then the clients.
namespace forebay::app {
namespace {

constexpr std::string_view kListen = "listen ";
constexpr std::string_view kHttp = "http ";
constexpr std::string_view kTakeover = "takeover ";
/// Where the process that leaves takes the cancel requests of its clients from then on.
constexpr std::string_view kCancels = "cancels ";
/// Whoever connects gets every listening socket.
constexpr std::uint32_t kTakeoverMode = 0600;

}  // namespace

Result<void> Lifecycle::begin_takeover() {
  if (!take_over_) {
    handed_ = activated_sockets();
    return {};
  }
  if (config_.takeover_socket.empty()) {
    return failure(
        "--takeover needs takeover_socket in [forebay], as in the configuration of the Forebay "
        "whose place is taken");
  }
  auto begun = Takeover::begin(config_.takeover_socket);
  if (begun.has_error()) return begun.error();
  handed_ = std::move(begun->sockets());
  takeover_ = std::move(begun.value());
  return {};
}

// We serve. From now on socket files are ours; what was handed over and is not wanted is closed.
void Lifecycle::finish_takeover() {
  for (const std::string& place : handed_.left()) {
    say(core::Weight::warning, "takeover", "a socket was handed over that is not wanted: " + place);
  }
  handed_ = {};
  if (!takeover_) return;
  if (const auto left = takeover_->finish(); left.has_error()) {
    say(core::Weight::warning, "takeover", left.error().message);
  } else {
    say(core::Weight::normal, "takeover", "took the place of the Forebay that was here");
  }
  takeover_.reset();
  for (const Place& place : listeners_) place.listener->own_file(true);
  host_->listener()->own_file(true);
}

std::vector<net::Descriptor> Lifecycle::handed_for_listening(const Endpoint& endpoint) {
  return handed_.take(std::string(kListen) + to_string(endpoint));
}

std::vector<net::Descriptor> Lifecycle::handed_for_http(const Endpoint& endpoint) {
  return handed_.take(std::string(kHttp) + to_string(endpoint));
}

Result<void> Lifecycle::await_takeover() {
  if (config_.takeover_socket.empty()) return {};
  const Endpoint place{config_.takeover_socket, 0};
  auto handed = handed_.take(std::string(kTakeover) + config_.takeover_socket);
  auto listener = handed.empty() ? net::Listener::open(place, kTakeoverMode)
                                 : net::Listener::adopt(place, std::move(handed));
  if (listener.has_error()) return failure("takeover_socket: " + listener.error().message);
  host_ = std::make_unique<TakeoverHost>(
      control_, std::move(listener.value()),
      TakeoverHost::Owner{
          .places = [this] { return places_to_hand_over(); },
          .taken = [this](pid_t by) { boost::asio::post(control_, [this, by] { taken(by); }); },
          .refused =
              [this](const std::string& why) {
                cancels_.reset();
                say(core::Weight::warning, "takeover", "nothing was taken over: " + why);
              }});
  return {};
}

std::vector<TakeoverHost::Place> Lifecycle::places_to_hand_over() {
  std::vector<TakeoverHost::Place> places;
  for (const Place& place : listeners_) {
    places.push_back(
        {std::string(kListen) + to_string(place.endpoint), place.listener->descriptors()});
  }
  if (http_ != nullptr) {
    places.push_back({std::string(kHttp) + to_string(*config_.http), {http_->descriptor()}});
  }
  places.push_back(
      {std::string(kTakeover) + config_.takeover_socket, host_->listener()->descriptors()});
  if (auto cancels = open_cancels(); cancels.has_error()) {
    say(core::Weight::warning, "takeover",
        "clients that stay here will not be able to cancel: " + cancels.error().message);
  } else {
    cancels_ = std::move(cancels.value());
    places.push_back({std::string(kCancels) + cancels_->endpoint().host, {}});
  }
  for (const Endpoint& older : shared_->predecessors) {
    if (::access(older.host.c_str(), F_OK) == 0) {
      places.push_back({std::string(kCancels) + older.host, {}});
    }
  }
  return places;
}

// Those who stay ask for a cancel at the address that they know: who listens there then sends it
// on.
Result<std::shared_ptr<const net::Listener>> Lifecycle::open_cancels() {
  return net::Listener::open(Endpoint{config_.takeover_socket + "." + std::to_string(::getpid()) +
                                          "-" + std::to_string(started_),
                                      0},
                             kTakeoverMode);
}

std::vector<Endpoint> Lifecycle::predecessors() const {
  std::vector<Endpoint> all;
  for (std::string& path : handed_.all(kCancels)) all.push_back({std::move(path), 0});
  return all;
}

void Lifecycle::listen_for_cancels() {
  if (cancels_ != nullptr) workers_->listen(cancels_, core::ListenerId(next_listener_++));
}

// New clients are the other one's. Ours may leave by themselves before they are let go.
void Lifecycle::taken(pid_t by) {
  for (const Place& place : listeners_) place.listener->own_file(false);
  host_->listener()->own_file(false);
  host_.reset();
  http_.reset();
  tell_service_manager("MAINPID=" + std::to_string(by));
  // Who drains already goes on with that.
  if (draining_) return listen_for_cancels();
  taken_over_ = true;
  say(core::Weight::normal, "takeover",
      "process " + std::to_string(by) +
          " has taken over: clients that are here stay as long as they want, for at most "
          "shutdown_timeout, " +
          std::to_string(config_.shutdown_timeout.count()) + " ms; then they are let go");
  workers_->stop_accepting();
  listeners_.clear();
  listen_for_cancels();
  drain_deadline_ = std::chrono::steady_clock::now() + config_.shutdown_timeout;
  watch_drain();
}

}  // namespace forebay::app
