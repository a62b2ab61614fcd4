#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "forebay/base/result.hpp"
#include "forebay/config/patroni.hpp"

namespace forebay::app {

using HttpTls = std::shared_ptr<boost::asio::ssl::context>;
/// Trusts who signs for `ca_file`; empty: whom the system trusts.
Result<HttpTls> make_http_tls(const std::string& ca_file);

struct HttpRequest {
  config::HttpUrl url;
  std::string target;  ///< "/cluster"
  std::string body;    ///< JSON for POST; empty: GET
};

/// One request to a program that may be slow, silent or hostile, on the control thread. Nobody is
/// told anything once it is gone.
class HttpCall {
 public:
  /// The whole body of an answer with status 200, or what went wrong.
  using Answered = std::function<void(const Result<std::string>&)>;
  /// What has come of a body that does not end.
  using Came = std::function<void(std::string_view)>;

  virtual ~HttpCall() = default;

  /// `tls` is needed for https.
  static std::unique_ptr<HttpCall> ask(boost::asio::io_context& control, HttpRequest request,
                                       const HttpTls& tls, Answered answered);
  /// `ended` is told why, and never of a success.
  static std::unique_ptr<HttpCall> listen(boost::asio::io_context& control, HttpRequest request,
                                          const HttpTls& tls, Came came, Answered ended);
};

}  // namespace forebay::app
