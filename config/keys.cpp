#include "config/keys.hpp"

#include <array>

#include "config/types.hpp"

namespace forebay::config {
namespace {

constexpr std::array<std::string_view, 2> kTlsVersions = {"TLSv1.2", "TLSv1.3"};

constexpr std::array<Section, 7> kSections = {{
    {"forebay", "Where clients come in, and who may."},
    {"log", "What is written down."},
    {"tls.client", "TLS between clients and Forebay."},
    {"tls.server", "TLS between Forebay and the servers; a database may have its own."},
    {"pool",
     "Server connections. One pool exists for each pair of database and user. The keys down to "
     "follow_functions can also be set for one database and for one user; the user's word goes "
     "before the database's, and that before this one."},
    {"tenants",
     "Customers that share databases. A session of these databases is one tenant's, or refused."},
    {"audit", "Which statements are written down, with who ran them and what came of it."},
}};

template <class Owner>
void append(Keys<Owner>& keys, Keys<Owner> more) {
  for (Key<Owner>& each : more) keys.push_back(std::move(each));
}

/// A pool setting: nothing said here shows as what holds then.
template <class Type>
Key<PoolOverrides> pool_key(std::string_view name, Effect effect,
                            std::optional<typename Type::Held> PoolOverrides::*said,
                            typename Type::Held PoolSettings::*otherwise, Type type,
                            std::string_view documentation) {
  Key<PoolOverrides> result = key("", name, effect, said, Perhaps<Type>{type}, documentation);
  result.show = [said, otherwise, type](const PoolOverrides& pool) {
    return type.show((pool.*said).value_or(PoolSettings{}.*otherwise));
  };
  return result;
}

Keys<PoolOverrides> reserve_keys() {
  using O = PoolOverrides;
  using S = PoolSettings;
  return {
      pool_key("reserve_pool_size", Effect::at_once, &O::reserve_pool_size, &S::reserve_pool_size,
               Count{0, 10'000},
               "So many server connections more than the pool's size are opened while clients wait "
               "for longer than reserve_pool_timeout; they close when nobody waits."),
      pool_key("reserve_pool_timeout", Effect::at_once, &O::reserve_pool_timeout,
               &S::reserve_pool_timeout, Time{},
               "How long a client waits before the reserve is used; 0 for never."),
      pool_key("pool_weight", Effect::at_once, &O::pool_weight, &S::pool_weight, Count{1, 1000},
               "Where pools share a limit, such as max_host_connections, and clients of several "
               "wait: so many server connections for each one of a pool with 1."),
  };
}

Keys<PoolOverrides> session_keys() {
  using O = PoolOverrides;
  using S = PoolSettings;
  return {
      pool_key("on_session_state", Effect::at_once, &O::on_session_state, &S::on_session_state,
               Choice<OnSessionState>{kOnSessionStates},
               "What becomes of a statement that keeps its server connection for its session "
               "beyond the transaction (temporary tables, cursors WITH HOLD, advisory locks of the "
               "session, LISTEN, LOAD, currval). pin: it does. error: it is refused. warn: it "
               "does, and the client gets a warning. Not in session mode."),
      pool_key("shared_listen", Effect::at_once, &O::shared_listen, &S::shared_listen, Flag{},
               "Whether clients that LISTEN do without a server connection of their own: one more "
               "for each database listens for all of them. Not in session mode."),
      pool_key("follow_functions", Effect::new_clients, &O::follow_functions, &S::follow_functions,
               Flag{},
               "Whether what functions, procedures, triggers and views do to the session "
               "(parameters, advisory locks, temporary tables, LISTEN) is followed as what "
               "statements show. Their texts are asked for in the catalog when the first server "
               "connection is opened, after DDL, and now and then. Not in session mode."),
  };
}

Keys<PoolOverrides> replica_keys() {
  using O = PoolOverrides;
  using S = PoolSettings;
  return {
      pool_key("split_reads", Effect::new_clients, &O::split_reads, &S::split_reads, Flag{},
               "Whether statements that certainly only read, and READ ONLY transactions, go to the "
               "replicas among a database's hosts. Not in session mode."),
      pool_key("lazy_begin", Effect::new_clients, &O::lazy_begin, &S::lazy_begin, Flag{},
               "Whether BEGIN is answered at once, and goes to a server only with the statement "
               "that follows it, in the same write. In transaction mode only."),
      pool_key(
          "target", Effect::new_clients, &O::target, &S::target, Choice<ReadTarget>{kReadTargets},
          "With split_reads: where statements go of which the client does not say it. primary: "
          "all to the primary. replica: what reads, to a replica, whatever functions it calls, "
          "and so do transactions that do not say that they are READ WRITE."),
      pool_key(
          "read_consistency", Effect::new_clients, &O::read_consistency, &S::read_consistency,
          Choice<ReadConsistency>{kReadConsistencies},
          "With split_reads. session: a client reads from a replica only when that is known "
          "to have what the client itself has written. none: whatever the replica has. strong: to "
          "have what anybody has written; with read_wait_timeout only, for it is always asked "
          "anew."),
      pool_key("read_wait_timeout", Effect::new_clients, &O::read_wait_timeout,
               &S::read_wait_timeout, Time{},
               "How long a read waits until a replica is known to have what read_consistency wants "
               "of it, before the primary does it; 0, and the primary does it at once."),
      pool_key("max_replica_lag", Effect::new_clients, &O::max_replica_lag, &S::max_replica_lag,
               Time{},
               "With split_reads: a replica that may be further behind is not read from, until it "
               "is at half of that; 0 for no limit."),
      pool_key("max_replica_lag_bytes", Effect::new_clients, &O::max_replica_lag_bytes,
               &S::max_replica_lag_bytes, ByteRate{},
               "The same by what it has not replayed of the primary's log, such as \"64MiB\"."),
      pool_key("min_read_replicas", Effect::new_clients, &O::min_read_replicas,
               &S::min_read_replicas, Count{0, 1000},
               "So many replicas, the least late ones, are read from however far behind they are, "
               "so that not all reads fall upon the primary. What a session must see it sees: "
               "read_consistency is not touched."),
  };
}

/// `size_name` is default_pool_size where it speaks for all pools, as in PgBouncer.
Keys<PoolOverrides> pool_keys(std::string_view size_name) {
  using O = PoolOverrides;
  using S = PoolSettings;
  Keys<PoolOverrides> keys = {
      pool_key("pool_mode", Effect::new_clients, &O::pool_mode, &S::pool_mode,
               Choice<PoolMode>{kPoolModes},
               "When a server connection goes back to the pool: when the client leaves, after each "
               "transaction, or after each statement (transactions of several statements are then "
               "refused)."),
      pool_key(size_name, Effect::at_once, &O::pool_size, &S::pool_size, Count{1, 10'000},
               "The most server connections of one pool."),
      pool_key("min_pool_size", Effect::at_once, &O::min_pool_size, &S::min_pool_size,
               Count{0, 10'000},
               "Server connections that a pool in use keeps open even when they are idle."),
      pool_key("server_round_robin", Effect::at_once, &O::server_round_robin,
               &S::server_round_robin, Flag{},
               "Take the server connection that was idle longest, instead of the one used last. "
               "Spreads the load over servers behind a balancer."),
      pool_key("query_wait_timeout", Effect::at_once, &O::query_wait_timeout,
               &S::query_wait_timeout, Time{},
               "How long a client waits for a server connection before it gets an error."),
      pool_key(
          "query_wait_notify", Effect::at_once, &O::query_wait_notify, &S::query_wait_notify,
          Time{},
          "After so long a NOTICE tells a client, once for each statement, that it waits for a "
          "server connection. 0: it is not told."),
      pool_key("server_idle_timeout", Effect::at_once, &O::server_idle_timeout,
               &S::server_idle_timeout, Time{}, "A server connection idle for longer is closed."),
      pool_key("server_lifetime", Effect::new_servers, &O::server_lifetime, &S::server_lifetime,
               Time{}, "A server connection older than this is closed at the next opportunity."),
      pool_key("statement_timeout", Effect::at_once, &O::statement_timeout, &S::statement_timeout,
               Time{},
               "How long a statement may take on its server; longer, and it is cancelled. Waiting "
               "for a server connection does not count, and the client's own SET does not loosen "
               "it. 0 for no limit, here and in the next three."),
      pool_key("transaction_timeout", Effect::at_once, &O::transaction_timeout,
               &S::transaction_timeout, Time{},
               "How long a transaction may be open; longer, and it is rolled back."),
      pool_key("idle_transaction_timeout", Effect::at_once, &O::idle_transaction_timeout,
               &S::idle_transaction_timeout, Time{},
               "How long a client may do nothing in an open transaction; longer, and the "
               "transaction is rolled back."),
      pool_key("client_idle_timeout", Effect::at_once, &O::client_idle_timeout,
               &S::client_idle_timeout, Time{},
               "How long a client may do nothing outside of a transaction; longer, and its "
               "connection is closed."),
      pool_key("timeout_action", Effect::at_once, &O::timeout_action, &S::timeout_action,
               Choice<TimeoutAction>{kTimeoutActions},
               "What happens to a client whose statement or transaction took too long. cancel: it "
               "gets an error and stays connected. close: its connection ends."),
      pool_key("slow_query_threshold", Effect::at_once, &O::slow_query_threshold,
               &S::slow_query_threshold, Time{},
               "Of statements that take longer, waiting included, samples are kept; 0 for none."),
      pool_key("slow_query_parameters", Effect::at_once, &O::slow_query_parameters,
               &S::slow_query_parameters, Choice<SlowQueryParameters>{kSlowQueryParameters},
               "What samples show of bound parameters, the first 512 bytes: redacted is how long "
               "each is, full its value. Takes 2.5 KiB for each server connection, unless off."),
      pool_key("resend_reads", Effect::at_once, &O::resend_reads, &S::resend_reads, Flag{},
               "Whether a statement that by its text only reads is sent to another server when one "
               "is lost before it began to answer. Off where views, operators or casts write: such "
               "a statement could take effect twice."),
  };
  append(keys, replica_keys());
  append(keys, session_keys());
  return keys;
}

Keys<AddressRules> address_keys() {
  using R = AddressRules;
  return {
      key("", "allow_from", Effect::new_clients, &R::allow_from, Networks{},
          "Networks that clients may come from, such as [\"10.0.0.0/8\", \"::1\"]; empty for all. "
          "In [forebay] for all clients, the console's too; those of a database or a user hold "
          "besides. Unix sockets are not concerned."),
      key("", "deny_from", Effect::new_clients, &R::deny_from, Networks{},
          "Networks that clients may not come from, whatever allow_from says."),
  };
}

Keys<AuthQuery> lookup_keys() {
  using A = AuthQuery;
  return {
      key("", "auth_user", Effect::new_clients, &A::auth_user, PostgresName{"forebay_auth"},
          "Users without a password in [users] are looked up on the server by auth_query, as this "
          "user; \"\" for not at all. Its own password stands in [users]."),
      key("", "auth_query", Effect::new_clients, &A::auth_query,
          Text{"SELECT usename, passwd FROM auth.user_lookup($1)"},
          "Gives name and password, as pg_authid has it, of the user $1; optionally how many "
          "seconds it is still valid. search_path is pg_catalog. \"\" reads pg_authid, which only "
          "superusers may: others call a SECURITY DEFINER function."),
      key("", "auth_dbname", Effect::new_clients, &A::auth_dbname, PostgresName{"postgres"},
          "The database, as [databases] names it, in which auth_query is run; \"\" for the one "
          "that the client asks for. Users of the console are only looked up with one."),
  };
}

Keys<StatementLimits> statement_limit_keys() {
  using L = StatementLimits;
  return {
      key("", "max_statements", Effect::at_once, &L::max_statements, Count{0, 100'000},
          "The most statements that run at a time, or transactions that are open; others wait. 0 "
          "for no limit, here and in the next."),
      key("", "max_statements_per_second", Effect::at_once, &L::max_statements_per_second,
          Count{0, 1'000'000},
          "The most statements that begin within a second, on average; others wait. Those of an "
          "open transaction are not held up: they count against what comes next."),
      key("", "statement_burst", Effect::at_once, &L::statement_burst, Count{0, 1'000'000},
          "With max_statements_per_second: so many may begin at once after a pause; 0 for as many "
          "as in a second."),
      key("", "max_waiting_statements", Effect::at_once, &L::max_waiting_statements,
          Count{0, 1'000'000},
          "So many wait for each of the two limits at most; what comes then is refused."),
      key("", "max_bytes_per_second", Effect::at_once, &L::max_bytes_per_second, ByteRate{},
          "The most that is sent to and received from clients within a second, on average, such as "
          "\"10MiB\". What is more goes on its way later: neither the client nor its server is "
          "read from until then, which counts as the statement's time. 0 for no limit."),
  };
}

Keys<Config> login_limit_keys() {
  constexpr std::string_view kSection = "forebay";
  using C = Config;
  return {
      key(kSection, "max_logins_per_second", Effect::at_once, &C::max_logins_per_second,
          Count{0, 1'000'000},
          "The most clients that begin to log in within a second; others are refused. 0 for no "
          "limit, here and in the next two."),
      key(kSection, "max_address_logins_per_second", Effect::at_once,
          &C::max_address_logins_per_second, Count{0, 1'000'000},
          "The same from one address. Those through Unix sockets do not count."),
      key(kSection, "max_authenticating_clients", Effect::at_once, &C::max_authenticating_clients,
          Count{0, 1'000'000},
          "The most clients at a time that are being asked who they are; others are refused."),
  };
}

Keys<Config> forebay_keys() {
  constexpr std::string_view kSection = "forebay";
  using C = Config;
  return {
      key(kSection, "workers", Effect::restart, &C::workers, Count{0, 127},
          "Threads that serve connections; 0 for one per processor core."),
      key(kSection, "max_client_conn", Effect::at_once, &C::max_client_conn,
          CountOrAuto{{1, 1'000'000}},
          "The most client connections at a time. \"auto\" is what the limit of open files "
          "allows."),
      key(kSection, "max_address_client_connections", Effect::new_clients,
          &C::max_address_client_connections, Count{0, 1'000'000},
          "The most client connections from one address at a time; 0 for no limit. Those through "
          "Unix sockets do not count."),
      key(kSection, "client_login_timeout", Effect::new_clients, &C::client_login_timeout, Time{},
          "How long a client may take to log in."),
      key(kSection, "reload_on_change", Effect::at_once, &C::reload_on_change, Flag{},
          "Whether this file is read again, as upon SIGHUP, when it or what it includes has "
          "changed. "
          "It is looked at each second, and read when it has rested for one."),
      key(kSection, "auth", Effect::new_clients, &C::auth, Choice<AuthMethod>{kAuthMethods},
          "How clients show who they are. trust: not at all. password, md5, scram-sha-256: with "
          "the password of an entry in [users]. cert: with a TLS certificate whose common name is "
          "the user's name. server: the server decides, nothing needs to be listed here."),
      key(kSection, "cleartext_without_tls", Effect::new_clients, &C::cleartext_without_tls, Flag{},
          "Whether a client may send its password in clear text on a connection without TLS."),
      key(kSection, "passwordless_from_anywhere", Effect::new_clients,
          &C::passwordless_from_anywhere, Flag{},
          "With auth = \"server\": whether a client on another machine may use what the server "
          "grants to Forebay's machine without a password."),
      key(kSection, "admin_users", Effect::new_clients, &C::admin_users, Text{"alice, bob"},
          "Users who may do everything in the console (the databases \"forebay\" and "
          "\"pgbouncer\"), separated by commas. With auth = \"server\" superusers may, too."),
      key(kSection, "stats_users", Effect::new_clients, &C::stats_users, Text{"monitoring"},
          "Users who may only SHOW in the console. With auth = \"server\" everybody may."),
      key(kSection, "scram_iterations", Effect::new_clients, &C::scram_iterations,
          Count{4096, 100'000},
          "Iterations of SCRAM for passwords that are listed in clear text. More makes a stolen "
          "verifier harder to crack and each login slower."),
      key(kSection, "auth_query_ttl", Effect::at_once, &C::auth_query_ttl, Time{},
          "How long an answer of auth_query is believed, also that there is no such user; 0 for "
          "asking at each login. After a wrong password it is asked again."),
      key(kSection, "http", Effect::at_once, &C::http, HttpAddress{},
          "Where health checks and metrics are offered over HTTP, such as \"127.0.0.1:9127\"; \"\" "
          "for nowhere."),
      key(kSection, "http_token_file", Effect::at_once, &C::http_token_file,
          Text{"/etc/forebay/http.token"},
          "A file with what HTTP clients have to show for anything but health checks, as "
          "\"Authorization: Bearer TOKEN\"; \"\" for nothing."),
      key(kSection, "statement_metrics", Effect::at_once, &C::statement_metrics, Count{0, 1000},
          "So many statements, those that took most time, are also in /metrics, by their shape (as "
          "/statements says it), database and user; needs statement_statistics. 0 for none."),
      key(kSection, "pgbouncer_metrics", Effect::at_once, &C::pgbouncer_metrics, Flag{},
          "Whether /metrics also has the names of pgbouncer_exporter (pgbouncer_pools_..., "
          "pgbouncer_stats_...), for dashboards made for it."),
      key(kSection, "statement_statistics", Effect::restart, &C::statement_statistics,
          Count{0, 100'000},
          "Statements that each worker counts one by one, by their text without literals; the "
          "others are summed up. 0 for none; slow statements then are shown with their text only "
          "where they came first in a transaction, unless slow_query_text says full."),
  };
}

struct TlsDocumentation {
  std::string_view mode;
  std::string_view certificate_file;
  std::string_view ca_file;
};

constexpr TlsDocumentation kTowardsClients = {
    "disable: never. allow, prefer: if the client asks and there is a certificate. require: only "
    "with TLS. verify-ca: the client must also show a certificate signed by ca_file. verify-full: "
    "and its common name must be the user's name.",
    "Our certificate and those of its intermediate authorities, PEM, ours first.",
    "Certificates of the authorities that sign clients' certificates, PEM."};

constexpr TlsDocumentation kTowardsServers = {
    "As libpq's sslmode. disable: never. allow: only if the server insists. prefer: if the server "
    "can. require: only with TLS. verify-ca: the server's certificate must also be signed by "
    "ca_file. verify-full: and be made out to the server's name.",
    "Our certificate for servers that ask for one, PEM; \"\" for none.",
    "Certificates of the authorities that sign servers' certificates, PEM; \"\" for those that the "
    "operating system trusts."};

Keys<TlsSettings> tls_keys(Effect effect, const TlsDocumentation& documentation) {
  using T = TlsSettings;
  return {
      key("", "mode", effect, &T::mode, Choice<TlsMode>{kTlsModes}, documentation.mode),
      key("", "certificate_file", effect, &T::certificate_file, Text{"/etc/forebay/forebay.crt"},
          documentation.certificate_file),
      key("", "key_file", effect, &T::key_file, Text{"/etc/forebay/forebay.key"},
          "The private key of that certificate, PEM."),
      key("", "ca_file", effect, &T::ca_file, Text{"/etc/ssl/certs/ca-certificates.crt"},
          documentation.ca_file),
      key("", "minimum_version", effect, &T::minimum_version, Word{kTlsVersions},
          "The oldest version of TLS that is used."),
      key("", "ciphers", effect, &T::ciphers, Text{"HIGH:!aNULL"},
          "Ciphers for TLS 1.2 as OpenSSL's cipher list; \"\" for OpenSSL's default."),
      key("", "cipher_suites", effect, &T::cipher_suites, Text{"TLS_AES_256_GCM_SHA384"},
          "Cipher suites for TLS 1.3, separated by colons; \"\" for OpenSSL's default."),
  };
}

Keys<Config> server_keys() {
  constexpr std::string_view kSection = "pool";
  using C = Config;
  return {
      key(kSection, "server_connect_timeout", Effect::new_servers, &C::server_connect_timeout,
          Time{}, "How long connecting and logging in to a server may take."),
      key(kSection, "server_unavailable_timeout", Effect::at_once, &C::server_unavailable_timeout,
          Time{},
          "How long clients wait for a database of which no server answers before they are told."),
      key(kSection, "server_check_delay", Effect::at_once, &C::server_check_delay, Time{},
          "A server connection that was idle for longer is checked before it is used."),
      key(kSection, "dns_max_ttl", Effect::at_once, &C::dns_max_ttl, Time{},
          "How long the addresses of a host's name are used before the name is looked up again. "
          "The last good ones serve as long as nobody answers."),
      key(kSection, "dns_nxdomain_ttl", Effect::at_once, &C::dns_nxdomain_ttl, Time{},
          "How long a name that could not be looked up is taken to have no address; 0 for not at "
          "all."),
      key(kSection, "max_connecting", Effect::at_once, &C::max_connecting, Count{1, 1000},
          "Logins to a server in progress at a time, for each pool."),
      key(kSection, "max_host_connections", Effect::at_once, &C::max_host_connections,
          Count{0, 100'000},
          "The most server connections to each host (address and port, as hosts says them) of all "
          "pools; 0 for no limit. Set it below the server's max_connections. The monitor's, "
          "replication connections and cancel requests do not count."),
      key(kSection, "max_prepared_statements", Effect::at_once, &C::max_prepared_statements,
          Count{1, 100'000},
          "Prepared statements that are kept on a server connection in transaction and statement "
          "mode. They cannot be switched off: clients would find each other's."),
      key(kSection, "application_name_add_host", Effect::new_clients, &C::application_name_add_host,
          Flag{},
          "Whether the application_name that a client begins with gets the client's address and "
          "port appended, as servers' logs and pg_stat_activity show it. What the client sets "
          "later stays as it is."),
      key(kSection, "server_recovery_timeout", Effect::at_once, &C::server_recovery_timeout, Time{},
          "How long a server connection may take to become usable again after its client "
          "vanished; longer, and it is closed."),
  };
}

Keys<TenantSettings> tenant_limit_keys() {
  using T = TenantSettings;
  Keys<TenantSettings> keys = within("", &T::statements, statement_limit_keys());
  keys.push_back(key("", "max_tenant_client_connections", Effect::new_clients,
                     &T::max_tenant_client_connections, Count{0, 1'000'000},
                     "The most clients of each tenant; others are refused. 0 for no limit."));
  keys.push_back(key("", "max_tenant_connections", Effect::at_once, &T::max_tenant_connections,
                     Count{0, 100'000},
                     "The most server connections that the clients of each tenant have at a time, "
                     "at work, in open transactions or kept beyond these; others wait for their "
                     "own, max_waiting_statements of them at most. 0 for no limit."));
  keys.push_back(key("", "statement_timeout", Effect::at_once, &T::statement_timeout, Time{},
                     "Statements of tenants that take longer are ended, as by the key of this name "
                     "in [pool], also where that or a rule allows more; 0 for no limit."));
  keys.push_back(key("", "limits", Effect::at_once, &T::limits, TenantLimitsByName{},
                     "Limits of this section that are others for some tenants, in sections such as "
                     "[tenants.limits.acme]. Those of clients hold for new ones."));
  keys.push_back(
      key("", "weights", Effect::at_once, &T::weights, CountByName{{1, 1000}},
          "Tenants take turns where several wait for a server connection of one pool. Those listed "
          "here, such as {acme = 2}, have so many turns in a row; also as a section "
          "[tenants.weights]."));
  return keys;
}

/// Three keys for one member. An empty one says nothing, so it must not undo what another said.
struct PasswordNames {
  std::string_view here = "password";
  std::string_view variable = "password_env";
  std::string_view file = "password_file";
};

template <class Owner, class Type>
void append_password_keys(Keys<Owner>& keys, Effect effect, typename Type::Held Owner::*member,
                          std::string_view documentation, std::string_view variable,
                          std::string_view file, const PasswordNames& names = {}) {
  const auto add = [&keys, &names, effect, member](std::string_view name, Type type,
                                                   std::string_view about) {
    Key<Owner> added = key("", name, effect, member, type, about);
    added.secret = true;
    // One member, which changes once.
    if (name != names.here) added.same = [](const Owner&, const Owner&) { return true; };
    added.read = [member, type](const Value& value, Reading& reading, Owner& owner) {
      auto held = type.read(value, reading);
      if (held && !held->empty()) owner.*member = std::move(*held);
    };
    keys.push_back(std::move(added));
  };
  add(names.here, Type{SecretSource::here}, documentation);
  add(names.variable, Type{SecretSource::variable}, variable);
  add(names.file, Type{SecretSource::file}, file);
}

Keys<TenantSettings> all_tenant_keys() {
  Keys<TenantSettings> keys = tenant_keys();
  append_password_keys<TenantSettings, OneSecret>(
      keys, Effect::at_once, &TenantSettings::claim_key,
      "With it, the setting does not have the tenant's value but a claim, signed by this key, that "
      "the function tenant() checks, which \"forebay tenant-sql\" prints. At least 16 bytes.",
      "The same, in an environment variable that is named here.",
      "The same, in a file that is named here and that not everybody may read.",
      {"claim_key", "claim_key_env", "claim_key_file"});
  return keys;
}

Keys<Database> make_database_keys() {
  using D = Database;
  Keys<Database> keys = {
      key("", "hosts", Effect::gone_hosts, &D::hosts, ServerAddresses{},
          "The servers of one cluster, in order of preference: host:port, or the directory of a "
          "Unix socket such as \"/var/run/postgresql:5433\". The port is 5432 unless given."),
      key("", "auth", Effect::new_clients, &D::auth, Perhaps<Choice<AuthMethod>>{{kAuthMethods}},
          "How clients of this database show who they are, if not as [forebay] says."),
      key("", "dbname", Effect::replaces_servers, &D::dbname, PostgresName{"app"},
          "The database's name on the server; \"\" for the name that the client gave."),
      key("", "user", Effect::ends_clients, &D::user, PostgresName{"app"},
          "Log in to the server as this user; \"\" for the client's user."),
  };
  keys[0].example = "[\"127.0.0.1:5432\"]";
  keys[1].example = "\"server\"";
  append_password_keys<Database, OneSecret>(
      keys, Effect::new_servers, &D::password,
      "The password of that user. Only one of the three keys can be used. Anybody who may read "
      "this file can read it; better is one of the next two.",
      "The same, in an environment variable that is named here, such as \"APP_PASSWORD\".",
      "The same, in a file that is named here and that not everybody may read, such as "
      "\"/etc/forebay/app.password\".");
  append(keys, within("", &D::pool, pool_keys("pool_size")));
  append(keys, within("", &D::pool, reserve_keys()));
  keys.push_back(key("", "max_db_connections", Effect::at_once, &D::max_db_connections,
                     Count{0, 100'000},
                     "The most server connections of all pools of this database; 0 for no limit."));
  keys.push_back(key("", "max_db_client_connections", Effect::new_clients,
                     &D::max_db_client_connections, Count{0, 1'000'000},
                     "The most clients of this database at a time; 0 for no limit. With \"*\", of "
                     "each database that it serves."));
  keys.push_back(key("", "max_pool_client_connections", Effect::new_clients,
                     &D::max_pool_client_connections, Count{0, 1'000'000},
                     "The most clients of each user in this database at a time; 0 for no limit."));
  append(keys, within("", &D::addresses, address_keys()));
  append(keys, within("", &D::lookup, lookup_keys()));
  append(keys, within("", &D::statements, statement_limit_keys()));
  append(keys, read_share_keys());
  append(keys, within("", &D::patroni, patroni_keys()));
  keys.push_back(key("", "monitor_user", Effect::restart, &D::monitor_user, PostgresName{"forebay"},
                     "With several hosts: who asks them for their roles (a member of pg_monitor "
                     "sees most); \"\" for the user of the pool."));
  append_password_keys<Database, OneSecret>(
      keys, Effect::restart, &D::monitor_password, "The password of that user.",
      "The same, in an environment variable that is named here.",
      "The same, in a file that is named here and that not everybody may read.",
      {"monitor_password", "monitor_password_env", "monitor_password_file"});
  return keys;
}

Keys<User> make_user_keys() {
  using U = User;
  Keys<User> keys;
  append_password_keys<User, SeveralSecrets>(
      keys, Effect::new_clients, &U::passwords,
      "The password in clear text, or as PostgreSQL keeps it (SCRAM-SHA-256$... or md5...). An "
      "array of several while passwords are being changed: clients may use each of them, and "
      "towards servers the first is used. Only one of the three keys can be used.",
      "The same, in environment variables that are named here.",
      "The same, in files that are named here and that not everybody may read.");
  append(keys, within("", &U::pool, pool_keys("pool_size")));
  append(keys, within("", &U::pool, reserve_keys()));
  keys.push_back(key("", "max_user_connections", Effect::at_once, &U::max_user_connections,
                     Count{0, 100'000},
                     "The most server connections of all pools of this user; 0 for no limit."));
  keys.push_back(
      key("", "max_user_client_connections", Effect::new_clients, &U::max_user_client_connections,
          Count{0, 1'000'000},
          "The most clients that are logged in as this user at a time; 0 for no limit."));
  append(keys, within("", &U::addresses, address_keys()));
  append(keys, within("", &U::statements, statement_limit_keys()));
  return keys;
}

}  // namespace

std::span<const Section> general_sections() {
  return kSections;
}

const Keys<Config>& general_keys() {
  static const Keys<Config> keys = [] {
    Keys<Config> all = listen_keys();
    append(all, forebay_keys());
    append(all, process_keys());
    append(all, login_limit_keys());
    append(all, within("forebay", &Config::addresses, address_keys()));
    append(all, within("forebay", &Config::lookup, lookup_keys()));
    append(all, log_keys());
    append(all, within("tls.client", &Config::client_tls,
                       tls_keys(Effect::new_clients, kTowardsClients)));
    append(all, within("tls.server", &Config::server_tls,
                       tls_keys(Effect::replaces_servers, kTowardsServers)));
    append(all, within("pool", &Config::pool, pool_keys("default_pool_size")));
    append(all, within("pool", &Config::pool, reserve_keys()));
    append(all, server_keys());
    append(all, cluster_keys());
    append(all, within("tenants", &Config::tenants, all_tenant_keys()));
    append(all, within("tenants", &Config::tenants, tenant_limit_keys()));
    append(all, within("audit", &Config::audit, audit_keys()));
    return all;
  }();
  return keys;
}

const Keys<Database>& database_keys() {
  static const Keys<Database> keys = make_database_keys();
  return keys;
}

const Keys<TlsSettings>& database_tls_keys() {
  static const Keys<TlsSettings> keys = tls_keys(Effect::replaces_servers, kTowardsServers);
  return keys;
}

const Keys<User>& user_keys() {
  static const Keys<User> keys = make_user_keys();
  return keys;
}

}  // namespace forebay::config
