#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/endpoint.hpp"
#include "forebay/config/audit.hpp"
#include "forebay/config/network.hpp"
#include "forebay/config/patroni.hpp"
#include "forebay/config/rules.hpp"
#include "forebay/config/secret.hpp"
#include "forebay/config/statement_limits.hpp"
#include "forebay/config/tenants.hpp"

/// The configuration as plain data, with its defaults. A snapshot is immutable once it is in use
/// and may be read by every thread. Keys keep PgBouncer's word where the meaning is the same.
namespace forebay::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// When a server connection goes back to the pool.
enum class PoolMode : std::uint8_t { session, transaction, statement };

/// What happens to a client whose statement or transaction takes longer than it may.
enum class TimeoutAction : std::uint8_t {
  cancel,  ///< the statement is cancelled or the transaction rolled back, and the client stays
  close,   ///< the client's connection ends, too
};

/// What becomes of a statement that keeps its server connection for its session.
enum class OnSessionState : std::uint8_t {
  pin,    ///< it does
  error,  ///< it is refused
  warn,   ///< it does, and the client is warned
};

/// Which writes a read on a replica sees for certain.
enum class ReadConsistency : std::uint8_t {
  none,     ///< none
  session,  ///< those of its own session
  strong,   ///< those of anybody, that were acknowledged before it came
};

/// Where the statements of a session go that no hint of its own speaks of.
enum class ReadTarget : std::uint8_t {
  any,      ///< by what they are
  primary,  ///< all
  replica,  ///< reads whatever functions they call, transactions that say nothing of it
};

/// libpq's words. Towards clients, `verify_ca` asks for a certificate that our CA signed, and
/// `verify_full` also for its common name to be the user's name.
enum class TlsMode : std::uint8_t { disable, allow, prefer, require, verify_ca, verify_full };

