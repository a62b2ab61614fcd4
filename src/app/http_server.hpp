#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"

namespace forebay::app {

/// What there is to answer, each as a whole page. Called on the control thread.
struct HttpPages {
  std::function<std::string()> metrics;
  /// Empty: ready. Else why not.
  std::function<std::string()> not_ready;
};

/// GET /livez, /readyz and /metrics, on the control thread.
class HttpServer {
 public:
  static Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& control,
                                                    const Endpoint& endpoint, HttpPages pages);
  virtual ~HttpServer() = default;
};

}  // namespace forebay::app
