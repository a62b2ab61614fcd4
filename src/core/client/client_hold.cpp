#include <algorithm>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/engine/engine.hpp"
#include "forebay/config/units.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// Who waits while there is no primary, and for how long: failover_hold.
namespace forebay::core {
namespace {

/// Who is told that it was too long is told at a tick of the engine.
constexpr std::chrono::seconds kTold{1};

}  // namespace

// Statements wait because the hosts have no primary.
bool ClientSession::without_primary() {
  return pool_ != nullptr && source().target().cluster != nullptr && source().holds(engine_.now());
}

// How long that may be: until the hosts have answered for the first time, at least.
Duration ClientSession::patience() {
  const config::Config& config = engine_.config();
  const Duration hold = config.failover_hold;
  const Duration first = source().awaits_monitor() ? config.primary_lease : Duration::zero();
  return std::max(hold, first) + kTold;
}

// While there is no primary, it is failover_hold that counts: who has waited since then, for
// whatever else, goes on waiting.
bool ClientSession::held_for_primary(Instant since) {
  if (!without_primary()) return false;
  const Instant until = since + patience();
  if (engine_.now() >= until) return false;
  engine_.timers().arm(timer_, until);
  return true;
}

// The same for one that logs in, for which client_login_timeout counts on.
bool ClientSession::login_held_for_primary() {
  if (!without_primary()) return false;
  const auto login = engine_.config().client_login_timeout;
  const Instant latest = login.count() > 0 ? connected_ + login : kNever;
  const Instant until = std::min(latest, waiting_since_ + patience());
  if (engine_.now() >= until) return false;
  engine_.timers().arm(timer_, until);
  return true;
}

// No server could be asked who the client is. While there is no primary, they are asked again; and
// as long as it takes to know whether the primary is lost that cannot be reached.
void ClientSession::login_refused(const Refused& reason, bool again) {
  link_ = nullptr;
  const bool away = reason.sqlstate.starts_with("08") || reason.sqlstate.starts_with("57P");
  const bool undecided = away && source().target().cluster != nullptr && source().watched() &&
                         engine_.now() - waiting_since_ < engine_.config().primary_lease + kTold;
  if (again && awaits_login() && (login_held_for_primary() || undecided)) {
    engine_.retry_login(*this);
  } else {
    fatal(reason);
  }
}

// The timer of one that a server is to let in. False: client_login_timeout is over.
bool ClientSession::login_goes_on() {
  const auto login = engine_.config().client_login_timeout;
  const Instant latest = login.count() > 0 ? connected_ + login : kNever;
  if (engine_.now() >= latest) return false;
  if (link_ == nullptr && without_primary()) {
    const Duration hold = engine_.config().failover_hold;
    fatal(no_primary_to_log_in("failover_hold", hold));
  } else if (latest != kNever) {
    engine_.timers().arm(timer_, latest);
  }
  return true;
}

// What waits for a primary counts from the end of the event on: then its bytes are in the stash.
// What there is no room for is refused at the end of the turn, since the session is in the middle
// of something. One that has room, and whose client says more than there is room for, is not read
// from.
void ClientSession::keep_hold() {
  if (!wants_link() && phase_ != Phase::held) return;
  const config::Config& config = engine_.config();
  FailoverHold& all = engine_.shared().failover_hold;
  const std::uint64_t most = config.failover_hold_bytes.value();
  const auto size = static_cast<std::uint32_t>(stash_.size());
  if (hold_ == Hold::due) {
    switch (all.enter(size, config.failover_hold_statements, most)) {
      case FailoverHold::Entered::yes:
        hold_ = Hold::counted;
        ticket_.held_bytes = size;
        return;
      case FailoverHold::Entered::too_many:
        hold_ = Hold::too_many;
        break;
      case FailoverHold::Entered::too_large:
        hold_ = Hold::too_large;
        break;
    }
    engine_.counters().refused_hold.add();
    engine_.timers().arm(timer_, engine_.now());
  } else if (hold_ == Hold::counted && size > ticket_.held_bytes) {
    if (all.grow(size - ticket_.held_bytes, most)) {
      ticket_.held_bytes = size;
    } else if (reading_) {
      reading_ = false;
      stream_->pause();
    }
  }
}

void ClientSession::leave_hold() {
  if (std::exchange(hold_, Hold::no) != Hold::counted) return;
  engine_.shared().failover_hold.leave(std::exchange(ticket_.held_bytes, 0));
}

Refused ClientSession::no_room_to_hold() const {
  const config::Config& config = engine_.config();
  const bool many = hold_ == Hold::too_many;
  const std::string key = many ? "failover_hold_statements" : "failover_hold_bytes";
  const std::string value = many ? std::to_string(config.failover_hold_statements)
                                 : config::format_size(config.failover_hold_bytes);
  return {pg::sqlstate::kConfigurationLimitExceeded,
          (many ? "too many statements wait for a primary ("
                : "what waits for a primary is too large (") +
              key + " = " + value + ", set in [pool])",
          "No server of database \"" + pool_->key().database + "\" is a primary at present.",
          "Try again when there is one, or raise " + key + "."};
}

// For longer than it may take to log in, where that is not for want of connections.
Refused ClientSession::no_primary_to_log_in(const char* key, Duration limit) const {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return {pg::sqlstate::kCannotConnectNow,
          "no server of database \"" + pool_->key().database + "\" is a primary, for longer than " +
              key + " (" + std::to_string(ms) + " ms)",
          {},
          "Look at the servers' roles in the log or in SHOW HOSTS; try again later."};
}

}  // namespace forebay::core
