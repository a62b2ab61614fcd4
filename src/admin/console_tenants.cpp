#include <optional>

#include "admin/console_session.hpp"
#include "core/engine/engine.hpp"
#include "forebay/config/units.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// What is ordered of one tenant while the process runs: PAUSE, BAN and LIMIT TENANT, and what takes
// them back.
namespace forebay::admin {
namespace {

using Order = core::TenantOrders::Order;
using core::TenantOrders;

constexpr config::milliseconds kTimeMax = std::chrono::hours(24 * 3660);
constexpr std::size_t kReasonMax = 500;

core::Refused wrong(std::string message, std::string hint = {}) {
  return {pg::sqlstate::kInvalidParameterValue, std::move(message), {}, std::move(hint)};
}

// Where it is over is nothing said, too.
std::optional<core::Refused> read(const Command& command, Order& order,
                                  config::TenantLimits& limits, Instant now) {
  if (command.reason.size() > kReasonMax) {
    return wrong("the reason is longer than " + std::to_string(kReasonMax) + " bytes");
  }
  order.reason = command.reason;
  for (const auto& [name, value] : command.limits) {
    if (const auto set = config::set_limit(limits, name, value); set.has_error()) {
      return wrong(set.error().message);
    }
  }
  if (command.time.empty()) return std::nullopt;
  const auto time = config::parse_duration(command.time);
  if (time.has_error() || time->count() == 0 || *time > kTimeMax) {
    return wrong("FOR: expected a time of ten years at most, such as '10min' or '2h', not \"" +
                 command.time + "\"");
  }
  order.ends = now + *time;
  order.until = order.since + std::chrono::ceil<std::chrono::seconds>(*time).count();
  return std::nullopt;
}

bool take_back(std::optional<Order>& order) {
  return std::exchange(order, std::nullopt).has_value();
}

// False: there is nothing to take back.
bool apply(Action action, const Order& order, const config::TenantLimits& limits,
           TenantOrders& orders) {
  switch (action) {
    case Action::pause_tenant:
      orders.pause = order;
      return true;
    case Action::ban_tenant:
      orders.ban = order;
      return true;
    case Action::limit_tenant:
      orders.limit = order;
      orders.limits = limits;
      return true;
    case Action::resume_tenant:
      return take_back(orders.pause);
    case Action::unban_tenant:
      return take_back(orders.ban);
    default:
      break;
  }
  return !std::exchange(orders, {}).none();
}

std::string_view what_it_is_not(Action action) {
  return action == Action::resume_tenant  ? " is not paused"
         : action == Action::unban_tenant ? " is not banned"
                                          : " has nothing ordered";
}

}  // namespace

void ConsoleSession::order_tenant(const Command& command) {
  const core::Runtime& runtime = engine_.runtime();
  if (runtime.tenants == nullptr) {
    return failed({pg::sqlstate::kObjectNotInPrerequisiteState,
                   "there are no tenants",
                   {},
                   "Set databases in [tenants]."});
  }
  const auto tenant = runtime.tenant_named(command.argument);
  if (!tenant) {
    return failed(
        wrong("\"" + command.argument + "\" is no tenant: it does not fit [tenants] column_type"));
  }
  const Action action = command.action->action;
  Order order{.by = facts_.user, .since = engine_.io().unix_time()};
  config::TenantLimits limits;
  if (const auto refused = read(command, order, limits, engine_.now())) return failed(*refused);
  bool done = false;
  const bool room = engine_.change_orders(
      *tenant, [&](TenantOrders& orders) { done = apply(action, order, limits, orders); });
  if (!room) {
    return failed({pg::sqlstate::kConfigurationLimitExceeded,
                   "something is ordered of " + std::to_string(core::TenantOrderBook::kTenantsMax) +
                       " tenants already",
                   {},
                   "SHOW TENANT ORDERS lists it; RESET TENANT takes it back."});
  }
  const std::string name = "tenant \"" + *tenant + "\"";
  if (!done) {
    return failed({pg::sqlstate::kObjectNotInPrerequisiteState,
                   name + std::string(what_it_is_not(action)),
                   {},
                   "SHOW TENANT ORDERS lists what is."});
  }
  core::TenantOrderBook& book = engine_.shared().tenant_orders;
  if (action == Action::ban_tenant) book.note_given(core::TenantOrderKind::ban);
  if (action == Action::pause_tenant) book.note_given(core::TenantOrderKind::pause);
  if (action == Action::limit_tenant) book.note_given(core::TenantOrderKind::limit);
  if (command.action->argument != Argument::tenant) {
    const bool known = engine_.shared().tenants.knows(*tenant);
    const bool limits_it = action == Action::limit_tenant;
    pg::write_notice(
        out_, {.severity = "NOTICE",
               .sqlstate = "00000",
               .message = (known ? std::string() : "no client of " + name + " has come yet; ") +
                          "the order holds " + (known ? "" : "for when one does, ") +
                          "until this process ends: another, also one that takes over, does not "
                          "know it",
               .hint = limits_it ? Bytes("What is to last stands in [tenants.limits] of the "
                                         "configuration.")
                                 : Bytes("Give it again then; SHOW TENANT ORDERS lists all.")});
  }
  const core::PeerFacts peer = stream_->peer();
  const std::string address =
      peer.unix_socket ? peer.address : to_string(Endpoint{peer.address, peer.port});
  const std::string set = config::show_limits(limits);
  engine_.note(
      {.weight = core::Weight::normal,
       .event = "tenant_ordered",
       .text = std::string(command.action->words) + (set.empty() ? "" : " ") + set + order.words(),
       .user = facts_.user,
       .tenant = *tenant,
       .peer = address});
  this->order({core::Order::Kind::tenant, *tenant});
}

}  // namespace forebay::admin
