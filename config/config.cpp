#include "forebay/config/config.hpp"

#include <algorithm>

namespace forebay::config {

bool TenantSettings::serve(std::string_view database) const {
  return std::any_of(databases.begin(), databases.end(),
                     [&](const std::string& name) { return name == "*" || name == database; });
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
  overrule(settings.server_idle_timeout, said.server_idle_timeout);
  overrule(settings.server_lifetime, said.server_lifetime);
}

}  // namespace

const Database* Config::find_database(std::string_view name) const {
  auto entry = databases.find(name);
  if (entry == databases.end()) entry = databases.find(std::string_view("*"));
  return entry == databases.end() ? nullptr : &entry->second;
}

const User* Config::find_user(std::string_view name) const {
  const auto entry = users.find(name);
  return entry == users.end() ? nullptr : &entry->second;
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

}  // namespace forebay::config
