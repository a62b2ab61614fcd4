#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "forebay/base/endpoint.hpp"

namespace forebay::app {

/// Whether somebody takes connections at a host, for those who ask while nobody uses it. Nothing
/// is said there, so that PostgreSQL logs nothing of it. However many ask: each host is asked once
/// at a time, and once a second at most. On the control thread.
class HostChecks {
 public:
  /// "" when it takes connections; else why not.
  using Done = std::function<void(const std::string& error)>;

  explicit HostChecks(boost::asio::io_context& control) : control_(control) {}
  HostChecks(const HostChecks&) = delete;
  HostChecks& operator=(const HostChecks&) = delete;

  /// Calls `done`, at once or within some seconds. Never, when the control thread ends before.
  void ask(const Endpoint& host, Done done);

 private:
  class Check;

  boost::asio::io_context& control_;
  std::map<Endpoint, std::shared_ptr<Check>> checks_;  ///< under way, or done a moment ago
};

}  // namespace forebay::app
