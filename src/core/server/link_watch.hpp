#pragma once

#include <cstdint>

#include "forebay/base/time.hpp"
#include "forebay/config/config.hpp"

namespace forebay::core {

/// The timeouts that hold while a client is logged in.
enum class TimeLimit : std::uint8_t { statement, transaction, idle_transaction, client_idle };

/// Since when a client and its link have been doing what they do, and which timeout ends that
/// first. Told after every event; a statement that is answered within one event with the next one
/// sent is told from one that goes on by counting answers. Holds no timer.
class LinkWatch {
 public:
  struct Facts {
    bool busy = false;               ///< the server owes an answer
    bool in_transaction = false;     ///< or in a batch that no Sync has ended
    bool paced = false;              ///< the client is not listened to, for the bytes it had
    std::uint32_t statements = 0;    ///< that the server has answered
    std::uint32_t transactions = 0;  ///< that it has ended
  };
  struct Due {
    Instant at = kNever;
    TimeLimit limit = TimeLimit::statement;
  };

  /// A client begins to use the link.
  void begin(const Facts& facts, Instant now) noexcept {
    facts_ = facts;
    since_ = transaction_since_ = now;
  }

  /// What is so now, and when the first timeout is over if it goes on like this. A rule or a tenant
  /// may have its own `statement_timeout`.
  Due look(const Facts& facts, const config::PoolSettings& settings,
           config::milliseconds statement_timeout, Instant now) noexcept;

 private:
  Facts facts_;
  Instant since_{};              ///< the statement, or the rest
  Instant transaction_since_{};  ///< while one is open
};

}  // namespace forebay::core
