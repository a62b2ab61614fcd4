#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/shared.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"
#include "forebay/net/resolver.hpp"

namespace forebay::app {

class ClusterSource;

/// What Patroni says of each cluster of the configuration, for the monitor. On the control thread.
class ClusterSources {
 public:
  ClusterSources(boost::asio::io_context& control, core::Shared& shared,
                 const net::Resolver& resolver);
  ClusterSources(const ClusterSources&) = delete;
  ClusterSources& operator=(const ClusterSources&) = delete;
  ~ClusterSources();

  /// From now on as this configuration says. Where one cannot be watched that is logged, and the
  /// cluster goes without.
  void use(const config::Config& config);

 private:
  boost::asio::io_context& control_;
  core::Shared& shared_;
  const net::Resolver& resolver_;
  std::map<std::vector<Endpoint>, std::unique_ptr<ClusterSource>> sources_;
};

}  // namespace forebay::app
