#include "app/http_client.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

namespace forebay::app {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = boost::asio::ssl;
using boost::asio::ip::tcp;

/// A whole exchange may take so long; of one that does not end, the answer's head.
constexpr std::chrono::milliseconds kAnswerPatience{1000};
constexpr std::size_t kBodyMax = std::size_t{1} << 20;
constexpr std::uint32_t kHeadMax = 8192;
constexpr std::size_t kReadAtOnce = 16384;

struct Told {
  HttpCall::Came came;  ///< none: the body is told when it is whole
  HttpCall::Answered answered;
};

template <class Stream>
class Exchange final : public std::enable_shared_from_this<Exchange<Stream>> {
 public:
  template <class... More>
  Exchange(boost::asio::io_context& control, HttpRequest request, Told told, HttpTls tls,
           More&... more)
      : tls_(std::move(tls)),
        stream_(control, more...),
        resolver_(control),
        deadline_(control),
        url_(std::move(request.url)),
        told_(std::move(told)) {
    request_.version(11);
    request_.method(request.body.empty() ? http::verb::get : http::verb::post);
    request_.target(request.target);
    request_.set(http::field::host, to_string(url_.address));
    request_.set(http::field::user_agent, "forebay");
    request_.set(http::field::accept, "application/json");
    if (!request.body.empty()) {
      request_.set(http::field::content_type, "application/json");
      request_.body() = std::move(request.body);
      request_.prepare_payload();
    }
    parser_.header_limit(kHeadMax);
    parser_.body_limit(endless() ? std::numeric_limits<std::uint64_t>::max() : kBodyMax);
  }

  void begin() {
    deadline_.expires_after(kAnswerPatience);
    deadline_.async_wait([self = this->shared_from_this()](beast::error_code error) {
      if (!error) self->end(failure("no answer in time"));
    });
    boost::system::error_code no_address;
    const auto address = boost::asio::ip::make_address(url_.address.host, no_address);
    if (!no_address) {
      return connect(tcp::resolver::results_type::create(tcp::endpoint(address, url_.address.port),
                                                         url_.address.host, {}));
    }
    resolver_.async_resolve(url_.address.host, std::to_string(url_.address.port),
                            [self = this->shared_from_this()](
                                beast::error_code error, const tcp::resolver::results_type& found) {
                              if (self->stopped(error)) return;
                              self->connect(found);
                            });
  }

  void drop() {
    told_ = {};
    close();
  }

 private:
  [[nodiscard]] bool endless() const { return static_cast<bool>(told_.came); }

  void connect(const tcp::resolver::results_type& found) {
    beast::get_lowest_layer(stream_).async_connect(
        found, [self = this->shared_from_this()](beast::error_code error, const auto&) {
          if (!self->stopped(error)) self->connected();
        });
  }

  void connected() {
    if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
      write();
    } else {
      const std::string& host = url_.address.host;
      stream_.set_verify_mode(ssl::verify_peer);
      stream_.set_verify_callback(ssl::host_name_verification(host));
      SSL_set_tlsext_host_name(stream_.native_handle(), host.c_str());
      stream_.async_handshake(ssl::stream_base::client,
                              [self = this->shared_from_this()](beast::error_code error) {
                                if (!self->stopped(error)) self->write();
                              });
    }
  }

  void write() {
    http::async_write(stream_, request_,
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        if (!self->stopped(error)) self->read_head();
                      });
  }

  void read_head() {
    http::async_read_header(stream_, buffer_, parser_,
                            [self = this->shared_from_this()](beast::error_code error, auto) {
                              if (!self->stopped(error)) self->read_body();
                            });
  }

  void read_body() {
    const unsigned status = parser_.get().result_int();
    if (status != 200) return end(failure("it answers with status " + std::to_string(status)));
    if (endless()) {
      deadline_.cancel();
      return read_on();
    }
    http::async_read(
        stream_, buffer_, parser_,
        [self = this->shared_from_this()](beast::error_code error, std::size_t) {
          if (self->stopped(error)) return;
          self->end({boost::system::in_place_value, std::move(self->parser_.get().body())});
        });
  }

  void read_on() {
    const std::string bytes = std::exchange(parser_.get().body(), {});
    const HttpCall::Came came = told_.came;  // who is told may drop us
    if (!bytes.empty()) came(bytes);
    if (!told_.answered) return;
    if (parser_.is_done()) return end(failure("it has ended the answer"));
    http::async_read_some(stream_, buffer_, parser_,
                          [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                            if (!self->stopped(error)) self->read_on();
                          });
  }

  // Whether that is the end.
  bool stopped(beast::error_code error) {
    if (!told_.answered) return true;
    if (error) end(failure(error.message()));
    return static_cast<bool>(error);
  }

  void end(Result<std::string> result) {
    const Told told = std::exchange(told_, {});
    close();
    if (told.answered) told.answered(result);
  }

  void close() {
    deadline_.cancel();
    resolver_.cancel();
    beast::get_lowest_layer(stream_).close();
  }

  HttpTls tls_;
  Stream stream_;
  tcp::resolver resolver_;
  boost::asio::steady_timer deadline_;
  const config::HttpUrl url_;
  Told told_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::flat_buffer buffer_{kReadAtOnce};
};

template <class Stream>
class Call final : public HttpCall {
 public:
  explicit Call(std::shared_ptr<Exchange<Stream>> exchange) : exchange_(std::move(exchange)) {
    exchange_->begin();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() override { exchange_->drop(); }

 private:
  std::shared_ptr<Exchange<Stream>> exchange_;
};

std::unique_ptr<HttpCall> call(boost::asio::io_context& control, HttpRequest request,
                               const HttpTls& tls, Told told) {
  if (!request.url.tls) {
    using Plain = Exchange<beast::tcp_stream>;
    return std::make_unique<Call<beast::tcp_stream>>(
        std::make_shared<Plain>(control, std::move(request), std::move(told), HttpTls()));
  }
  using Secure = beast::ssl_stream<beast::tcp_stream>;
  return std::make_unique<Call<Secure>>(
      std::make_shared<Exchange<Secure>>(control, std::move(request), std::move(told), tls, *tls));
}

}  // namespace

Result<HttpTls> make_http_tls(const std::string& ca_file) {
  auto tls = std::make_shared<ssl::context>(ssl::context::tls_client);
  beast::error_code error;
  if (ca_file.empty()) {
    tls->set_default_verify_paths(error);
  } else {
    tls->load_verify_file(ca_file, error);
  }
  if (error) return failure("could not read the CA file " + ca_file + ": " + error.message());
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  return tls;
}

std::unique_ptr<HttpCall> HttpCall::ask(boost::asio::io_context& control, HttpRequest request,
                                        const HttpTls& tls, Answered answered) {
  return call(control, std::move(request), tls, {{}, std::move(answered)});
}

std::unique_ptr<HttpCall> HttpCall::listen(boost::asio::io_context& control, HttpRequest request,
                                           const HttpTls& tls, Came came, Answered ended) {
  return call(control, std::move(request), tls, {std::move(came), std::move(ended)});
}

}  // namespace forebay::app
