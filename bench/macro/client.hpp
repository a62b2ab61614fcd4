#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bench/macro/load_options.hpp"
#include "bench/macro/sockets.hpp"
#include "forebay/auth/scram_client.hpp"
#include "forebay/auth/scram_keys.hpp"
#include "forebay/base/bytes.hpp"

namespace forebay::bench {

/// What all clients of a run say.
class ClientPlan {
 public:
  explicit ClientPlan(const LoadOptions& options);

  std::string startup;
  std::string prepare;
  std::string request;
  int answers = 1;  ///< ReadyForQuery to a request
  std::string password;
  SSL_CTX* tls = nullptr;  ///< null for none; lives as long as the program

  /// Derived once, as drivers with a cache do: the load is not what is measured.
  [[nodiscard]] auth::ScramKeys keys(const auth::KeyRequest& wanted) const;

 private:
  mutable auth::ScramKeyCache keys_;
};

/// One connection.
class Client {
 public:
  enum class State {
    connecting,
    asking_tls,
    handshaking,
    logging_in,
    logged_in,
    resting,
    busy,
    done,
    failed
  };

  Client(const ClientPlan& plan, int descriptor) : plan_(plan), socket_(descriptor) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  [[nodiscard]] int socket() const noexcept { return socket_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool prepared() const noexcept { return prepared_; }
  [[nodiscard]] bool wants_room() const noexcept { return at_ < out_.size() || wants_write_; }
  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
  void forget_received() noexcept { received_ = 0; }
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  void on_ready();
  /// Sends the request.
  void say();
  void prepare();
  void rest() noexcept { state_ = State::resting; }
  /// Says that it goes.
  void leave();

  bool for_room = true;  ///< as epoll was told
  Clock::time_point since;

 private:
  struct SslFree {
    void operator()(SSL* session) const noexcept { SSL_free(session); }
  };

  void handshake();
  void start();
  void flush();
  void read();
  Moved take(std::span<char> into);
  void consume(Bytes bytes);
  void handle(char type, Bytes body);
  void authenticate(Bytes body);
  void answer_scram(auth::ScramClient::Outcome outcome);
  void fail(std::string why);

  const ClientPlan& plan_;
  int socket_;
  State state_ = State::connecting;
  std::unique_ptr<SSL, SslFree> ssl_;
  std::optional<auth::ScramClient> scram_;
  std::string out_;
  std::size_t at_ = 0;
  std::string in_;        ///< the message at hand
  std::size_t skip_ = 0;  ///< bytes of a row that nobody looks at
  int awaited_ = 0;
  bool prepared_ = false;
  bool preparing_ = false;
  bool wants_write_ = false;
  std::uint64_t received_ = 0;
  std::string failure_;
};

}  // namespace forebay::bench