/// How a client shows who it is.
enum class AuthMethod : std::uint8_t {
  trust,          ///< not at all
  password,       ///< clear text (inside TLS, unless cleartext_without_tls allows more)
  md5,            ///< MD5 challenge; SCRAM where the stored secret is a SCRAM verifier
  scram_sha_256,  ///< SCRAM-SHA-256, with channel binding over TLS
  cert,           ///< TLS client certificate whose common name is the user's name
  server,         ///< the server decides: its own verifier, our relay
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { text, json };
/// Whether samples of slow statements show the literals of clients.
enum class SlowQueryText : std::uint8_t { redacted, full };
/// Of what is bound in the extended protocol.
enum class SlowQueryParameters : std::uint8_t { off, redacted, full };

struct TlsSettings {
  TlsMode mode = TlsMode::prefer;
  std::string certificate_file;  ///< PEM, leaf first; empty for none
  std::string key_file;          ///< PEM; empty for none
  std::string ca_file;           ///< PEM; empty for the system's
  std::string minimum_version = "TLSv1.2";
  std::string ciphers;        ///< OpenSSL list for TLS 1.2; empty for OpenSSL's default
  std::string cipher_suites;  ///< for TLS 1.3; empty for OpenSSL's default
  bool operator==(const TlsSettings&) const = default;
};

/// What may be said for all pools, for one database, and for one user; the user's word goes before
/// the database's, and that before the general one. Nothing said: see `PoolSettings`.
struct PoolOverrides {
  std::optional<PoolMode> pool_mode;
  std::optional<std::uint32_t> pool_size;
  std::optional<std::uint32_t> min_pool_size;
  std::optional<bool> server_round_robin;
  std::optional<milliseconds> query_wait_timeout;
  std::optional<milliseconds> server_idle_timeout;
  std::optional<milliseconds> server_lifetime;
  std::optional<milliseconds> statement_timeout;
  std::optional<milliseconds> transaction_timeout;
  std::optional<milliseconds> idle_transaction_timeout;
  std::optional<milliseconds> client_idle_timeout;
  std::optional<TimeoutAction> timeout_action;
  std::optional<milliseconds> slow_query_threshold;
  std::optional<bool> split_reads;
  std::optional<bool> lazy_begin;
  std::optional<ReadTarget> target;
  std::optional<ReadConsistency> read_consistency;
  std::optional<milliseconds> read_wait_timeout;
  std::optional<milliseconds> max_replica_lag;
  std::optional<ByteSize> max_replica_lag_bytes;
  std::optional<std::uint32_t> min_read_replicas;
  std::optional<bool> resend_reads;
  std::optional<std::uint32_t> reserve_pool_size;
  std::optional<milliseconds> reserve_pool_timeout;
  std::optional<OnSessionState> on_session_state;
  std::optional<bool> shared_listen;
  std::optional<std::uint32_t> pool_weight;
  std::optional<milliseconds> query_wait_notify;
  std::optional<SlowQueryParameters> slow_query_parameters;
  std::optional<bool> follow_functions;
  bool operator==(const PoolOverrides&) const = default;
};

/// The settings of one pool, everything decided. A time of zero switches the rule off.
struct PoolSettings {
  PoolMode pool_mode = PoolMode::transaction;
  std::uint32_t pool_size = 20;
  std::uint32_t min_pool_size = 0;
  bool server_round_robin = false;
  milliseconds query_wait_timeout = seconds(120);
  milliseconds server_idle_timeout = seconds(600);
  milliseconds server_lifetime = seconds(3600);
  milliseconds statement_timeout{0};
  milliseconds transaction_timeout{0};
  milliseconds idle_transaction_timeout{0};
  milliseconds client_idle_timeout{0};
  TimeoutAction timeout_action = TimeoutAction::cancel;
  /// Whether there is anything to watch while a client has a link.
  [[nodiscard]] bool limits_time() const noexcept {
    return (statement_timeout + transaction_timeout + idle_transaction_timeout +
            client_idle_timeout)
               .count() > 0;
  }
  milliseconds slow_query_threshold = seconds(1);
  bool split_reads = false;  ///< statements that only read go to replicas
  ReadTarget target = ReadTarget::any;
  bool lazy_begin = false;  ///< BEGIN goes to a server with what follows it
  ReadConsistency read_consistency = ReadConsistency::session;
  milliseconds read_wait_timeout{0};  ///< for a replica to have what a read must show
  milliseconds max_replica_lag = seconds(10);
  ByteSize max_replica_lag_bytes;       ///< of the log; 0: no limit
  std::uint32_t min_read_replicas = 0;  ///< so many may be read from, however late
  bool resend_reads = true;             ///< when a server is lost before it began to answer
  std::uint32_t reserve_pool_size = 0;  ///< beyond pool_size, for who has waited long
  milliseconds reserve_pool_timeout = seconds(5);
  [[nodiscard]] std::uint32_t reserve() const noexcept {
    return reserve_pool_timeout.count() > 0 ? reserve_pool_size : 0;
  }
  OnSessionState on_session_state = OnSessionState::pin;
  bool shared_listen = false;  ///< LISTEN takes a connection that all clients share
  /// What functions, triggers and views do to sessions is asked of the catalog, and followed.
  bool follow_functions = true;
  /// Where pools share a limit and clients wait: so many connections for each of a pool with 1.
  std::uint32_t pool_weight = 1;
  milliseconds query_wait_notify = seconds(5);
  SlowQueryParameters slow_query_parameters = SlowQueryParameters::off;
  bool operator==(const PoolSettings&) const = default;
};

struct User {
  /// Clear text, `md5...` or `SCRAM-SHA-256$...`; several during a rotation, the first is used
  /// towards servers.
  std::vector<Secret> passwords;
  PoolOverrides pool;
  std::uint32_t max_user_connections = 0;  ///< server connections of this user in all; 0: no limit
  std::uint32_t max_user_client_connections = 0;  ///< clients that log in as it; 0: no limit
  AddressRules addresses;
  StatementLimits statements;
  bool operator==(const User&) const = default;
};

/// Whether a user is among names that are separated by commas.
[[nodiscard]] bool listed(std::string_view names, std::string_view user);

/// Databases that are the proxy itself: clients find the console there, and no entry of
/// [databases] may have these names.
inline constexpr std::string_view kConsoleDatabases[] = {"forebay", "pgbouncer"};

/// Asks for the stored secret of the user $1. The third column is optional: the seconds until the
/// password expires, or NULL. What is expired counts as none, and so does a role that may not log
/// in.
inline constexpr std::string_view kAuthQuery =
    "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END, "
    "CASE WHEN rolvaliduntil > pg_catalog.now() AND rolvaliduntil < 'infinity' THEN "
    "EXTRACT(epoch FROM rolvaliduntil - pg_catalog.now()) END "
    "FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin";

/// How the secrets of users are looked up that the file does not list; in a database's entry,
/// empty: as [forebay] says.
struct AuthQuery {
  std::string auth_user;    ///< who asks; empty: nobody is looked up
  std::string auth_query;   ///< $1 is the user's name; empty: kAuthQuery
  std::string auth_dbname;  ///< as clients would name it; empty: the client's database
  bool operator==(const AuthQuery&) const = default;
};

/// One entry of [databases]; the name "*" serves every other database under its own name.
struct Database {
  std::vector<Endpoint> hosts;         ///< of one cluster, in order of preference; never empty
  std::vector<std::uint32_t> weights;  ///< of reads, for each host; empty: all alike
  std::vector<std::string> zones;      ///< where each host is; empty: nobody says
  std::string dbname;                  ///< on the server; empty: as the client said
  std::string user;                    ///< towards the server; empty: as the client said
  Secret password;                     ///< for `user`
  std::optional<AuthMethod> auth;      ///< nothing: the general one
  std::string monitor_user;            ///< who asks the hosts for their roles; empty: as the pool
  Secret monitor_password;             ///< for `monitor_user`
  PatroniSettings patroni;             ///< who else knows of the hosts
  std::optional<TlsSettings> server_tls;
  PoolOverrides pool;
  std::uint32_t max_db_connections = 0;  ///< server connections of this database; 0: no limit
  std::uint32_t max_db_client_connections = 0;    ///< clients of each database; 0: no limit
  std::uint32_t max_pool_client_connections = 0;  ///< of each user in each database; 0: no limit
  AddressRules addresses;
  AuthQuery lookup;
  StatementLimits statements;  ///< of each database
  bool operator==(const Database&) const = default;
};

struct Config {
  // Where clients come in.
  std::vector<Endpoint> listen = {{"127.0.0.1", 6432}};
  /// By listener, as `listen` names it. What an entry leaves out is not restricted.
  std::map<std::string, std::vector<Network>, std::less<>> listen_allow_from;
  std::map<std::string, std::vector<Network>, std::less<>> listen_deny_from;
  std::map<std::string, ReadTarget, std::less<>> listen_target;
  /// Balancers: whoever connects from there says first for whom, by the PROXY protocol.
  std::vector<Network> proxy_protocol_from;
  std::uint32_t unix_socket_mode = 0777;
  std::uint32_t workers = 0;                         ///< threads; 0: one a core
  std::vector<Endpoint> peers;                       ///< nodes behind one address, this one too
  std::uint32_t peer_id = 0;                         ///< which of them this is, from 1; 0: none
  std::optional<std::uint32_t> max_client_conn;      ///< nothing: what open files allow
  std::uint32_t max_address_client_connections = 0;  ///< clients from one address; 0: no limit
  std::uint32_t max_logins_per_second = 0;           ///< 0: no limit, here and in the next two
  std::uint32_t max_address_logins_per_second = 0;   ///< from one address
  std::uint32_t max_authenticating_clients = 0;      ///< at a time
  AddressRules addresses;                            ///< for everybody, the console too
  milliseconds client_login_timeout = seconds(60);
  bool reload_on_change = false;
  milliseconds suspend_timeout = seconds(10);   ///< how long SUSPEND waits for clients
  milliseconds shutdown_timeout = seconds(30);  ///< how long a drain may take
  std::string takeover_socket;  ///< where `serve --takeover` finds us; empty: nowhere

