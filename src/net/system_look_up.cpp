#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <memory>

#include "forebay/net/resolver.hpp"

namespace forebay::net {

using boost::asio::ip::tcp;

Resolver::LookUp system_look_up(boost::asio::io_context& control) {
  return [&control](const std::string& host, Resolver::Answer answer) {
    // Asio's resolver belongs to the control thread, as everything of Asio's does.
    boost::asio::post(control, [&control, host, answer = std::move(answer)] {
      auto resolver = std::make_shared<tcp::resolver>(control);
      resolver->async_resolve(host, "0", tcp::resolver::numeric_service,
                              [resolver, answer](const boost::system::error_code& error,
                                                 const tcp::resolver::results_type& results) {
                                if (error) return answer(failure(error.message()));
                                Resolver::Addresses addresses;
                                for (const auto& entry : results) {
                                  addresses.push_back(entry.endpoint().address().to_string());
                                }
                                answer(std::move(addresses));
                              });
    });
  };
}

}  // namespace forebay::net
