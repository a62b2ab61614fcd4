#include "forebay/routing/tenant/policy.hpp"

#include <algorithm>

#include "forebay/routing/tenant/check.hpp"
#include "routing/tenant/named.hpp"
#include "routing/tenant/names.hpp"

namespace forebay::tenant {
namespace {

bool is_all(const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), "*") != names.end();
}

/// Whichever schema a name without schema is found in.
bool is_certainly_named(const std::vector<std::string>& names, Bytes schema, Bytes table) {
  if (!schema.empty()) return is_named(names, schema, table);
  return std::find(names.begin(), names.end(), table) != names.end();
}

/// What {tenant} stands for in a name; nothing where the pattern does not fit.
std::optional<std::string> matched(Bytes pattern, Bytes name) {
  const std::size_t mark = pattern.find(config::kTenantMark);
  if (mark == Bytes::npos) return std::nullopt;
  const Bytes before = pattern.substr(0, mark);
  const Bytes behind = pattern.substr(mark + config::kTenantMark.size());
  if (name.size() <= before.size() + behind.size() || !name.starts_with(before) ||
      !name.ends_with(behind)) {
    return std::nullopt;
  }
  name.remove_prefix(before.size());
  name.remove_suffix(behind.size());
  return std::string(name);
}

// Hosts are the same in capitals, and with the dot of the root.
std::string host_name(Bytes said) {
  std::string name(said);
  if (name.ends_with('.')) name.pop_back();
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return name;
}

}  // namespace

bool is_named(const std::vector<std::string>& names, Bytes schema, Bytes table) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) return name == table;
    return Bytes(name).substr(dot + 1) == table &&
           (schema.empty() || Bytes(name).substr(0, dot) == schema);
  });
}

Policy policy_of(const config::TenantSettings& settings) {
  Policy policy;
  policy.column = settings.column;
  policy.type = settings.column_type;
  policy.firewall = settings.firewall;
  policy.tables = settings.tables;
  policy.report_tables = settings.report_tables;
  policy.shared_tables = settings.shared_tables;
  policy.tables_with_column = settings.tables_with_column;
  policy.setting = settings.setting;
  policy.claim_key = settings.claim_key;
  return policy;
}

// What has been proven goes before what the client merely says.
std::optional<std::string> tenant_of(const config::TenantSettings& settings, const Claims& claims) {
  if (const auto listed = settings.users.find(claims.user); listed != settings.users.end()) {
    return listed->second;
  }
  if (claims.fields != nullptr) {
    std::optional<std::string> certified;
    for (const std::string& field : *claims.fields) {
      auto found = matched(settings.certificate_pattern, field);
      if (!found || found == certified) continue;
      if (certified) return std::nullopt;
      certified = std::move(found);
    }
    if (certified) return certified;
  }
  if (auto found = matched(settings.user_pattern, claims.user)) return found;
  if (auto found = matched(settings.database_pattern, claims.database)) return found;
  if (auto found = matched(settings.server_name_pattern, host_name(claims.server_name))) {
    return found;
  }
  if (!settings.startup_parameter.empty() && !claims.startup_parameter.empty()) {
    return std::string(claims.startup_parameter);
  }
  return std::nullopt;
}

/// In doubt a table is protected: search_path is the client's.
Mode Policy::mode_of(Bytes schema, Bytes table) const {
  if (firewall == Mode::off) return Mode::off;
  if (is_certainly_named(report_tables, schema, table)) return Mode::report;
  if (is_named(tables, schema, table)) return firewall;
  if (is_all(tables) && !is_catalog(schema, table) &&
      !is_certainly_named(shared_tables, schema, table)) {
    return firewall;
  }
  if (tables_with_column && !is_catalog(schema, table) &&
      !is_certainly_named(shared_tables, schema, table)) {
    // What is newer than what is known may have the column, too.
    if (catalog == nullptr) return firewall;
    const CatalogTables::Known known = catalog->find(schema, table);
    if (!known.there || known.shows) return firewall;
  }
  return is_named(report_tables, schema, table) ? Mode::report : Mode::off;
}

bool Policy::lists(Bytes schema, Bytes table) const {
  return is_named(tables, schema, table) || is_named(report_tables, schema, table) ||
         (tables_with_column && catalog != nullptr && catalog->find(schema, table).every_column);
}

std::size_t Verdict::bytes() const noexcept {
  constexpr std::size_t kAllocation = 16;
  std::size_t all = sizeof(Verdict) + kAllocation + places.capacity() * sizeof(Place);
  const auto add = [&all](const std::string& text) {
    if (text.capacity() > 15) all += text.capacity() + kAllocation;
  };
  for (const std::string* text :
       {&refused.table, &refused.why, &reported.table, &reported.why, &places_table}) {
    add(*text);
  }
  all += executes.capacity() * sizeof(std::string);
  for (const std::string& name : executes) add(name);
  return all;
}

/// Besides the owned one: who the session is, and how a text is read. With another way of reading
/// a text that is on its way already would not be what it was judged to be.
bool is_kept_setting(const Policy& policy, Bytes name) noexcept {
  if (name == "role" || name == "session_authorization") return true;
  if (name == "standard_conforming_strings" || name == "backslash_quote") return true;
  return !policy.setting.empty() && name == policy.setting;
}

}  // namespace forebay::tenant
