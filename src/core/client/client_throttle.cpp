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

Refused too_many(std::string_view what, const StatementLimit& limit, const std::string& key,
                 std::uint32_t max) {
  return {pg::sqlstate::kConfigurationLimitExceeded,
          "too many " + std::string(what) + "of " + limit.name() + " (" + key + " = " +
              std::to_string(max) + ", set in " + limit.section() + ")",
          "As many as max_waiting_statements (" +
              std::to_string(limit.terms().max_waiting_statements) + ") wait already.",
          "Try again later."};
}

}  // namespace

bool is_no_statement(const pg::Message& message) {
  constexpr std::array kNone{pg::Frontend::Sync, pg::Frontend::Flush, pg::Frontend::CopyDone,
                             pg::Frontend::CopyFail};
  return std::ranges::any_of(kNone, [&](pg::Frontend type) { return message.is(type); });
}

// What the configuration says now. Not while it is inside: what it took it has to give back.
void ClientSession::follow_limits() {
  const config::Config& config = engine_.config();
  const bool dedicated = link_ != nullptr && link_->dedicated();
  std::vector<std::shared_ptr<StatementLimit>> limits;
  const auto add = [&](const config::StatementLimits& terms, const auto& name, const auto& section,
                       bool paused = false) {
    if ((!terms.any() && !paused) || dedicated) return;
    limits.push_back(
        engine_.shared().statement_limits.find_or_make(name(), section(), terms, engine_.now()));
  };
  const std::string& database = pool_->key().database;
  if (const config::User* entry = config.find_user(user())) {
    add(
        entry->statements, [&] { return "user \"" + user() + "\""; },
        [&] { return config::Config::label_of_user(user()); });
  }
  if (const config::Database* entry = config.find_database(database)) {
    add(
        entry->statements, [&] { return "database \"" + database + "\""; },
        [&] { return config.label_of_database(database); });
  }
  std::shared_ptr<StatementLimit> links;
  if (relay_.tenant != nullptr) {
    const config::TenantSettings& tenants = config.tenants;
    const std::string& tenant = relay_.tenant->value;
    const TenantOrders* orders = engine_.orders_of(tenant);
    const config::TenantLimits* ordered =
        orders == nullptr || !orders->limit ? nullptr : &orders->limits;
    const bool paused = orders != nullptr && orders->pause.has_value();
    add(
        tenants.statements_of(tenant, ordered),
        [&] { return StatementLimit::name_of_tenant(tenant); },
        [&] { return tenants.label_of_statements(tenant, ordered); }, paused);
    if (!dedicated) links = links_of_tenant(ordered);
  }
  const bool was_paced = paced();
  const std::unique_ptr<Throttle> before = std::move(throttle_);
  const bool says = relay_.tenant != nullptr && relay_.tenant->says.any();
  if (!limits.empty() || links != nullptr || says) {
    throttle_ = std::make_unique<Throttle>(&ClientSession::on_pace, this);
    throttle_->limits = std::move(limits);
    throttle_->links = std::move(links);
    throttle_->says = says;
    throttle_->counts_bytes = std::ranges::any_of(throttle_->limits, [](const auto& limit) {
      return limit->terms().max_bytes_per_second.value() > 0;
    });
  }
  if (throttle_ != nullptr) throttle_->link_wanted = link_wanted();
  follow_links(before.get());
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
  if (throttle_ != nullptr && throttle_->awaits_link_place && login_ == nullptr) {
    const TenantOrders* orders = engine_.orders_of(relay_.tenant->value);
    const bool ordered = orders != nullptr && orders->limit;
    const auto links = links_of_tenant(ordered ? &orders->limits : nullptr);
    if (links == nullptr) {
      begin_again();  // what it waits for is no more
      return;
    }
    engine_.admit_more(links);
  }
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
  if (mode_ != config::PoolMode::session || throttle_->links != nullptr) return true;
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
  if (throttle_->says) {
    bytes = as_tenant(bytes);
    if (bytes.empty() || throttle_ == nullptr || throttle_->held) return {};
    if (throttle_->apart) return bytes;
  }
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
    // Who waits for one of its tenant's server connections has no place meanwhile that others want.
    if (throttle.passed >= rates && link_ == nullptr && mode_ != config::PoolMode::session &&
        !enter_links()) {
      return false;
    }
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

// ---------------------------------------------------------------- links of a tenant

// Null: there is no limit.
std::shared_ptr<StatementLimit> ClientSession::links_of_tenant(
    const config::TenantLimits* ordered) const {
  const config::TenantSettings& tenants = engine_.config().tenants;
  const std::string& tenant = relay_.tenant->value;
  const config::StatementLimits terms = tenants.connections_of(tenant, ordered);
  if (terms.max_statements == 0) return nullptr;
  return engine_.shared().link_limits.find_or_make(
      StatementLimit::name_of_tenant(tenant),
      tenants.label_of(tenant, &config::TenantLimits::max_tenant_connections, ordered), terms,
      engine_.now());
}

// Its place, where it had one before, is that of the link that it has or is about to ask for.
void ClientSession::follow_links(Throttle* before) {
  const bool had = before != nullptr && before->has_link_place;
  const bool same = had && throttle_ != nullptr && throttle_->links == before->links;
  if (same) throttle_->has_link_place = true;
  if (had && !same) engine_.leave_limit(before->links);
  if (throttle_ == nullptr || throttle_->links == nullptr) return;
  if (link_ != nullptr && phase_ == Phase::linked) take_link_place();
  engine_.admit_more(throttle_->links);  // there may be room for more than before
}

// It has a link: beyond the limit, if that has come only now.
void ClientSession::take_link_place() {
  Throttle& throttle = *throttle_;
  if (throttle.links == nullptr || throttle.has_link_place) return;
  throttle.link_ticket.session = key_;
  const auto entered = throttle.links->enter(throttle.link_ticket, true);
  FB_ASSERT(entered == StatementLimit::Entered::yes);
  throttle.has_link_place = true;
}

// True: it may have one more link. Else its statement is held, or refused at the end of this turn;
// at its login, it waits.
bool ClientSession::enter_links() {
  Throttle& throttle = *throttle_;
  if (throttle.links == nullptr || throttle.has_link_place) return true;
  if (throttle.passed == 0) throttle.since = engine_.now();
  throttle.link_ticket.session = key_;
  const bool holds = without_primary();
  const auto entered = throttle.links->enter(throttle.link_ticket, false, holds);
  throttle.has_link_place = entered == StatementLimit::Entered::yes;
  if (throttle.has_link_place) return true;
  if (entered == StatementLimit::Entered::refused) {
    engine_.counters().refused_links.add();
    const config::StatementLimits terms = throttle.links->terms();
    refuse_next(too_many("server connections ", *throttle.links, "max_tenant_connections",
                         terms.max_statements));
    return false;
  }
  engine_.counters().held_links.add();
  throttle.awaits_link_place = true;
  if (login_ != nullptr) return false;
  if (holds) wait_is_hold();
  hold(kNever);
  return false;
}

// `heir`: a link that is not free yet, and counts until then.
void ClientSession::leave_link_place(ServerLink* heir) {
  Throttle& throttle = *throttle_;
  if (std::exchange(throttle.awaits_link_place, false)) {
    // A place that is on its way is given back by the engine, since nobody awaits it.
    throttle.links->withdraw(throttle.link_ticket);
  }
  if (!std::exchange(throttle.has_link_place, false)) return;
  if (heir != nullptr) {
    heir->keep_tenant_place(throttle.links);
  } else {
    engine_.leave_limit(throttle.links);
  }
}

Refused ClientSession::no_link_place(std::string_view key, config::milliseconds waited) const {
  const StatementLimit& links = *throttle_->links;
  return {login_ != nullptr ? pg::sqlstate::kTooManyConnections : pg::sqlstate::kQueryCanceled,
          std::string(login_ != nullptr ? "" : "canceling statement: ") + links.name() +
              " had all its server connections in use for longer than " + std::string(key) + " (" +
              std::to_string(waited.count()) + " ms)",
          "The limit is max_tenant_connections = " + std::to_string(links.terms().max_statements) +
              ", set in " + links.section() + ".",
          "Look for transactions that stay open."};
}

// ---------------------------------------------------------------- waiting

void ClientSession::hold(Instant opens) {
  throttle_->held = true;
  throttle_->opens = opens;
  may_ask_ = false;  // the timer is the hold's
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
  refuse_next(too_many(rate ? "statements per second " : "statements at a time ", limit, key, max));
}

void ClientSession::refuse_next(Refused reason) {
  if (login_ != nullptr) {
    fatal(reason);
    return;
  }
  throttle_->refusal = std::move(reason);
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
    if (throttle.awaits_link_place) {
      reject_held(no_link_place("query_wait_timeout", pool_->settings().query_wait_timeout));
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
  if (throttle_ != nullptr && throttle_->awaits_link_place && throttle_->links.get() == &limit) {
    throttle_->links->withdraw(throttle_->link_ticket);  // as below
    throttle_->awaits_link_place = false;
    throttle_->has_link_place = true;
    if (login_ != nullptr) {
      await_server();
    } else {
      end_hold();
    }
    return true;
  }
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
  std::unique_ptr<const SessionTenant> as = std::move(throttle_->refused_as);
  const Duration waited = engine_.now() - throttle_->since;
  leave_hold();
  leave_limits();
  if (phase_ == Phase::held) enter(Phase::idle);
  // Nobody else would give back what was kept for this statement.
  if (phase_ == Phase::linked && relay_.pins == 0 && link_->relay().at_rest()) give_link_back();
  refuse_statement(reason, waited, std::move(as));
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
  throttle.refused_as.reset();
  if (link_ == nullptr) leave_link_place(nullptr);
  if (throttle.outdated) follow_limits();
}

}  // namespace forebay::core
