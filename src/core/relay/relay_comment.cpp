#include <algorithm>
#include <utility>

#include "core/relay/relay.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "forebay/routing/tenant/check.hpp"

// A session whose transactions say whose they are (comment_users, setting_users): what it may say
// within one, and what becomes of it between two. Who decides: client_comment.cpp.

namespace forebay::core {
namespace {

constexpr std::string_view kRefused = "statement refused for tenants: ";

// The prepared statements that a statement executes.
bool executes(const sql::Statement& statement, const auto& matches) {
  const bool runs =
      statement.kind == sql::Kind::execute || statement.kind == sql::Kind::create_table_as;
  return (runs && matches(statement)) ||
         std::ranges::any_of(statement.inner,
                             [&](const sql::Statement& each) { return executes(each, matches); });
}

}  // namespace

// Within a transaction nobody becomes another tenant.
std::optional<tenant::Violation> Relay::judge_comment(const std::optional<Bytes>& named) const {
  const SessionTenant& tenant = *client_.tenant;
  if (!tenant.says.comment || !named ||
      tenant::normal_value(tenant.policy->type, *named) == tenant.value) {
    return std::nullopt;
  }
  return tenant::Violation{tenant::Mode::enforce,
                           std::string(kRefused) +
                               "its comment names another tenant than its transaction's, which is "
                               "\"" +
                               tenant.value + "\""};
}

// What SQL prepared was judged as this tenant's, and is gone with it; what the protocol prepared is
// judged when it is bound. So nothing may be executed past that.
std::optional<tenant::Violation> Relay::judge_names(const sql::Facts& facts, bool prepares) const {
  const auto past = [&](const sql::Statement& statement) {
    if (prepares) return statement.kind == sql::Kind::execute;
    const StatementRef known = find_statement(statement.name);
    return known && known->sql().empty();
  };
  if (std::ranges::none_of(facts.statements,
                           [&](const auto& each) { return executes(each, past); })) {
    return std::nullopt;
  }
  return tenant::Violation{tenant::Mode::enforce,
                           std::string(kRefused) +
                               "where transactions say whose they are, there is no EXECUTE of what "
                               "the protocol prepared, nor in what it prepares: bind it"};
}

// A text that nobody reads as a whole; its comment is at its head.
bool Relay::refuses_unseen(const Item& item, LinkRelayState& link, Request request) {
  std::optional<tenant::Violation> objection;
  if (client_.tenant->says.any() && !item.message.whole()) {
    objection = judge_comment(tenant_said(item.message));
  }
  if (!objection) objection = unread();
  if (!refused(objection)) return false;
  refuse(item, link, request, std::move(objection->message));
  return true;
}

// ---------------------------------------------------------------- between two transactions

void Relay::tell_of_startup(const LinkRelayState* link) {
  if (client_.welcome == nullptr) return;
  const Welcome& server = link == nullptr ? *client_.welcome : *link->welcome;
  const bool hidden = link != nullptr && (client_.pins & bit(PinReason::setting)) != 0;
  for (const auto& [name, usual] : server.parameters) {
    const std::string key = parameter_name(name);
    const std::string* was = client_.settings->find(key);
    const std::string* told = hidden ? link->reported.find(name) : was != nullptr ? was : &usual;
    const std::string* is = client_.startup->find(key);
    if (is == nullptr) is = &usual;
    if (is_server_fact(name) || told == nullptr || *told == *is) continue;
    pg::write_parameter_status(out_.to_client.insert(), name, *is);
  }
}

void Relay::forget_session() {
  client_.settings = client_.startup;
  client_.undo.reset();
  client_.pins = 0;
  client_.portals.clear();
  client_.look = client_.discards = client_.discarded = client_.hidden_identity = false;
  client_.undecided_reading = client_.undecided_parsing = false;
  client_.unsaid = ClientRelayState::Unsaid::no;
  client_.sequences = {};
  ++client_.hidden_parsing;
  ++client_.unnamed.version;
  client_.unnamed.route = {};
  if (client_.statements != nullptr) client_.statements->pass_on();
}

}  // namespace forebay::core
