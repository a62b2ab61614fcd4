#include "app/etcd_watcher.hpp"

#include <algorithm>
#include <utility>

namespace forebay::app {
namespace {

using std::chrono::milliseconds;

/// Also without news: who does not answer this is of no use for listening either.
constexpr milliseconds kInterval{1000};
/// After all members have failed; twice as long each time.
constexpr milliseconds kFirstPause{200};
constexpr int kMostDoublings = 4;
/// Between two readings: however many changes etcd tells of, they come to so many.
constexpr milliseconds kGap{20};
constexpr std::size_t kLineMax = std::size_t{1} << 20;

}  // namespace

EtcdWatcher::EtcdWatcher(boost::asio::io_context& control, std::vector<config::HttpUrl> members,
                         HttpTls tls, std::string prefix, PatroniEar& ear)
    : control_(control),
      members_(std::move(members)),
      tls_(std::move(tls)),
      prefix_(std::move(prefix)),
      ear_(ear),
      timer_(control) {
  read();
}

void EtcdWatcher::read() {
  timer_.cancel();
  const Instant asked = asked_ = std::chrono::steady_clock::now();
  asking_ = true;
  news_ = false;
  reading_ = HttpCall::ask(
      control_, {members_[at_], "/v3/kv/range", routing::etcd_range_request(prefix_)}, tls_,
      [this, asked](const Result<std::string>& answer) { have_read(answer, asked); });
}

void EtcdWatcher::have_read(const Result<std::string>& answer, Instant asked) {
  asking_ = false;
  const auto said = answer ? routing::parse_etcd_range(*answer, prefix_)
                           : Result<routing::EtcdAnswer>(answer.error());
  if (!said) return failed(said.error().message);
  failed_ = 0;
  ear_.tried(members_[at_], "");
  ear_.heard(said->cluster, asked);
  if (listening_ == nullptr) listen(said->revision);
  read_after(news_ ? kGap : kInterval);
}

// The next one is asked at once, until all have been.
void EtcdWatcher::failed(const std::string& why) {
  ear_.tried(members_[at_], why);
  listening_.reset();
  at_ = (at_ + 1) % members_.size();
  if (++failed_ % members_.size() != 0) return read();
  const auto rounds =
      static_cast<int>(std::min<std::size_t>(failed_ / members_.size() - 1, kMostDoublings));
  read_after(kFirstPause * (1 << rounds));
}

void EtcdWatcher::listen(const std::string& revision) {
  line_.clear();
  listening_ = HttpCall::listen(
      control_, {members_[at_], "/v3/watch", routing::etcd_watch_request(prefix_, revision)}, tls_,
      [this](std::string_view bytes) { came(bytes); },
      // It is begun anew with the next reading, which says from where.
      [this](const Result<std::string>&) { listening_.reset(); });
}

void EtcdWatcher::came(std::string_view bytes) {
  line_ += bytes;
  bool any = false;
  bool ended = line_.size() > kLineMax;
  for (std::size_t end = line_.find('\n'); end != std::string::npos; end = line_.find('\n')) {
    const auto event = routing::parse_etcd_event(std::string_view(line_).substr(0, end), prefix_);
    line_.erase(0, end + 1);
    any = any || event == routing::EtcdEvent::news;
    ended = ended || event == routing::EtcdEvent::ended;
  }
  if (ended) listening_.reset();
  if (!any) return;
  if (!std::exchange(news_, true) && !asking_) read_soon();
}

void EtcdWatcher::read_soon() {
  const auto since =
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - asked_);
  if (since >= kGap) return read();
  read_after(kGap - since);
}

void EtcdWatcher::read_after(milliseconds pause) {
  timer_.expires_after(pause);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
    if (!error && !alive.expired() && !asking_) read();
  });
}

}  // namespace forebay::app
