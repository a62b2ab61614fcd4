#include "app/health.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace forebay::app {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;

constexpr std::chrono::seconds kPatience{5};

// One request. The steps are begun one after the other, so that the time limit holds for each.
class Question {
 public:
  Result<void> ask(const Endpoint& at, const std::string& path) {
    tcp::resolver resolver(context_);
    beast::error_code error;
    const auto found = resolver.resolve(at.host, std::to_string(at.port), error);
    if (error) return failure(error.message());
    stream_.expires_after(kPatience);
    stream_.async_connect(found, [&](beast::error_code e, const tcp::endpoint&) { error = e; });
    if (!finish(error)) return failure(error.message());
    http::request<http::empty_body> request{http::verb::get, path, 11};
    request.set(http::field::host, at.host);
    http::async_write(stream_, request, [&](beast::error_code e, std::size_t) { error = e; });
    if (!finish(error)) return failure(error.message());
    http::response<http::string_body> response;
    beast::flat_buffer buffer;
    http::async_read(stream_, buffer, response,
                     [&](beast::error_code e, std::size_t) { error = e; });
    if (!finish(error)) return failure(error.message());
    if (response.result() != http::status::ok) {
      return failure(std::to_string(response.result_int()) + " " + response.body());
    }
    return {};
  }

 private:
  bool finish(const beast::error_code& error) {
    context_.restart();
    context_.run();
    return !error;
  }

  boost::asio::io_context context_{1};
  beast::tcp_stream stream_{context_};
};

}  // namespace

Result<void> ask_health(const Endpoint& http, const std::string& path) {
  const auto answer = Question().ask(http, path);
  if (answer.has_value()) return {};
  return failure(to_string(http) + path + ": " + answer.error().message);
}

}  // namespace forebay::app
