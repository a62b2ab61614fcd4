#include "core/engine/runtime.hpp"

#include "forebay/routing/tenant/check.hpp"

namespace forebay::core {

std::optional<std::string> Runtime::tenant_named(std::string_view said) const {
  return tenants == nullptr ? std::nullopt : tenant::normal_value(tenants->type, said);
}

bool Runtime::looks_up(std::string_view database, std::string_view user) const {
  const auto listed = find_secrets(user);
  return (listed == nullptr || listed->empty()) && !config.lookup_for(database).auth_user.empty();
}

bool Runtime::serves(std::string_view database, std::string_view user,
                     std::string_view server_user) const {
  const config::Database* entry = config.find_database(database);
  if (entry == nullptr) return false;
  if (server_user != (entry->user.empty() ? user : entry->user)) return false;
  switch (entry->auth.value_or(config.auth)) {
    case config::AuthMethod::password:
    case config::AuthMethod::md5:
    case config::AuthMethod::scram_sha_256:
      return find_secrets(user) != nullptr || looks_up(database, user);
    default:
      return true;
  }
}

}  // namespace forebay::core