  // Who may come in.
  AuthMethod auth = AuthMethod::scram_sha_256;
  bool cleartext_without_tls = false;
  /// With auth "server": whether a client that comes from another machine may use what the server
  /// grants to us without a password.
  bool passwordless_from_anywhere = false;
  std::string admin_users;  ///< of the console, separated by commas
  std::string stats_users;  ///< who may SHOW there
  std::uint32_t scram_iterations = 4096;
  AuthQuery lookup;
  milliseconds auth_query_ttl = seconds(10);  ///< how long an answer of auth_query is believed
  TlsSettings client_tls = {.mode = TlsMode::prefer};

  // Servers.
  TlsSettings server_tls = {.mode = TlsMode::prefer};
  milliseconds server_connect_timeout = seconds(15);
  /// How long clients wait for a database of which no server answers, before they are told.
  milliseconds server_unavailable_timeout = seconds(10);
  milliseconds server_check_delay = seconds(30);  ///< idle longer than that: checked before use
  std::uint32_t max_host_connections = 0;         ///< to each host; 0: no limit
  milliseconds dns_max_ttl = seconds(15);         ///< addresses of a name are kept so long
  milliseconds dns_nxdomain_ttl{0};               ///< that a name has none is kept so long
  std::uint32_t max_connecting = 8;               ///< logins in progress, for each pool
  std::uint32_t max_prepared_statements = 200;    ///< kept on a server connection
  bool application_name_add_host = false;         ///< the client's address, behind its name
  /// How long a server connection may take to become clean after its client vanished.
  milliseconds server_recovery_timeout = seconds(5);

