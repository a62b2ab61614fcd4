#include "config/pgbouncer/keys.hpp"

#include <algorithm>
#include <iterator>

namespace forebay::config::pgbouncer {
namespace {

constexpr std::string_view kQueryTimeout =
    "a statement over its time is cancelled and its client stays connected; timeout_action = "
    "\"close\" ends the connection, too";
constexpr std::string_view kIdleTimeout =
    "the transaction is rolled back and the client stays connected; timeout_action = \"close\" "
    "ends the connection, too";

constexpr Equivalent kGeneral[] = {
    {"unix_socket_mode", "forebay", "unix_socket_mode", file_mode},
    {"max_client_conn", "forebay", "max_client_conn", count<1, 1'000'000>},
    {"client_login_timeout", "forebay", "client_login_timeout", seconds},
    {"admin_users", "forebay", "admin_users", text},
    {"stats_users", "forebay", "stats_users", text},
    {"auth_user", "forebay", "auth_user", text},
    {"auth_query", "forebay", "auth_query", auth_query},
    {"auth_dbname", "forebay", "auth_dbname", text},
    {"scram_iterations", "forebay", "scram_iterations", count<4096, 100'000>},
    {"logfile", "log", "file", log_file},
    {"verbose", "log", "level", log_level},
    {"log_connections", "log", "connections", flag},
    {"log_disconnections", "log", "connections", flag, "one key is for both, the last one counts"},
    {"client_tls_sslmode", "tls.client", "mode", client_tls_mode},
    {"client_tls_cert_file", "tls.client", "certificate_file", text},
    {"client_tls_key_file", "tls.client", "key_file", text},
    {"client_tls_ca_file", "tls.client", "ca_file", text},
    {"client_tls_protocols", "tls.client", "minimum_version", tls_versions},
    {"client_tls_ciphers", "tls.client", "ciphers", ciphers},
    {"client_tls13_ciphers", "tls.client", "cipher_suites", text},
    {"server_tls_sslmode", "tls.server", "mode", tls_mode},
    {"server_tls_cert_file", "tls.server", "certificate_file", text},
    {"server_tls_key_file", "tls.server", "key_file", text},
    {"server_tls_ca_file", "tls.server", "ca_file", text},
    {"server_tls_protocols", "tls.server", "minimum_version", tls_versions},
    {"server_tls_ciphers", "tls.server", "ciphers", ciphers},
    {"server_tls13_ciphers", "tls.server", "cipher_suites", text},
    {"pool_mode", "pool", "pool_mode", pool_mode},
    {"default_pool_size", "pool", "default_pool_size", count<1, 10'000>},
    {"min_pool_size", "pool", "min_pool_size", count<0, 10'000>},
    {"reserve_pool_size", "pool", "reserve_pool_size", count<0, 10'000>},
    {"reserve_pool_timeout", "pool", "reserve_pool_timeout", seconds},
    {"server_round_robin", "pool", "server_round_robin", flag},
    {"query_wait_timeout", "pool", "query_wait_timeout", seconds},
    {"query_wait_notify", "pool", "query_wait_notify", seconds},
    {"server_idle_timeout", "pool", "server_idle_timeout", seconds},
    {"server_lifetime", "pool", "server_lifetime", lifetime},
    {"query_timeout", "pool", "statement_timeout", seconds, kQueryTimeout},
    {"transaction_timeout", "pool", "transaction_timeout", seconds, kIdleTimeout},
    {"idle_transaction_timeout", "pool", "idle_transaction_timeout", seconds, kIdleTimeout},
    {"client_idle_timeout", "pool", "client_idle_timeout", seconds},
    {"server_connect_timeout", "pool", "server_connect_timeout", seconds},
    {"server_check_delay", "pool", "server_check_delay", seconds},
    {"max_prepared_statements", "pool", "max_prepared_statements", prepared_statements},
    {"suspend_timeout", "forebay", "suspend_timeout", seconds},
    {"dns_max_ttl", "pool", "dns_max_ttl", seconds},
    {"dns_nxdomain_ttl", "pool", "dns_nxdomain_ttl", seconds},
    {"application_name_add_host", "pool", "application_name_add_host", flag},
};

constexpr Equivalent kDatabase[] = {
    {"dbname", {}, "dbname", text},
    {"user", {}, "user", text},
    {"password", {}, "password", text},
    {"auth_user", {}, "auth_user", text},
    {"auth_query", {}, "auth_query", auth_query},
    {"auth_dbname", {}, "auth_dbname", text},
    {"pool_mode", {}, "pool_mode", pool_mode},
    {"pool_size", {}, "pool_size", count<1, 10'000>},
    {"min_pool_size", {}, "min_pool_size", count<0, 10'000>},
    {"reserve_pool", {}, "reserve_pool_size", count<0, 10'000>},
    {"reserve_pool_size", {}, "reserve_pool_size", count<0, 10'000>},
    {"server_lifetime", {}, "server_lifetime", lifetime},
    {"max_db_connections", {}, "max_db_connections", count<0, 100'000>},
    {"max_db_client_connections", {}, "max_db_client_connections", count<0, 1'000'000>},
    {"query_wait_timeout", {}, "query_wait_timeout", seconds},
};

constexpr Equivalent kUser[] = {
    {"pool_mode", {}, "pool_mode", pool_mode},
    {"pool_size", {}, "pool_size", count<1, 10'000>},
    {"reserve_pool_size", {}, "reserve_pool_size", count<0, 10'000>},
    {"max_user_connections", {}, "max_user_connections", count<0, 100'000>},
    {"max_user_client_connections", {}, "max_user_client_connections", count<0, 1'000'000>},
    {"query_timeout", {}, "statement_timeout", seconds, kQueryTimeout},
    {"query_wait_timeout", {}, "query_wait_timeout", seconds},
    {"transaction_timeout", {}, "transaction_timeout", seconds, kIdleTimeout},
    {"idle_transaction_timeout", {}, "idle_transaction_timeout", seconds, kIdleTimeout},
    {"client_idle_timeout", {}, "client_idle_timeout", seconds},
};

constexpr std::string_view kParameter =
    "a client keeps the parameters that it sets itself; ALTER DATABASE ... SET or ALTER ROLE ... "
    "SET gives one to all";
constexpr std::string_view kNames =
    "names are resolved as the operating system says, again for "
    "new server connections";
constexpr std::string_view kSystemd = "the service manager does that (systemd: User=, Type=notify)";
constexpr std::string_view kKernel = "set by Forebay itself";
constexpr std::string_view kCurves = "OpenSSL's own choice is used";

constexpr Unsupported kUnsupported[] = {
    {"application_name", false, kParameter},
    {"auth_ident_file", false, "a certificate's common name must be the user's name"},
    {"auth_ldap_options", false, "LDAP is not supported"},
    {"autodb_idle_timeout", true, "databases of \"*\" need no keeping"},
    {"cancel_wait_timeout", true, "a cancel request waits for nothing"},
    {"client_encoding", false, kParameter},
    {"client_tls_dheparams", false, kCurves},
    {"client_tls_ecdhcurve", false, kCurves},
    {"conffile", true, "a reload reads the file that Forebay was started with"},
    {"connect_query", false, "a server connection begins as a client of its own would"},
    {"datestyle", false, kParameter},
    {"disable_pqexec", false, "simple queries are always possible"},
    {"dns_zone_check_period", false, kNames},
    {"ignore_startup_parameters", true, "every start-up parameter is followed"},
    {"job_name", true, "it has no meaning here"},
    {"listen_backlog", true, kKernel},
    {"load_balance_hosts", false, "of several hosts the primary is used"},
    {"log_pooler_errors", true, "errors are logged with the end of the connection"},
    {"log_stats", false, "statistics are in SHOW STATS and, with [forebay] http, in /metrics"},
    {"max_packet_size", true, "messages of any size stream through"},
    {"peer_id", false, "one process serves all cores, so that cancel requests find it"},
    {"pidfile", false, kSystemd},
    {"pkt_buf", true, kKernel},
    {"pool_idle_timeout", true, "an empty pool costs nothing"},
    {"resolv_conf", false, kNames},
    {"sbuf_loopcnt", true, kKernel},
    {"server_check_query", true, "the check is Forebay's own"},
    {"server_fast_close", false,
     "a server connection that leads elsewhere is closed when its client is done with it"},
    {"server_login_retry", false, "the pauses between attempts grow by themselves"},
    {"server_reset_query", true, "a server connection is cleaned of what its client left there"},
    {"server_reset_query_always", true,
     "a server connection is cleaned of what its client left there"},
    {"service_name", true, "it has no meaning here"},
    {"so_reuseport", true, "one process serves all cores"},
    {"stats_period", false, "averages are over 60 seconds"},
    {"syslog", false, "the log goes to standard error, which systemd keeps, or to [log] file"},
    {"syslog_facility", false, "see syslog"},
    {"syslog_ident", false, "see syslog"},
    {"tcp_defer_accept", true, kKernel},
    {"tcp_keepalive", false, "always on"},
    {"tcp_keepcnt", false, kKernel},
    {"tcp_keepidle", false, kKernel},
    {"tcp_keepintvl", false, kKernel},
    {"tcp_socket_buffer", true, kKernel},
    {"tcp_user_timeout", true, "a peer that acknowledges nothing is noticed within minutes"},
    {"timezone", false, kParameter},
    {"track_extra_parameters", true, "every parameter is followed"},
    {"unix_socket_group", false, "give the socket's directory that group"},
    {"user", false, kSystemd},
};

template <class Row, std::size_t size>
const Row* find_row(const Row (&rows)[size], std::string_view key) {
  const Row* found = std::ranges::find(rows, key, &Row::theirs);
  return found == std::end(rows) ? nullptr : found;
}

}  // namespace

const Equivalent* general_equivalent(std::string_view key) {
  return find_row(kGeneral, key);
}

const Equivalent* database_equivalent(std::string_view key) {
  return find_row(kDatabase, key);
}

const Equivalent* user_equivalent(std::string_view key) {
  return find_row(kUser, key);
}

const Unsupported* find_unsupported(std::string_view key) {
  return find_row(kUnsupported, key);
}

}  // namespace forebay::config::pgbouncer
