#pragma once

#include <span>
#include <string_view>

#include "config/key.hpp"
#include "forebay/config/config.hpp"

/// The one table of keys.
namespace forebay::config {

struct Section {
  std::string_view name;
  std::string_view documentation;
};

/// [forebay], [log], [tls.client], [tls.server], [pool], in the order of the sample.
[[nodiscard]] std::span<const Section> general_sections();
/// Their keys, section by section.
[[nodiscard]] const Keys<Config>& general_keys();
/// Parts of them that stand in a file of their own.
[[nodiscard]] Keys<Config> listen_keys();
[[nodiscard]] Keys<Config> process_keys();
[[nodiscard]] Keys<Config> log_keys();
[[nodiscard]] Keys<AuditSettings> audit_keys();
[[nodiscard]] Keys<Config> cluster_keys();
[[nodiscard]] Keys<Database> read_share_keys();
[[nodiscard]] Keys<PatroniSettings> patroni_keys();
[[nodiscard]] Keys<TenantSettings> tenant_keys();
/// [databases.NAME]
[[nodiscard]] const Keys<Database>& database_keys();
/// [databases.NAME.tls]
[[nodiscard]] const Keys<TlsSettings>& database_tls_keys();
/// [users.NAME]
[[nodiscard]] const Keys<User>& user_keys();
/// [[rules]]
[[nodiscard]] const Keys<Rule>& rule_keys();

/// Where the meaning of a PgBouncer key went that has another name here; empty if the word is
/// none of those.
[[nodiscard]] std::string_view replacement_of(std::string_view pgbouncer_key);

}  // namespace forebay::config
