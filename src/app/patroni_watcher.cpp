#include "app/patroni_watcher.hpp"

#include <chrono>
#include <utility>

namespace forebay::app {
namespace {

constexpr std::chrono::milliseconds kInterval{1000};
constexpr std::chrono::milliseconds kIntervalInAHurry{200};

}  // namespace

PatroniWatcher::PatroniWatcher(boost::asio::io_context& control,
                               std::vector<config::HttpUrl> members, HttpTls tls, PatroniEar& ear)
    : control_(control),
      members_(std::move(members)),
      tls_(std::move(tls)),
      ear_(ear),
      timer_(control) {
  ask();
}

void PatroniWatcher::ask() {
  const Instant asked = std::chrono::steady_clock::now();
  call_ =
      HttpCall::ask(control_, {members_[at_], "/cluster", {}}, tls_,
                    [this, asked](const Result<std::string>& answer) { answered(answer, asked); });
}

// The next one is asked at once, until all have been.
void PatroniWatcher::answered(const Result<std::string>& answer, Instant asked) {
  auto cluster = answer ? routing::parse_patroni_cluster(*answer)
                        : Result<routing::PatroniCluster>(answer.error());
  ear_.tried(members_[at_], cluster ? "" : cluster.error().message);
  if (cluster) {
    failed_ = 0;
    ear_.heard(*cluster, asked);
    return again();
  }
  at_ = (at_ + 1) % members_.size();
  if (++failed_ % members_.size() == 0) return again();
  ask();
}

void PatroniWatcher::again() {
  timer_.expires_after(ear_.in_a_hurry() ? kIntervalInAHurry : kInterval);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
    if (!error && !alive.expired()) ask();
  });
}

}  // namespace forebay::app
