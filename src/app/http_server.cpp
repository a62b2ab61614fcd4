#include "app/http_server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <list>
#include <utility>

#include "forebay/base/bytes.hpp"

namespace forebay::app {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;

/// A client that takes longer than that for a request is let go.
constexpr std::chrono::seconds kRequestPatience{10};
/// After an accept that failed.
constexpr std::chrono::milliseconds kPause{100};
/// So many connections at a time: beyond that the one goes that has said nothing for longest.
constexpr std::size_t kConnectionsMax = 32;
constexpr std::size_t kRequestMax = 8192;

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

std::string_view text_of(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

bool allowed(const Request& request, const std::string& token) {
  if (token.empty()) return true;
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view value = text_of(request[http::field::authorization]);
  return value.starts_with(kScheme) && equal_in_constant_time(value.substr(kScheme.size()), token);
}

http::status status_of(Readiness::Kind kind) {
  switch (kind) {
    case Readiness::Kind::ready:
      return http::status::ok;
    case Readiness::Kind::unknown_database:
      return http::status::not_found;
    default:
      return http::status::service_unavailable;
  }
}

/// What is asked for.
struct Target {
  std::string_view path;
  std::string_view query;  ///< behind the question mark
};

Target target_of(const Request& request) {
  const std::string_view target = text_of(request.target());
  const std::size_t mark = target.find('?');
  return {target.substr(0, mark),
          mark == std::string_view::npos ? target.substr(0, 0) : target.substr(mark + 1)};
}

bool is_read(const Request& request) {
  return request.method() == http::verb::get || request.method() == http::verb::head;
}

Response begun(const Request& request) {
  Response response{http::status::ok, request.version()};
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.set(http::field::cache_control, "no-store");
  // What is no page is not to be taken for one, whatever clients have put into it.
  response.set("X-Content-Type-Options", "nosniff");
  response.keep_alive(request.keep_alive());
  return response;
}

Response finished(const Request& request, Response response) {
  const std::size_t size = response.body().size();
  if (request.method() == http::verb::head) response.body().clear();
  response.content_length(size);
  return response;
}

std::string token_of(const HttpPages& pages) {
  return pages.token ? pages.token() : std::string();
}

Response answer(const Request& request, const HttpPages& pages, const Readiness& readiness) {
  Response response = begun(request);
  response.result(status_of(readiness.kind));
  // Strangers need not know which databases there are, and where.
  const bool ready = readiness.kind == Readiness::Kind::ready;
  response.body() = (ready                               ? "ok"
                     : allowed(request, token_of(pages)) ? readiness.reason
                                                         : "not ready") +
                    "\n";
  return finished(request, std::move(response));
}

Response answer(const Request& request, const HttpPages& pages) {
  Response response = begun(request);
  const auto [path, query] = target_of(request);
  const std::string token = token_of(pages);
  if (!is_read(request)) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else if (path == "/livez") {
    response.body() = "ok\n";
  } else if (path != "/" && !allowed(request, token)) {
    response.result(http::status::unauthorized);
    response.set(http::field::www_authenticate, "Bearer");
    response.body() = "The token of http_token_file is needed: Authorization: Bearer TOKEN\n";
  } else if (auto page = pages.page(path, query, text_of(request[http::field::accept]))) {
    response.set(http::field::content_type, page->content_type);
    if (!page->policy.empty()) response.set("Content-Security-Policy", page->policy);
    response.body() = std::move(page->body);
  } else {
    response.result(http::status::not_found);
    response.body() =
        "There are /, /livez, /readyz, /metrics, /pools, /hosts, /slow and /statements.\n";
  }
  return finished(request, std::move(response));
}

class Connection;

/// What connections share with their server; they may outlive it.
struct Common {
  HttpPages pages;
  std::list<Connection*> connections;  ///< who was answered, or came, longest ago is first
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<Common> common)
      : stream_(std::move(socket)),
        common_(std::move(common)),
        place_(common_->connections.insert(common_->connections.end(), this)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { leave(); }

  /// Also while its answer is waited for, when nothing is read or written that could fail.
  void let_go() {
    leave();
    stream_.close();
  }

  void read() {
    parser_.emplace();
    parser_->header_limit(kRequestMax);
    parser_->body_limit(0);
    stream_.expires_after(kRequestPatience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->respond();
                     });
  }

 private:
  void respond() {
    const Request& request = parser_->get();
    const Target target = target_of(request);
    if (!is_read(request) || target.path != "/readyz") {
      return write(answer(request, common_->pages));
    }
    // Nothing is read or written until it is known.
    stream_.expires_never();
    common_->pages.readiness(target.query, [self = shared_from_this()](const Readiness& readiness) {
      self->write(answer(self->parser_->get(), self->common_->pages, readiness));
    });
  }

  void leave() {
    if (std::exchange(listed_, false)) common_->connections.erase(place_);
  }

  void write(Response response) {
    if (!listed_) return;
    response_ = std::move(response);
    common_->connections.splice(common_->connections.end(), common_->connections, place_);
    stream_.expires_after(kRequestPatience);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (error) return;
                        if (self->response_.keep_alive()) {
                          self->read();
                        } else {
                          beast::error_code ignored;
                          self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
                        }
                      });
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Common> common_;
  std::list<Connection*>::iterator place_;
  bool listed_ = true;
  beast::flat_buffer buffer_{kRequestMax};
  std::optional<http::request_parser<http::empty_body>> parser_;
  Response response_;
};

