#include "forebay/config/config.hpp"

#include <algorithm>

#include "config/checks.hpp"

namespace forebay::config {

bool TenantSettings::serve(std::string_view database) const {
  return std::any_of(databases.begin(), databases.end(),
                     [&](const std::string& name) { return name == "*" || name == database; });
}

bool TenantSettings::may_be_in(std::string_view database) const {
  return serve(database) || std::any_of(places.begin(), places.end(), [&](const auto& place) {
           return place.second == database;
         });
}

namespace {

template <class T>
void overrule(T& setting, const std::optional<T>& said) {
  if (said) setting = *said;
}

void overrule(PoolSettings& settings, const PoolOverrides& said) {
  overrule(settings.pool_mode, said.pool_mode);
  overrule(settings.pool_size, said.pool_size);
  overrule(settings.min_pool_size, said.min_pool_size);
  overrule(settings.server_round_robin, said.server_round_robin);
  overrule(settings.query_wait_timeout, said.query_wait_timeout);
  overrule(settings.query_wait_notify, said.query_wait_notify);
  overrule(settings.server_idle_timeout, said.server_idle_timeout);
  overrule(settings.server_lifetime, said.server_lifetime);
  overrule(settings.statement_timeout, said.statement_timeout);
  overrule(settings.transaction_timeout, said.transaction_timeout);
  overrule(settings.idle_transaction_timeout, said.idle_transaction_timeout);
  overrule(settings.client_idle_timeout, said.client_idle_timeout);
  overrule(settings.timeout_action, said.timeout_action);
  overrule(settings.slow_query_threshold, said.slow_query_threshold);
  overrule(settings.slow_query_parameters, said.slow_query_parameters);
  overrule(settings.split_reads, said.split_reads);
  overrule(settings.lazy_begin, said.lazy_begin);
  overrule(settings.target, said.target);
  overrule(settings.read_consistency, said.read_consistency);
  overrule(settings.read_wait_timeout, said.read_wait_timeout);
  overrule(settings.max_replica_lag, said.max_replica_lag);
  overrule(settings.max_replica_lag_bytes, said.max_replica_lag_bytes);
  overrule(settings.min_read_replicas, said.min_read_replicas);
  overrule(settings.resend_reads, said.resend_reads);
  overrule(settings.reserve_pool_size, said.reserve_pool_size);
  overrule(settings.reserve_pool_timeout, said.reserve_pool_timeout);
  overrule(settings.on_session_state, said.on_session_state);
  overrule(settings.shared_listen, said.shared_listen);
  overrule(settings.follow_functions, said.follow_functions);
  overrule(settings.pool_weight, said.pool_weight);
}

}  // namespace

bool listed(std::string_view names, std::string_view user) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(','), names.size());
    std::string_view name = names.substr(0, end);
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    name = name.substr(0, name.find_last_not_of(' ') + 1);
    if (name == user) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

bool Config::any_mode_but_session() const {
  const auto said = [](const auto& entry) {
    return entry.second.pool.pool_mode.value_or(PoolMode::session) != PoolMode::session;
  };
  return pool.pool_mode.value_or(PoolSettings().pool_mode) != PoolMode::session ||
         std::any_of(databases.begin(), databases.end(), said) ||
         std::any_of(users.begin(), users.end(), said);
}

AddressRules Config::listener_rules(std::string_view listener) const {
  AddressRules found;
  const auto allowed = listen_allow_from.find(listener);
  if (allowed != listen_allow_from.end()) found.allow_from = allowed->second;
  const auto denied = listen_deny_from.find(listener);
  if (denied != listen_deny_from.end()) found.deny_from = denied->second;
  return found;
}

ReadTarget Config::target_of(std::string_view listener, const PoolSettings& settings) const {
  const auto said = listen_target.find(listener);
  return said == listen_target.end() ? settings.target : said->second;
}

AuthQuery Config::lookup_for(std::string_view database) const {
  AuthQuery all = lookup;
  if (const Database* entry = database.empty() ? nullptr : find_database(database)) {
    const AuthQuery& own = entry->lookup;
    if (!own.auth_user.empty()) all.auth_user = own.auth_user;
    if (!own.auth_query.empty()) all.auth_query = own.auth_query;
    if (!own.auth_dbname.empty()) all.auth_dbname = own.auth_dbname;
  }
  if (all.auth_query.empty()) all.auth_query = kAuthQuery;
  if (all.auth_dbname.empty()) all.auth_dbname = database;
  if (all.auth_dbname.empty()) all.auth_user.clear();
  return all;
}

PoolSettings Config::pool_settings(const Database& database, const User* user) const {
  PoolSettings settings;
  overrule(settings, pool);
  overrule(settings, database.pool);
  if (user != nullptr) overrule(settings, user->pool);
  // A user's size beside a database's minimum: loading warns, and the limit wins.
  settings.min_pool_size = std::min(settings.min_pool_size, settings.pool_size);
  return settings;
}

std::string Config::label_of_user(std::string_view name) {
  return "[" + entry_label("users", name) + "]";
}

std::string Config::label_of_database(std::string_view name) const {
  return "[" + entry_label("databases", databases.contains(name) ? name : "*") + "]";
}

}  // namespace forebay::config
