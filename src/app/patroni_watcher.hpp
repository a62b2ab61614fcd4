#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/http_client.hpp"
#include "forebay/base/time.hpp"
#include "forebay/config/patroni.hpp"
#include "forebay/routing/cluster/patroni.hpp"

namespace forebay::app {

/// Who hears what watchers find out of one cluster. Must not end a watcher while it is told.
class PatroniEar {
 public:
  virtual void heard(const routing::PatroniCluster& cluster, Instant asked) = 0;
  /// Told of each attempt; `why` is empty when the source has answered.
  virtual void tried(const config::HttpUrl& source, const std::string& why) = 0;
  /// Something is amiss: what is known soon is known better.
  [[nodiscard]] virtual bool in_a_hurry() const = 0;

 protected:
  ~PatroniEar() = default;
};

/// Asks Patroni's REST API now and then what it knows of its cluster: any member that answers.
class PatroniWatcher {
 public:
  PatroniWatcher(boost::asio::io_context& control, std::vector<config::HttpUrl> members,
                 HttpTls tls, PatroniEar& ear);

 private:
  void ask();
  void answered(const Result<std::string>& answer, Instant asked);
  void again();

  boost::asio::io_context& control_;
  const std::vector<config::HttpUrl> members_;
  const HttpTls tls_;
  PatroniEar& ear_;
  boost::asio::steady_timer timer_;
  std::unique_ptr<HttpCall> call_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();  ///< for a timer that has gone off
  std::size_t at_ = 0;                                      ///< whom to ask
  std::size_t failed_ = 0;                                  ///< in a row
};

}  // namespace forebay::app