class BeastServer final : public HttpServer {
 public:
  BeastServer(boost::asio::io_context& control, HttpPages pages)
      : acceptor_(control),
        pause_(control),
        common_(std::make_shared<Common>(Common{std::move(pages)})) {}

  int descriptor() override { return acceptor_.native_handle(); }

  Result<void> open(const Endpoint& endpoint, net::Descriptor socket) {
    if (endpoint.is_unix()) return failure("http: a TCP address is needed, not a socket path");
    beast::error_code error;
    const auto address = boost::asio::ip::make_address(
        endpoint.host == "*" ? std::string("::") : endpoint.host, error);
    if (error) return failure("http: \"" + endpoint.host + "\" is no IP address");
    const tcp::endpoint where(address, endpoint.port);
    if (socket) {
      acceptor_.assign(where.protocol(), socket.release(), error);
    } else {
      acceptor_.open(where.protocol(), error);
      if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
      if (!error) acceptor_.bind(where, error);
      if (!error) acceptor_.listen(64, error);
    }
    if (error) {
      return failure("http: cannot listen on " + to_string(endpoint) + ": " + error.message());
    }
    accept();
    return {};
  }

 private:
  void accept() {
    acceptor_.async_accept(
        [this, here = std::weak_ptr(here_)](beast::error_code error, tcp::socket socket) {
          if (here.expired() || error == boost::asio::error::operation_aborted) return;
          if (error) return accept_later();
          auto& open = common_->connections;
          if (open.size() >= kConnectionsMax) open.front()->let_go();
          std::make_shared<Connection>(std::move(socket), common_)->read();
          accept();
        });
  }

  // There may be no descriptor for whoever waits at the door.
  void accept_later() {
    pause_.expires_after(kPause);
    pause_.async_wait([this, here = std::weak_ptr(here_)](beast::error_code error) {
      if (!here.expired() && !error) accept();
    });
  }

  tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::shared_ptr<Common> common_;
  std::shared_ptr<bool> here_ = std::make_shared<bool>();  ///< for what was done before it went
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(boost::asio::io_context& control,
                                                       const Endpoint& endpoint, HttpPages pages,
                                                       net::Descriptor socket) {
  auto server = std::make_unique<BeastServer>(control, std::move(pages));
  if (const auto opened = server->open(endpoint, std::move(socket)); opened.has_error())
    return opened.error();
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace forebay::app
