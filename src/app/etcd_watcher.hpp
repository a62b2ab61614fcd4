#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/http_client.hpp"
#include "app/patroni_watcher.hpp"
#include "forebay/routing/cluster/etcd.hpp"

namespace forebay::app {

/// Reads Patroni's keys from etcd now and then, and at once when etcd says that one has changed.
/// Whatever goes wrong with that is answered by reading them anew, from the next member.
class EtcdWatcher {
 public:
  EtcdWatcher(boost::asio::io_context& control, std::vector<config::HttpUrl> members, HttpTls tls,
              std::string prefix, PatroniEar& ear);

 private:
  void read();
  void have_read(const Result<std::string>& answer, Instant asked);
  void failed(const std::string& why);
  void listen(const std::string& revision);
  void came(std::string_view bytes);
  void read_soon();
  void read_after(std::chrono::milliseconds pause);

  boost::asio::io_context& control_;
  const std::vector<config::HttpUrl> members_;
  const HttpTls tls_;
  const std::string prefix_;
  PatroniEar& ear_;
  boost::asio::steady_timer timer_;
  std::unique_ptr<HttpCall> reading_;
  std::unique_ptr<HttpCall> listening_;
  std::string line_;                                        ///< of what listening has brought
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();  ///< for a timer that has gone off
  std::size_t at_ = 0;                                      ///< whom to ask
  std::size_t failed_ = 0;                                  ///< in a row
  Instant asked_{};
  bool asking_ = false;
  bool news_ = false;  ///< came since it was last asked
};

}  // namespace forebay::app
