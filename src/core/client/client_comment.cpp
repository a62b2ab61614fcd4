#include <optional>
#include <string>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "core/server/server_link.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/routing/tenant/check.hpp"

// Users who may have all tenants' data say whose each of their transactions is (comment_users).
//
// Whose it is, is decided by the message that begins it, while the session has no link: it is that
// tenant's session from then on, as if it had logged in as that. Until a Query or a Sync is
// answered nothing behind it is looked at, since nobody knows whether the transaction goes on. What
// names another tenant within one is refused where it is judged (Relay::judge_comment).
namespace forebay::core {
namespace {

Bytes text_of(Bytes definition) {
  return definition.substr(0, definition.find('\0'));
}

}  // namespace

// What may be handled now, a message at a time; nothing: it waits, or is refused in a moment.
Bytes ClientSession::as_tenant(Bytes bytes) {
  pg::Framer framer = relay_.framer;
  const pg::Framer::Item item = framer.next(bytes, kInspectionMax);
  if (item.kind == pg::Framer::Kind::run) return item.bytes;
  if (item.kind != pg::Framer::Kind::message && item.kind != pg::Framer::Kind::head) return bytes;
  const pg::Message& message = item.message;
  if (relay_.skip_to_sync || is_no_statement(message) || message.is(pg::Frontend::Terminate) ||
      message.is(pg::Frontend::CopyData) || message.is(pg::Frontend::Close)) {
    return item.bytes;
  }
  if (relay_.lost != nullptr) return item.bytes;
  if (link_ == nullptr) {
    if (relay_.begin.open != 0) return item.bytes;
    return become_tenant(message) ? item.bytes : Bytes();
  }
  if (std::exchange(throttle_->of_tenant, false)) return item.bytes;
  const LinkRelayState& link = link_->relay();
  if (link.expected.batch_open() || link.expected.copying_in()) return item.bytes;
  if (!link.expected.empty()) return {};
  if (link.status != pg::backend::TransactionStatus::idle) return item.bytes;
  if (std::exchange(may_ask_, false)) {
    timer_.cancel();
    give_link_back();
  }
  return become_tenant(message) ? item.bytes : Bytes();
}

// What the comment of its text says, or of that which it executes.
std::optional<Bytes> ClientSession::named_tenant(const pg::Message& message) const {
  Bytes body = message.body;
  if (message.is(pg::Frontend::Query)) return tenant_in_comment(text_of(body));
  if (message.is(pg::Frontend::Parse))
    return tenant_in_comment(text_of(cut_name(message).definition));
  Bytes name;
  if (message.is(pg::Frontend::Bind)) {
    body.remove_prefix(std::min(body.find('\0'), body.size() - 1) + 1);
    name = text_of(body);
  } else if (message.is(pg::Frontend::Describe) && body.starts_with('S')) {
    name = text_of(body.substr(1));
  } else {
    return std::nullopt;
  }
  if (name.empty()) {
    return relay_.unnamed.exists ? tenant_in_comment(text_of(relay_.unnamed.definition))
                                 : std::nullopt;
  }
  const auto* known = relay_.statements == nullptr ? nullptr : relay_.statements->find(name);
  if (known == nullptr || !known->statement->sql().empty()) return std::nullopt;
  return tenant_in_comment(text_of(known->statement->definition()));
}

// No transaction is open. False: what begins one is refused, or the session has ended.
bool ClientSession::become_tenant(const pg::Message& message) {
  const SessionTenant& mine = *relay_.tenant;
  const auto named = message.body.empty() ? std::nullopt : named_tenant(message);
  const auto value = named ? tenant::normal_value(mine.policy->type, *named)
                           : std::optional<std::string>(mine.usual);
  const auto refuse = [this](Refused reason) {
    throttle_->since = engine_.now();
    refuse_next(std::move(reason));
    return false;
  };
  if (!value || value->empty()) {
    return refuse({pg::sqlstate::kInsufficientPrivilege,
                   named ? "\"" + std::string(*named) +
                               "\" is no tenant: it does not fit [tenants] column_type"
                         : "nothing says which tenant the transaction belongs to",
                   {},
                   "Begin its first statement with a comment such as /* tenant=acme */."});
  }
  if (const auto banned = ban_of(*value, pg::sqlstate::kInsufficientPrivilege)) {
    return refuse(*banned);
  }
  if (*value == mine.value) {
    throttle_->of_tenant = link_ == nullptr;
    return true;
  }
  if (link_ != nullptr) {
    return refuse({pg::sqlstate::kInsufficientPrivilege,
                   "the session is bound to its server connection, where it is of tenant \"" +
                       mine.value + "\"",
                   "It cannot be another's, since it may have left something there.",
                   "Temporary tables, LISTEN, cursors WITH HOLD and the like bind it."});
  }
  leave_limits();
  be_tenant(*value, mine.policy, mine.database, true);
  const std::string& setting = relay_.tenant->policy->setting;
  if (!setting.empty()) {
    ParameterSets& sets = engine_.shared().parameter_sets;
    for (ParameterSetRef* set : {&relay_.settings, &relay_.startup}) {
      *set = sets.with(**set, setting, *value);
    }
  }
  if (is_misplaced()) {
    if (!move()) return false;
  } else {
    follow_rules();
    follow_limits();
  }
  throttle_->of_tenant = true;
  return true;
}

}  // namespace forebay::core
