#include <algorithm>
#include <functional>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/client_throttle.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/auth/tenant_claim.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/routing/tenant/check.hpp"

// Whose the session is.

namespace forebay::core {
namespace {

// What a client may not begin with, either: what it may not set later.
bool may_begin_with(const tenant::Policy& policy, Bytes name, Bytes value) {
  if (name == "client_encoding") return sql::lexable_encoding(value);
  if (name == "standard_conforming_strings") return value == "on";
  return !tenant::is_kept_setting(policy, name);
}

}  // namespace

// What its certificate says in the field that counts.
std::vector<std::string> ClientSession::certified() const {
  const TlsFacts* tls = stream_->tls();
  if (tls == nullptr) return {};
  switch (engine_.config().tenants.certificate_field) {
    case config::CertificateField::common_name:
      break;
    case config::CertificateField::organizational_unit:
      return tls->peer_units;
    case config::CertificateField::alternative_name:
      return tls->peer_names;
  }
  return {tls->peer_common_name};
}

// Whose the client says it is, or is shown to be.
std::optional<std::string> ClientSession::claimed_tenant() const {
  const config::TenantSettings& tenants = engine_.config().tenants;
  const StartupFacts& facts = login_->facts;
  std::string said;
  for (const auto& [name, value] : facts.settings) {
    if (!tenants.startup_parameter.empty() && name == tenants.startup_parameter) said = value;
  }
  const std::vector<std::string> fields = certified();
  const TlsFacts* tls = stream_->tls();
  return tenant::tenant_of(tenants, {facts.user, facts.database, said,
                                     tls == nullptr ? Bytes() : Bytes(tls->server_name), &fields});
}

// False when the session has ended.
bool ClientSession::take_tenant() {
  const config::TenantSettings& tenants = engine_.config().tenants;
  StartupFacts& facts = login_->facts;
  if (!tenants.serve(facts.database)) return true;
  std::shared_ptr<const tenant::Policy> policy = engine_.runtime().tenants;
  const auto found = claimed_tenant();
  std::erase_if(facts.settings, [&](const auto& setting) {
    return !tenants.startup_parameter.empty() && setting.first == tenants.startup_parameter;
  });
  auto value = found ? tenant::normal_value(policy->type, *found) : std::nullopt;
  const auto listed = [&facts](const std::vector<std::string>& users) {
    return std::ranges::find(users, facts.user) != users.end();
  };
  const SessionTenant::Says says{listed(tenants.comment_users), listed(tenants.setting_users)};
  if (says.any() && mode_ == config::PoolMode::session) {
    fatal({pg::sqlstate::kFeatureNotSupported,
           "tenants of transactions (comment_users, setting_users in [tenants]) do not work in "
           "session mode",
           {},
           "Use pool_mode = \"transaction\" for this database or user."});
    return false;
  }
  if (says.any() && !found) value = std::string();
  if (!value) {
    fatal({pg::sqlstate::kInvalidAuthorization,
           found ? "\"" + *found + "\" is no tenant: it does not fit [tenants] column_type"
                 : "nothing says which tenant user \"" + facts.user + "\" belongs to",
           {},
           "See [tenants] in the configuration of Forebay."});
    return false;
  }
  if (mode_ == config::PoolMode::session && policy->firewall != tenant::Mode::off) {
    fatal({pg::sqlstate::kFeatureNotSupported,
           "the firewall for tenants does not work in session mode, or for replication",
           {},
           "Use pool_mode = \"transaction\" for this database or user."});
    return false;
  }
  for (const auto& [name, setting] : facts.settings) {
    if (may_begin_with(*policy, parameter_name(name), setting)) continue;
    if (parameter_name(name) == policy->setting && setting == *value) continue;
    fatal({pg::sqlstate::kInsufficientPrivilege,
           "the setting \"" + name + "\" is not for tenants to change"});
    return false;
  }
  if (const auto banned = ban_of(*value, pg::sqlstate::kInvalidAuthorization)) {
    fatal(*banned);
    return false;
  }
  const std::uint32_t max = tenants.max_clients_of(*value, engine_.ordered_limits(*value));
  if (!value->empty() && !take_place({ClientGroup::tenant, *value}, max)) return false;
  be_tenant(*value, std::move(policy), facts.database, says);
  relay_.lazy = relay_.lazy || (says.any() && mode_ == config::PoolMode::transaction);
  return true;
}

// ---------------------------------------------------------------- what operators order of it

std::optional<Refused> ClientSession::ban_of(const std::string& tenant, const char* sqlstate) {
  const TenantOrders* orders = engine_.orders_of(tenant);
  if (orders == nullptr || !orders->ban || orders->ban->over(engine_.now())) return std::nullopt;
  return Refused{sqlstate, "tenant \"" + tenant + "\" is banned" + orders->ban->words()};
}

Refused ClientSession::pause_of_tenant() {
  const std::string& tenant = relay_.tenant->value;
  const TenantOrders* orders = engine_.orders_of(tenant);
  const std::string words =
      orders != nullptr && orders->pause ? orders->pause->words() : std::string();
  return {pg::sqlstate::kQueryCanceled,
          "canceling statement: tenant \"" + tenant + "\" is paused" + words,
          "It waited for longer than query_wait_timeout (" +
              std::to_string(pool_->settings().query_wait_timeout.count()) + " ms)."};
}

void ClientSession::follow_orders() {
  // What it does next may be another's.
  const bool between = relay_.tenant->says.any() && phase_ == Phase::idle && relay_.begin.open == 0;
  const auto banned = ban_of(relay_.tenant->value, pg::sqlstate::kAdminShutdown);
  if (banned && !between) {
    fatal(*banned);
    return;
  }
  if (login_ != nullptr || phase_ == Phase::closing || phase_ == Phase::closed) return;
  const TenantOrders* orders = engine_.orders_of(relay_.tenant->value);
  const bool held = throttle_ != nullptr && throttle_->held;
  const bool known =
      throttle_ != nullptr && !throttle_->limits.empty() && !throttle_->awaits_link_place &&
      throttle_->limits.back()->name() == StatementLimit::name_of_tenant(relay_.tenant->value);
  const bool begins = phase_ == Phase::waiting || (held && !known && !throttle_->refusal);
  if (orders != nullptr && orders->pause && begins) {
    begin_again();
  } else {
    follow_other_limits();
  }
}

// What waits to begin waits for what holds now.
void ClientSession::begin_again() {
  if (phase_ == Phase::waiting) {
    stop_waiting();
    timer_.cancel();
    enter(Phase::idle);
  }
  leave_hold();
  if (throttle_ != nullptr) leave_limits();
  if (phase_ == Phase::held) enter(Phase::idle);
  follow_limits();
  continue_input();
  settle();
}

// ---------------------------------------------------------------- the setting

// The setting says who says so, for this server process, and for transactions that begin about now.
// Nothing is said anew while a claim is young.
void ClientSession::renew_claim(std::uint32_t process_id) {
  constexpr std::int64_t kYoung = 20;  // of the 60 seconds that the function in SQL grants
  const tenant::Policy& policy = *relay_.tenant->policy;
  if (policy.claim_key.empty() || policy.setting.empty() || relay_.undo != nullptr) return;
  if (relay_.tenant->value.empty()) return;  // nobody's, until its next transaction says whose
  const std::int64_t now = engine_.io().unix_time();
  const std::string* said = relay_.settings->find(policy.setting);
  if (said != nullptr && auth::is_claim_of(*said, process_id, now - kYoung, now)) return;
  std::uint64_t nonce = 0;
  engine_.io().entropy({reinterpret_cast<char*>(&nonce), sizeof nonce});
  const std::string claim =
      auth::tenant_claim(policy.claim_key, relay_.tenant->value, process_id, now, nonce);
  ParameterSets& sets = engine_.shared().parameter_sets;
  for (ParameterSetRef* set : {&relay_.settings, &relay_.startup}) {
    *set = sets.with(**set, policy.setting, claim);
  }
}

// What a reload changed holds at once, but for what the session itself was made of.
void ClientSession::follow_policy() {
  const auto& now = engine_.runtime().tenants;
  const SessionTenant& mine = *relay_.tenant;
  if (now == nullptr || now == mine.policy || now->setting != mine.policy->setting ||
      now->type != mine.policy->type) {
    return;
  }
  be_tenant(mine.value, now, mine.database, mine.says);
}

void ClientSession::be_tenant(std::string value, std::shared_ptr<const tenant::Policy> policy,
                              std::string database, SessionTenant::Says says) {
  std::string usual = relay_.tenant == nullptr ? value : relay_.tenant->usual;
  ticket_.tenant = static_cast<std::uint32_t>(std::hash<std::string>()(value)) | 1;
  ticket_.weight = static_cast<std::uint16_t>(engine_.config().tenants.weight(value));
  auto tenant = tenant_session(std::move(value), std::move(policy), std::move(database));
  tenant->says = says;
  tenant->usual = std::move(usual);
  relay_.tenant = std::move(tenant);
}

std::unique_ptr<SessionTenant> ClientSession::tenant_session(
    std::string value, std::shared_ptr<const tenant::Policy> policy, std::string database) {
  TenantClient client(
      engine_.shared().tenants.find_or_make(value.empty() ? TenantDirectory::kOther : value),
      engine_.id());
  const std::string_view learner = engine_.config().tenants.learner_of(value);
  auto learning =
      learner.empty() ? nullptr : engine_.shared().learning.find_or_make(std::string(learner));
  return std::make_unique<SessionTenant>(SessionTenant{std::move(value), std::move(policy),
                                                       std::move(client), std::move(database),
                                                       std::move(learning)});
}

void ClientSession::note_objections(const Objections& objections) {
  if (objections.refused + objections.reported == 0) return;
  if (engine_.measures().audit.active()) keep_audit(link_);
  engine_.counters().tenant_statements_refused.add(objections.refused);
  relay_.tenant->client.counters()->refused.add(objections.refused);
  engine_.counters().tenant_statements_reported.add(objections.reported);
  const bool refused = objections.refused > 0;
  note(Weight::warning, refused ? "tenant_statement_refused" : "tenant_statement_reported",
       "tenant \"" + relay_.tenant->value + "\": " + objections.first);
}

}  // namespace forebay::core
