#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"
#include "forebay/net/descriptor.hpp"

namespace forebay::app {

struct HttpPage {
  std::string content_type;
  std::string body;
  std::string policy = {};  ///< its Content-Security-Policy; empty: none is needed
};

struct Readiness {
  enum class Kind : std::uint8_t { ready, not_ready, unknown_database } kind = Kind::ready;
  std::string reason = {};  ///< unless it is ready
};

/// What there is to answer, each as a whole page. Called on the control thread.
struct HttpPages {
  /// Every page but the health checks; nothing where there is none. `query` is what stands behind
  /// the question mark, `accepted` what the client says that it understands.
  std::function<std::optional<HttpPage>(std::string_view path, std::string_view query,
                                        std::string_view accepted)>
      page;
  /// For /readyz, with what stands behind the question mark. Calls `done` once, at once or later,
  /// or lets go of it.
  using ReadinessDone = std::function<void(const Readiness&)>;
  std::function<void(std::string_view query, ReadinessDone done)> readiness;
  /// What has to be shown for anything but the health checks and the page at "/", which has no
  /// data of its own; empty: nothing. May change.
  std::function<std::string()> token;
};

/// GET /livez, /readyz and further pages, on the control thread.
class HttpServer {
 public:
  /// `socket`: one that listens there already, or none.
  static Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& control,
                                                    const Endpoint& endpoint, HttpPages pages,
                                                    net::Descriptor socket = {});
  virtual ~HttpServer() = default;
  /// The listening descriptor, which stays the server's.
  [[nodiscard]] virtual int descriptor() = 0;
};

}  // namespace forebay::app
