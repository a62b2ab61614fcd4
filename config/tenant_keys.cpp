#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "config/checks.hpp"
#include "config/keys.hpp"
#include "config/types.hpp"

// [tenants]: whose a session is and what is held to that, and what must hold between these keys.
namespace forebay::config {

namespace {

Keys<TenantSettings> keys_of_learning() {
  using T = TenantSettings;
  return {
      key("", "learn", Effect::new_clients, &T::learn, Texts{"[\"acme\"]"},
          "Tenants of which learn_file tells what they do, or \"*\": what all do, together. Costs "
          "their statements a lock, while it is on."),
      key("", "learn_file", Effect::restart, &T::learn_file, Text{"/var/lib/forebay/learned.toml"},
          "What is learned is written here, as [[rules]] that close everything else; what was "
          "there when the process began is kept under its name with the time behind it."),
  };
}

Keys<TenantSettings> keys_of_whose() {
  using T = TenantSettings;
  return {
      key("", "databases", Effect::new_clients, &T::databases, Texts{"[\"app\"]"},
          "The databases, by the names that clients give; \"*\" for all. Empty: no tenants."),
      key("", "users", Effect::new_clients, &T::users, TextByName{},
          "Users and their tenants, such as {app_acme = \"acme\"}; also as a section "
          "[tenants.users]. Goes before what follows."),
      key("", "certificate_pattern", Effect::new_clients, &T::certificate_pattern,
          Text{"{tenant}.clients.example.com"},
          "What certificate_field of a tenant's certificates has, such as "
          "\"{tenant}.clients.example.com\" or \"{tenant}\"; \"\" for none. Only certificates "
          "that ca_file of [tls.client] vouches for count."),
      key("", "certificate_field", Effect::new_clients, &T::certificate_field,
          Choice<CertificateField>{kCertificateFields},
          "common_name, organizational_unit, or alternative_name (DNS names, mail addresses and "
          "URIs): where several fit, they must say the same tenant."),
      key("", "user_pattern", Effect::new_clients, &T::user_pattern, Text{"app.{tenant}"},
          "The name of a tenant's users, such as \"app.{tenant}\" or \"{tenant}_rw\"; \"\" for "
          "none."),
      key("", "database_pattern", Effect::new_clients, &T::database_pattern, Text{"shop_{tenant}"},
          "The name of a tenant's databases, such as \"shop_{tenant}\"; \"\" for none."),
      key("", "server_name_pattern", Effect::new_clients, &T::server_name_pattern,
          Text{"{tenant}.db.example.com"},
          "The host that a tenant's clients connect to with TLS, as they say it (SNI), such as "
          "\"{tenant}.db.example.com\", in small letters; \"\" for none. As with "
          "startup_parameter, it is the client's own word."),
      key("", "startup_parameter", Effect::new_clients, &T::startup_parameter,
          Text{"forebay.tenant"},
          "A start-up parameter, also in options=-c, by which a client says itself whose it is, "
          "such as \"forebay.tenant\"; \"\" for none. Only for clients that are trusted with all "
          "tenants' data."),
      key("", "comment_users", Effect::new_clients, &T::comment_users, Texts{"[\"app\"]"},
          "Users who may have all tenants' data and say whose each transaction is: by a comment at "
          "the head of its first statement, as in /* tenant=acme */ BEGIN. One without is of the "
          "session's tenant, as what stands above says it, or refused."),
      key("", "setting_users", Effect::new_clients, &T::setting_users, Texts{"[\"app\"]"},
          "The same of users who say it by `setting`, as the first statement after BEGIN: "
          "SET LOCAL app.tenant_id = 'acme', or SELECT set_config('app.tenant_id', 'acme', true)."),
  };
}

}  // namespace

Keys<TenantSettings> tenant_keys() {
  using T = TenantSettings;
  Keys<TenantSettings> keys = keys_of_whose();
  Keys<TenantSettings> others = {
      key("", "places", Effect::at_once, &T::places, TextByName{},
          "Tenants that go to another entry of [databases] than they name, such as {acme = "
          "\"app_2\"}; also as [tenants.places]. A reload moves them between transactions."),
      key("", "column", Effect::at_once, &T::column, PostgresName{"tenant_id"},
          "The column that says whose a row is."),
      key("", "column_type", Effect::new_clients, &T::column_type, Choice<TenantType>{kTenantTypes},
          "What the column holds: text (also varchar), integer of any size, or uuid."),
      key("", "setting", Effect::new_clients, &T::setting, Text{"app.tenant_id"},
          "A run-time parameter that always has the tenant's value and that clients cannot change, "
          "for policies of row level security; \"\" for none."),
      key("", "firewall", Effect::at_once, &T::firewall, Choice<FirewallMode>{kFirewallModes},
          "Whether statements are held to the tenant's rows. off: no. report: what would be "
          "refused is logged and counted. enforce: it is refused."),
      key("", "tables", Effect::at_once, &T::tables, Texts{"[\"*\"]"},
          "Tables and views that have the column: \"orders\" in every schema, \"app.orders\" in "
          "one, \"*\" for all but PostgreSQL's own (pg_...) and shared_tables. Where a table is "
          "not listed by its name, joins and sub-selects must say whose column it is "
          "(o.tenant_id)."),
      key("", "tables_with_column", Effect::at_once, &T::tables_with_column, Flag{},
          "Besides, whatever the catalog of the tenants' database says has the column, and views "
          "of "
          "that; what is newer than what is known of it, and everything while nothing is known, as "
          "by \"*\". Not shared_tables."),
      key("", "report_tables", Effect::at_once, &T::report_tables, Texts{"[\"orders\"]"},
          "Those of which violations are only reported. A name without schema in a statement is "
          "only that of an entry without schema."),
      key("", "shared_tables", Effect::at_once, &T::shared_tables, Texts{"[\"countries\"]"},
          "With \"*\" or tables_with_column: tables without the column, which all tenants may use; "
          "\"public.countries\" "
          "only where statements say so, since search_path may find another one."),
  };
  for (auto& key : others) keys.push_back(std::move(key));
  for (auto& key : keys_of_learning()) keys.push_back(std::move(key));
  return keys;
}

std::vector<std::pair<std::string_view, std::string>> complaints_about(
    const TenantSettings& tenants) {
  std::vector<std::pair<std::string_view, std::string>> complaints;
  const auto complain = [&](std::string_view key, std::string why) {
    complaints.emplace_back(key, std::move(why));
  };
  for (const auto& [key, pattern] :
       {std::pair("certificate_pattern", &tenants.certificate_pattern),
        std::pair("user_pattern", &tenants.user_pattern),
        std::pair("database_pattern", &tenants.database_pattern),
        std::pair("server_name_pattern", &tenants.server_name_pattern)}) {
    if (!pattern->empty() && pattern->find(kTenantMark) == std::string::npos) {
      complain(key, "expected {tenant} in it, such as \"app.{tenant}\"");
    }
  }
  for (const auto& [key, users] : {std::pair("comment_users", &tenants.comment_users),
                                   std::pair("setting_users", &tenants.setting_users)}) {
    if (std::ranges::find(*users, "*") != users->end()) {
      complain(key, "\"*\" is not possible; list those who may have all tenants' data");
    }
  }
  const std::string& host = tenants.server_name_pattern;
  if (std::any_of(host.begin(), host.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    complain("server_name_pattern", "expected small letters: names of hosts are compared in these");
  }
  const std::string& setting = tenants.setting;
  const bool capitals =
      std::any_of(setting.begin(), setting.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!setting.empty() && (capitals || setting.find('.') == std::string::npos)) {
    complain("setting", "expected small letters with a dot, such as \"app.tenant_id\"");
  }
  constexpr std::size_t kClaimKeyMin = 16;
  if (!tenants.claim_key.empty() && tenants.claim_key.reveal().size() < kClaimKeyMin) {
    complain("claim_key", "it has less than 16 bytes; make one with: openssl rand -hex 32");
  }
  if (!tenants.claim_key.empty() && setting.empty()) {
    complain("claim_key", "there is no setting to have the claim; set setting as well");
  }
  if (std::ranges::find(tenants.report_tables, "*") != tenants.report_tables.end()) {
    complain("report_tables", "\"*\" is not possible; set firewall = \"report\"");
  }
  if (tenants.learn.empty() != tenants.learn_file.empty()) {
    complain(tenants.learn.empty() ? "learn_file" : "learn",
             tenants.learn.empty() ? "nobody is learned from; set learn as well"
                                   : "there is no learn_file to write to; set it as well");
  }
  constexpr std::size_t kLearnersMax = 20;  // of kRulesMax, each has three
  if (tenants.learn.size() > kLearnersMax) {
    complain("learn", "there are more than " + std::to_string(kLearnersMax) +
                          ", whose rules would be too many; \"*\" learns from all "
                          "together");
  }
  if (tenants.learn.size() > 1 && std::ranges::find(tenants.learn, "*") != tenants.learn.end()) {
    complain("learn", "\"*\" stands alone: it is what all tenants do, together");
  }
  return complaints;
}

}  // namespace forebay::config
