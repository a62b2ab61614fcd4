#include "app/host_checks.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

namespace forebay::app {
namespace {

using boost::asio::ip::tcp;
using boost::asio::local::stream_protocol;
using boost::system::error_code;
using std::chrono::steady_clock;

/// Whoever asks has patience of its own: Kubernetes' is a second.
constexpr std::chrono::milliseconds kCheckPatience{800};
/// An answer is as good as another one for so long.
constexpr std::chrono::seconds kFresh{1};

}  // namespace

class HostChecks::Check : public std::enable_shared_from_this<Check> {
 public:
  explicit Check(boost::asio::io_context& control)
      : resolver_(control), tcp_(control), local_(control), timer_(control) {}

  [[nodiscard]] bool old() const { return answered_ && steady_clock::now() - *answered_ >= kFresh; }

  void start(const Endpoint& host) {
    const auto self = shared_from_this();
    timer_.expires_after(kCheckPatience);
    timer_.async_wait([self](error_code error) {
      if (!error) self->finish("no answer within 800 ms");
    });
    if (host.is_unix()) {
      local_.async_connect(stream_protocol::endpoint(host.host),
                           [self](error_code error) { self->finish(error); });
      return;
    }
    resolver_.async_resolve(host.host, std::to_string(host.port),
                            [self](error_code error, const tcp::resolver::results_type& found) {
                              if (error || self->answered_) return self->finish(error);
                              boost::asio::async_connect(
                                  self->tcp_, found,
                                  [self](error_code failed, const auto&) { self->finish(failed); });
                            });
  }

  void add(Done done) {
    if (answered_) return done(error_);
    waiting_.push_back(std::move(done));
  }

 private:
  void finish(error_code error) { finish(error ? error.message() : std::string()); }

  void finish(std::string error) {
    if (answered_) return;
    answered_ = steady_clock::now();
    error_ = std::move(error);
    error_code ignored;
    timer_.cancel();
    resolver_.cancel();
    tcp_.close(ignored);
    local_.close(ignored);
    for (const Done& done : std::exchange(waiting_, {})) done(error_);
  }

  tcp::resolver resolver_;
  tcp::socket tcp_;
  stream_protocol::socket local_;
  boost::asio::steady_timer timer_;
  std::vector<Done> waiting_;
  std::optional<steady_clock::time_point> answered_;
  std::string error_;
};

void HostChecks::ask(const Endpoint& host, Done done) {
  std::erase_if(checks_, [](const auto& entry) { return entry.second->old(); });
  auto& check = checks_[host];
  if (check == nullptr) {
    check = std::make_shared<Check>(control_);
    check->start(host);
  }
  // What is called may ask again.
  const std::shared_ptr<Check> held = check;
  held->add(std::move(done));
}

}  // namespace forebay::app
