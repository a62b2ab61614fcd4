#include "core/client/client_throttle.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/config/units.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// How many statements a session's user, database and tenant may have: max_statements and
// max_statements_per_second.
namespace forebay::core {
namespace {

// Nobody answers it, or nothing is done for it: the end of a batch, that of a COPY that has failed.
bool is_no_statement(const pg::Message& message) {
  constexpr std::array kNone{pg::Frontend::Sync, pg::Frontend::Flush, pg::Frontend::CopyDone,
                             pg::Frontend::CopyFail};
  return std::ranges::any_of(kNone, [&](pg::Frontend type) { return message.is(type); });
}

}  // namespace

// What the configuration says now. Not while it is inside: what it took it has to give back.
void ClientSession::follow_limits() {
  const config::Config& config = engine_.config();
  const bool dedicated = link_ != nullptr && link_->dedicated();
  std::vector<std::shared_ptr<StatementLimit>> limits;
  const auto add = [&](const config::StatementLimits& terms, const std::string& name,
                       const std::string& section, bool paused = false) {
    if ((!terms.any() && !paused) || dedicated) return;
    limits.push_back(
        engine_.shared().statement_limits.find_or_make(name, section, terms, engine_.now()));
  };
  const std::string& database = pool_->key().database;
  if (const config::User* entry = config.find_user(user())) {
    add(entry->statements, "user \"" + user() + "\"", config::Config::label_of_user(user()));
  }
  if (const config::Database* entry = config.find_database(database)) {
    add(entry->statements, "database \"" + database + "\"", config.label_of_database(database));
  }
  if (relay_.tenant != nullptr) {
    const config::TenantSettings& tenants = config.tenants;
    const std::string& tenant = relay_.tenant->value;
    const TenantOrders* orders = engine_.orders_of(tenant);
    const config::TenantLimits* ordered =
        orders == nullptr || !orders->limit ? nullptr : &orders->limits;
    const bool paused = orders != nullptr && orders->pause.has_value();
    add(tenants.statements_of(tenant, ordered), StatementLimit::name_of_tenant(tenant),
        tenants.label_of_statements(tenant, ordered), paused);
  }
  const bool was_paced = paced();
  if (limits.empty()) {
    throttle_.reset();
  } else {
    throttle_ = std::make_unique<Throttle>(&ClientSession::on_pace, this);
    throttle_->limits = std::move(limits);
    throttle_->counts_bytes = std::ranges::any_of(throttle_->limits, [](const auto& limit) {
      return limit->terms().max_bytes_per_second.value() > 0;
    });
  }
  if (throttle_ != nullptr) throttle_->link_wanted = link_wanted();
  if (!was_paced) return;
  const Instant until = debt();
  if (until > engine_.now()) {
    engine_.timers().arm(throttle_->paced, until);
  } else {
    listen_again();
  }
}

// The same while it may be at work: what it has begun goes on, and what is held or has a place has
// to leave that first.
void ClientSession::follow_other_limits() {
  if (throttle_ != nullptr && (throttle_->passed > 0 || throttle_->held)) {
    throttle_->outdated = true;
    return;
  }
  follow_limits();
  if (throttle_ == nullptr) return;
  throttle_->exempt = phase_ == Phase::waiting || (link_ != nullptr && !link_->relay().at_rest());
  throttle_->since = engine_.now();
}

// In session mode nobody has a place without a link. In another mode somebody may, and wait for a
// link of this session's host, user or database, which it keeps.
bool ClientSession::link_wanted() const {
  if (mode_ != config::PoolMode::session) return true;
  const auto limited = [](const auto& quota) { return quota != nullptr && quota->max() > 0; };
  bool shared = std::ranges::any_of(pool_->quotas(), limited);
  for (std::size_t host = 0; !shared && host < pool_->target().hosts.size(); ++host) {
    shared = limited(pool_->host_quota(host));
  }
  return shared && engine_.config().any_mode_but_session();
}

// A client that keeps its link asks for the next statement as one without a link does. Gives what
// may be handled now: nothing, when it has to wait, or what it said before is to be answered first.
Bytes ClientSession::may_go_on(Bytes bytes) {
  if (throttle_->held) return {};
  if (throttle_->inside() || link_ == nullptr) return bytes;
  const LinkRelayState& link = link_->relay();
  // No transaction is held up, not even one that began before there was a limit.
  if (link.status != pg::backend::TransactionStatus::idle || link.expected.batch_open())
    return bytes;
  if (relay_.skip_to_sync) return bytes;
  pg::Framer framer = relay_.framer;
  const pg::Framer::Item item = framer.next(bytes, kInspectionMax);
  if (item.kind == pg::Framer::Kind::run) return item.bytes;
  const bool begins = item.kind == pg::Framer::Kind::message || item.kind == pg::Framer::Kind::head;
  if (!begins || item.message.is(pg::Frontend::Terminate)) return bytes;
  if (is_no_statement(item.message)) return item.bytes;  // but what stands behind it may be one
  return link.expected.empty() && enter_limits() ? bytes : Bytes();
}

// True: the statement at hand may begin. Else it is held, or refused at the end of this turn.
bool ClientSession::enter_limits() {
  Throttle& throttle = *throttle_;
  if (throttle.passed == 0 && !std::exchange(throttle.indebted, false)) {
    throttle.since = engine_.now();
  }
  if (const Instant until = debt(); throttle.passed == 0 && until > engine_.now()) {
    // Nobody takes a link to sit on.
    throttle.indebted = true;
    engine_.counters().held_bytes.add();
    hold(until);
    return false;
  }
  const std::size_t rates = throttle.limits.size();
  const bool keeps_link = link_ != nullptr && throttle.link_wanted;
  while (!throttle.inside()) {
    StatementLimit& limit = *throttle.limit();
    if (throttle.passed < rates) {
      const Instant opens = limit.begin(engine_.now());
      if (opens == kNever) {
        refuse_next(limit, true);
        return false;
      }
      ++throttle.passed;
      if (opens <= engine_.now()) continue;
      engine_.counters().held_statement_rate.add();
      hold(opens);
      return false;
    }
    throttle.ticket.session = key_;
    const bool holds = without_primary();
    switch (limit.enter(throttle.ticket, keeps_link, holds)) {
      case StatementLimit::Entered::yes:
        ++throttle.passed;
        break;
      case StatementLimit::Entered::waits:
        if (holds) wait_is_hold();
        engine_.counters().held_statements.add();
        hold(kNever);
        return false;
      case StatementLimit::Entered::refused:
        refuse_next(limit, false);
        return false;
    }
  }
  return true;
}

void ClientSession::hold(Instant opens) {
  throttle_->held = true;
  throttle_->opens = opens;
  if (phase_ != Phase::linked) enter(Phase::held);
  const auto timeout = pool_->settings().query_wait_timeout;
  const Instant latest = timeout.count() > 0 ? throttle_->since + timeout : kNever;
  const Instant until = std::min(opens, latest);
  if (until == kNever) {
    timer_.cancel();
  } else {
    engine_.timers().arm(timer_, until);
  }
}

void ClientSession::refuse_next(const StatementLimit& limit, bool rate) {
  const config::StatementLimits terms = limit.terms();
  const std::string key = rate ? "max_statements_per_second" : "max_statements";
  const std::uint32_t max = rate ? terms.max_statements_per_second : terms.max_statements;
  Counters& counters = engine_.counters();
  (rate ? counters.refused_statement_rate : counters.refused_statements).add();
  throttle_->refusal =
      Refused{pg::sqlstate::kConfigurationLimitExceeded,
              "too many statements " + std::string(rate ? "per second " : "at a time ") + "of " +
                  limit.name() + " (" + key + " = " + std::to_string(max) + ", set in " +
                  limit.section() + ")",
              "As many as max_waiting_statements (" + std::to_string(terms.max_waiting_statements) +
                  ") wait already.",
              "Try again later."};
  hold(engine_.now());
}

// The timer of one that is held: a rate lets it begin, or it has waited for too long.
void ClientSession::hold_over() {
  Throttle& throttle = *throttle_;
  FB_ASSERT(throttle.held);
  if (hold_ > Hold::counted) {
    reject_held(no_room_to_hold());
  } else if (throttle.refusal) {
    reject_held(*std::exchange(throttle.refusal, std::nullopt));
  } else if (throttle.opens <= engine_.now()) {
    end_hold();
  } else if (throttle.opens == kNever && held_for_primary(throttle.since)) {
    return;
  } else {
    engine_.counters().waits_failed.add();
    engine_.counters().query_wait_timeouts.add();
    if (throttle.indebted) {
      reject_held(indebtedness());
      return;
    }
    const StatementLimit& limit = *throttle.limit();
    if (limit.paused()) {
      reject_held(pause_of_tenant());
      return;
    }
    reject_held({pg::sqlstate::kQueryCanceled,
                 "canceling statement: " + limit.name() +
                     " had too many statements for longer than query_wait_timeout (" +
                     std::to_string(pool_->settings().query_wait_timeout.count()) + " ms)",
                 "The limits are max_statements and max_statements_per_second in " +
                     limit.section() + "."});
  }
}

// What was held is handled again, from its first byte.
void ClientSession::end_hold() {
  throttle_->held = false;
  throttle_->opens = kNever;
  timer_.cancel();
  if (phase_ == Phase::held) enter(Phase::idle);
  continue_input();
  if (!wants_link()) leave_hold();
  settle();
}

bool ClientSession::paced() const noexcept {
  return throttle_ != nullptr && throttle_->paced.armed();
}

// So many bytes went to or from the client. Where that was too much, nothing more is read for a
// while, neither from it nor from its server.
void ClientSession::pace(std::size_t bytes) {
  if (throttle_ == nullptr || !throttle_->counts_bytes || bytes == 0) return;
  if (phase_ == Phase::closing || phase_ == Phase::closed) return;
  for (const auto& limit : throttle_->limits) limit->move(bytes, engine_.now());
  const Instant until = debt();
  if (until <= engine_.now()) return;
  if (!paced()) engine_.counters().held_bytes.add();
  engine_.timers().arm(throttle_->paced, until);
  if (phase_ == Phase::linked) {
    link_->pause();
    link_->relay().meter.hold(engine_.now());
  }
  update_reading();
}

void ClientSession::on_pace(void* self) {
  static_cast<ClientSession*>(self)->go_on();
}

void ClientSession::go_on() {
  if (phase_ == Phase::closing || phase_ == Phase::closed) return;
  listen_again();
  settle();
}

// What was held up for its bytes is read again. Ends nothing: its callers go on with the session.
void ClientSession::listen_again() {
  if (phase_ == Phase::linked && unsent_.empty()) {
    link_->resume();
    link_->relay().meter.let_go(engine_.now());
  }
  if (phase_ == Phase::idle) settle_idle();
  update_reading();
}

// When all bytes so far are paid for; not after now where they are.
Instant ClientSession::debt() const {
  Instant until = engine_.now();
  if (throttle_ == nullptr || !throttle_->counts_bytes) return until;
  for (const auto& limit : throttle_->limits) {
    until = std::max(until, limit->move(0, engine_.now()));
  }
  return until;
}

Refused ClientSession::indebtedness() const {
  StatementLimit* worst = throttle_->limits.front().get();
  for (const auto& limit : throttle_->limits) {
    if (limit->move(0, engine_.now()) > worst->move(0, engine_.now())) worst = limit.get();
  }
  const config::ByteSize max = worst->terms().max_bytes_per_second;
  return {pg::sqlstate::kQueryCanceled,
          "canceling statement: " + worst->name() +
              " had more bytes than it may for longer than query_wait_timeout (" +
              std::to_string(pool_->settings().query_wait_timeout.count()) + " ms)",
          "The limit is max_bytes_per_second = " + config::format_size(max) + ", set in " +
              worst->section() + "."};
}

// The link may have waited for this client; whoever has it next does not.
void ClientSession::free_link(ServerLink& link) {
  if (!unsent_.empty() || paced()) link.resume();
}

bool ClientSession::admit(const StatementLimit& limit) {
  if (throttle_ == nullptr || !throttle_->waits_for_place() || throttle_->limit().get() != &limit) {
    return false;
  }
  // It may wait anew, while this place was on its way to it.
  throttle_->limit()->withdraw(throttle_->ticket);
  ++throttle_->passed;
  end_hold();
  return true;
}

void ClientSession::reject_held(const Refused& reason) {
  const Duration waited = engine_.now() - throttle_->since;
  leave_hold();
  leave_limits();
  if (phase_ == Phase::held) enter(Phase::idle);
  refuse_statement(reason, waited);
}

// The transaction, or the statement, is over, or will not be.
void ClientSession::leave_limits() {
  Throttle& throttle = *throttle_;
  const std::size_t rates = throttle.limits.size();
  if (throttle.waits_for_place()) throttle.limit()->withdraw(throttle.ticket);
  if (throttle.held) timer_.cancel();
  if (throttle.inside() && !throttle.exempt && link_ != nullptr) {
    const std::uint32_t count = link_->relay().meter.take_count();
    for (const auto& limit : throttle.limits) {
      if (count > 1) limit->count_more(count - 1, engine_.now());
    }
  }
  for (std::size_t i = rates; i < throttle.passed; ++i) {
    engine_.leave_limit(throttle.limits[i - rates]);
  }
  throttle.passed = 0;
  throttle.held = throttle.exempt = throttle.indebted = false;
  throttle.opens = kNever;
  throttle.refusal.reset();
  if (throttle.outdated) follow_limits();
}

}  // namespace forebay::core