  // Clusters: entries of [databases] with several hosts.
  milliseconds monitor_interval{100};        ///< how often hosts are asked; 0: never
  milliseconds primary_lease = seconds(2);   ///< writes need a word of the primary's so young
  milliseconds failover_hold = seconds(30);  ///< how long statements wait for a primary
  std::uint32_t failover_hold_statements = 10'000;     ///< how many; 0: no limit
  ByteSize failover_hold_bytes{256ULL * 1024 * 1024};  ///< and how much of them; 0: no limit
  milliseconds slow_start = seconds(10);  ///< until a replica that came back has its share
  std::string zone;                       ///< where we are ourselves; empty: nobody says

  // Operation.
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
  std::string log_file;  ///< empty: standard error
  bool log_connections = true;
  std::uint32_t log_event_rate = 100;  ///< lines a second of each event; 0: all
  std::string slow_query_log;          ///< empty: slow statements are kept in memory only
  SlowQueryText slow_query_text = SlowQueryText::redacted;
  std::uint32_t slow_query_explains_per_minute = 0;  ///< of the whole process; 0: none
  std::uint32_t statement_statistics = 0;  ///< statements told apart, on each worker; 0: none
  std::optional<Endpoint> http;            ///< health and metrics; nothing: none
  std::uint32_t statement_metrics = 0;     ///< statements with series of their own
  bool pgbouncer_metrics = false;          ///< also by the names of pgbouncer_exporter
  std::string http_token_file;             ///< holds what HTTP clients have to show; empty: none

  TenantSettings tenants;
  AuditSettings audit;

  PoolOverrides pool;  ///< for every pool
  std::map<std::string, Database, std::less<>> databases;
  std::map<std::string, User, std::less<>> users;
  std::vector<Rule> rules;  ///< the first that matches holds

  bool operator==(const Config&) const = default;

  /// The entry that serves a database name: its own, else "*", else null.
  /// Here, since each login asks several times, and the rest of this library is COLD.
  [[nodiscard]] const Database* find_database(std::string_view name) const {
    auto entry = databases.find(name);
    if (entry == databases.end()) entry = databases.find(std::string_view("*"));
    return entry == databases.end() ? nullptr : &entry->second;
  }
  [[nodiscard]] const User* find_user(std::string_view name) const {
    const auto entry = users.find(name);
    return entry == users.end() ? nullptr : &entry->second;
  }
  /// What is said of a listener's clients; of them all, see `addresses`.
  [[nodiscard]] AddressRules listener_rules(std::string_view listener) const;
  /// Where statements of clients go that come in there, to a pool of these settings.
  [[nodiscard]] ReadTarget target_of(std::string_view listener, const PoolSettings& pool) const;
  /// How clients of `database` are looked up, everything decided; no auth_user: they are not.
  /// "": clients of the console.
  [[nodiscard]] AuthQuery lookup_for(std::string_view database) const;
  /// The settings for clients of `user` (null: one that is not listed) in `database`.
  [[nodiscard]] PoolSettings pool_settings(const Database& database, const User* user) const;
  [[nodiscard]] bool any_mode_but_session() const;
  /// Where a setting comes from that holds for clients of `user` in `database`, as error texts say
  /// it: "[users.alice]", "[databases.app]" or "[pool]".
  template <class T>
  [[nodiscard]] std::string where_set(std::string_view database, std::string_view user,
                                      std::optional<T> PoolOverrides::*said) const {
    if (const User* known = find_user(user); known != nullptr && known->pool.*said) {
      return label_of_user(user);
    }
    if (const Database* known = find_database(database); known != nullptr && known->pool.*said) {
      return label_of_database(database);
    }
    return "[pool]";
  }
  /// The section of an entry, as the file has it: [users.alice], [databases."*"].
  [[nodiscard]] static std::string label_of_user(std::string_view name);
  [[nodiscard]] std::string label_of_database(std::string_view name) const;
};

}  // namespace forebay::config
