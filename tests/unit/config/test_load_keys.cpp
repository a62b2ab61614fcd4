#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <array>

#include "config/keys.hpp"
#include "fake_environment.hpp"

namespace forebay::config {
namespace {

using testing::HasSubstr;

/// A value for each general key that is not its default, as the key itself shows it.
const std::map<std::string, std::string> kOtherValues = {
    {"forebay.listen", R"(["127.0.0.1:6432", "*:7000", "[::1]:7001", "/run/x/.s.PGSQL.7002"])"},
    {"forebay.listen_allow_from", R"({"127.0.0.1:6432" = ["127.0.0.2"]})"},
    {"forebay.listen_deny_from", R"({"127.0.0.1:6432" = ["127.0.0.3"]})"},
    {"forebay.listen_target", R"({"127.0.0.1:6432" = "replica"})"},
    {"forebay.proxy_protocol_from", R"(["10.1.0.0/16"])"},
    {"forebay.unix_socket_mode", R"("0750")"},
    {"forebay.workers", "3"},
    {"forebay.peers", R"(["10.0.0.1:6432", "10.0.0.2:7003"])"},
    {"forebay.peer_id", "2"},
    {"forebay.max_client_conn", "1234"},
    {"forebay.max_address_client_connections", "15"},
    {"forebay.max_logins_per_second", "31"},
    {"forebay.max_address_logins_per_second", "32"},
    {"forebay.max_authenticating_clients", "33"},
    {"forebay.auth_user", R"("asker")"},
    {"forebay.auth_query", R"("SELECT $1")"},
    {"forebay.auth_dbname", R"("any")"},
    {"forebay.auth_query_ttl", R"("34s")"},
    {"forebay.allow_from", R"(["10.0.0.0/8"])"},
    {"forebay.deny_from", R"(["::1"])"},
    {"forebay.client_login_timeout", R"("11s")"},
    {"forebay.reload_on_change", "true"},
    {"forebay.shutdown_timeout", "0"},
    {"forebay.suspend_timeout", R"("12s")"},
    {"forebay.takeover_socket", R"("/run/t.sock")"},
    {"pool.dns_max_ttl", R"("13s")"},
    {"pool.dns_nxdomain_ttl", R"("14s")"},
    {"forebay.auth", R"("md5")"},
    {"forebay.cleartext_without_tls", "true"},
    {"forebay.passwordless_from_anywhere", "true"},
    {"forebay.scram_iterations", "20000"},
    {"forebay.http", R"("127.0.0.1:9127")"},
    {"forebay.admin_users", R"("ada, bob")"},
    {"forebay.stats_users", R"("carl")"},
    {"forebay.http_token_file", R"("/t0ken")"},
    {"forebay.pgbouncer_metrics", "true"},
    {"forebay.statement_metrics", "9"},
    {"forebay.statement_statistics", "77"},
    {"log.level", R"("debug")"},
    {"log.format", R"("json")"},
    {"log.file", R"("/var/log/x")"},
    {"log.connections", "false"},
    {"log.event_rate", "7"},
    {"log.slow_query_log", R"("/tmp/slow")"},
    {"log.slow_query_text", R"("full")"},
    {"log.slow_query_explains_per_minute", "18"},
    {"tls.client.mode", R"("allow")"},
    {"tls.client.certificate_file", R"("/c.crt")"},
    {"tls.client.key_file", R"("/c.key")"},
    {"tls.client.ca_file", R"("/c.ca")"},
    {"tls.client.minimum_version", R"("TLSv1.3")"},
    {"tls.client.ciphers", R"("HIGH")"},
    {"tls.client.cipher_suites", R"("TLS_AES_128_GCM_SHA256")"},
    {"tls.server.mode", R"("verify-full")"},
    {"tls.server.certificate_file", R"("/s.crt")"},
    {"tls.server.key_file", R"("/s.key")"},
    {"tls.server.ca_file", R"("/s.ca")"},
    {"tls.server.minimum_version", R"("TLSv1.3")"},
    {"tls.server.ciphers", R"("MEDIUM")"},
    {"tls.server.cipher_suites", R"("TLS_AES_256_GCM_SHA384")"},
    {"pool.pool_mode", R"("session")"},
    {"pool.default_pool_size", "21"},
    {"pool.min_pool_size", "2"},
    {"pool.reserve_pool_size", "23"},
    {"pool.reserve_pool_timeout", R"("24s")"},
    {"pool.pool_weight", "26"},
    {"pool.server_round_robin", "true"},
    {"pool.query_wait_timeout", R"("500ms")"},
    {"pool.query_wait_notify", R"("7s")"},
    {"pool.server_idle_timeout", R"("7d")"},
    {"pool.server_lifetime", R"("2h")"},
    {"pool.statement_timeout", R"("3s")"},
    {"pool.transaction_timeout", R"("4s")"},
    {"pool.idle_transaction_timeout", R"("5s")"},
    {"pool.client_idle_timeout", R"("6s")"},
    {"pool.timeout_action", R"("close")"},
    {"pool.slow_query_threshold", R"("18ms")"},
    {"pool.slow_query_parameters", R"("full")"},
    {"pool.split_reads", "true"},
    {"pool.lazy_begin", "true"},
    {"pool.target", R"("primary")"},
    {"pool.read_consistency", R"("none")"},
    {"pool.read_wait_timeout", R"("21ms")"},
    {"pool.max_replica_lag", R"("19s")"},
    {"pool.max_replica_lag_bytes", R"("191MiB")"},
    {"pool.min_read_replicas", "192"},
    {"pool.resend_reads", "false"},
    {"pool.on_session_state", R"("warn")"},
    {"pool.shared_listen", "true"},
    {"pool.follow_functions", "false"},
    {"audit.file", R"("/var/log/audit.log")"},
    {"audit.ddl", "false"},
    {"audit.roles", "false"},
    {"audit.refusals", "false"},
    {"audit.rules", "false"},
    {"audit.tables", R"(["payments"])"},
    {"pool.server_connect_timeout", R"("5min")"},
    {"pool.server_unavailable_timeout", R"("12s")"},
    {"pool.server_check_delay", R"("13s")"},
    {"pool.max_connecting", "9"},
    {"pool.max_host_connections", "25"},
    {"pool.max_prepared_statements", "1"},
    {"pool.application_name_add_host", "true"},
    {"pool.server_recovery_timeout", R"("14s")"},
    {"pool.monitor_interval", R"("15ms")"},
    {"pool.primary_lease", R"("16s")"},
    {"pool.failover_hold", R"("17s")"},
    {"pool.failover_hold_statements", "171"},
    {"pool.failover_hold_bytes", R"("172KiB")"},
    {"pool.slow_start", R"("18s")"},
    {"pool.zone", R"("a")"},
    {"tenants.max_tenant_client_connections", "40"},
    {"tenants.max_tenant_connections", "48"},
    {"tenants.statement_timeout", R"("46s")"},
    {"tenants.max_statements", "41"},
    {"tenants.max_statements_per_second", "42"},
    {"tenants.statement_burst", "43"},
    {"tenants.learn", R"(["acme"])"},
    {"tenants.learn_file", R"("/tmp/learned")"},
    {"tenants.max_waiting_statements", "44"},
    {"tenants.max_bytes_per_second", R"("47KiB")"},
    {"tenants.limits", R"({"acme" = {max_statements = 45}})"},
    {"tenants.weights", R"({"acme" = 2})"},
    {"tenants.databases", R"(["app"])"},
    {"tenants.users", R"({"a" = "b"})"},
    {"tenants.comment_users", R"(["app"])"},
    {"tenants.setting_users", R"(["app"])"},
    {"tenants.places", R"({"acme" = "any"})"},
    {"tenants.certificate_pattern", R"("{tenant}.clients")"},
    {"tenants.certificate_field", R"("alternative_name")"},
    {"tenants.user_pattern", R"("{tenant}_rw")"},
    {"tenants.database_pattern", R"("shop_{tenant}")"},
    {"tenants.server_name_pattern", R"("{tenant}.db")"},
    {"tenants.startup_parameter", R"("forebay.tenant")"},
    {"tenants.column", R"("customer")"},
    {"tenants.column_type", R"("uuid")"},
    {"tenants.setting", R"("app.customer")"},
    {"tenants.firewall", R"("report")"},
    {"tenants.tables", R"(["orders", "app.items"])"},
    {"tenants.report_tables", R"(["items"])"},
    {"tenants.tables_with_column", "true"},
    {"tenants.shared_tables", R"(["countries"])"},
};

/// Those of the general pool keys, where the model has them.
PoolOverrides other_pool() {
  PoolOverrides pool = {PoolMode::session,
                        21,
                        2,
                        true,
                        milliseconds(500),
                        std::chrono::hours(7 * 24),
                        std::chrono::hours(2),
                        seconds(3),
                        seconds(4),
                        seconds(5),
                        seconds(6),
                        TimeoutAction::close,
                        milliseconds(18),
                        true,
                        true,
                        ReadTarget::primary,
                        ReadConsistency::none,
                        milliseconds(21),
                        seconds(19),
                        ByteSize(191 * 1024 * 1024),
                        192,
                        false};
  pool.reserve_pool_size = 23;
  pool.reserve_pool_timeout = seconds(24);
  pool.on_session_state = OnSessionState::warn;
  pool.shared_listen = true;
  pool.follow_functions = false;
  pool.pool_weight = 26;
  pool.query_wait_notify = seconds(7);
  pool.slow_query_parameters = SlowQueryParameters::full;
  return pool;
}

AddressRules some_addresses() {
  return {{Network::parse("10.0.0.0/8").value()}, {Network::parse("::1").value()}};
}

StatementLimits some_limits() {
  return {41, 42, 43, 44, ByteSize(47 * 1024)};
}

TenantSettings other_tenants() {
  return {.databases = {"app"},
          .users = {{"a", "b"}},
          .certificate_field = CertificateField::alternative_name,
          .certificate_pattern = "{tenant}.clients",
          .user_pattern = "{tenant}_rw",
          .database_pattern = "shop_{tenant}",
          .server_name_pattern = "{tenant}.db",
          .startup_parameter = "forebay.tenant",
          .comment_users = {"app"},
          .setting_users = {"app"},
          .places = {{"acme", "any"}},
          .column = "customer",
          .column_type = TenantType::uuid,
          .setting = "app.customer",
          .weights = {{"acme", 2}},
          .statements = some_limits(),
          .statement_timeout = seconds(46),
          .max_tenant_client_connections = 40,
          .max_tenant_connections = 48,
          .limits = {{"acme", {.max_statements = 45}}},
          .firewall = FirewallMode::report,
          .tables = {"orders", "app.items"},
          .tables_with_column = true,
          .report_tables = {"items"},
          .shared_tables = {"countries"},
          .learn = {"acme"},
          .learn_file = "/tmp/learned"};
}

void set_limits(Config& config) {
  config.unix_socket_mode = 0750;
  config.max_address_client_connections = 15;
  config.max_logins_per_second = 31;
  config.max_address_logins_per_second = 32;
  config.max_authenticating_clients = 33;
  config.max_host_connections = 25;
  config.addresses = some_addresses();
  config.listen_allow_from["127.0.0.1:6432"] = {Network::parse("127.0.0.2").value()};
  config.listen_target["127.0.0.1:6432"] = ReadTarget::replica;
  config.listen_deny_from["127.0.0.1:6432"] = {Network::parse("127.0.0.3").value()};
  config.proxy_protocol_from = {Network::parse("10.1.0.0/16").value()};
  config.lookup = {"asker", "SELECT $1", "any"};
  config.auth_query_ttl = seconds(34);
}

FakeEnvironment with_certificates() {
  FakeEnvironment environment;
  for (const char* path : {"/c.crt", "/c.key", "/c.ca", "/s.crt", "/s.key", "/s.ca", "/ca"}) {
    environment.files[path] = "";
  }
  return environment;
}

std::string full_name(const Key<Config>& key) {
  return std::string(key.section) + "." + std::string(key.name);
}

TEST(LoadConfig, has_a_test_value_for_every_general_key) {
  std::set<std::string> named;
  for (const auto& [name, value] : kOtherValues) named.insert(name);
  std::set<std::string> keys;
  for (const Key<Config>& key : general_keys()) {
    if (!key.secret) {
      EXPECT_TRUE(keys.insert(full_name(key)).second);
    }
  }
  EXPECT_EQ(keys, named);
}

/// The key that a key cannot be without, nor it without that; "" for most.
std::string_view inseparable_from(std::string_view key) {
  constexpr std::array<std::array<std::string_view, 2>, 3> kPairs = {
      {{"certificate_file", "key_file"}, {"peers", "peer_id"}, {"learn", "learn_file"}}};
  for (const auto& [one, other] : kPairs) {
    if (key == one) return other;
    if (key == other) return one;
  }
  return "";
}

TEST(LoadConfig, sets_every_general_key_and_no_other) {
  for (const Key<Config>& key : general_keys()) {
    if (key.secret) continue;
    const std::string& value = kOtherValues.at(full_name(key));
    std::string text = "[" + std::string(key.section) + "]\n" + std::string(key.name) + " = " +
                       value + "\n" + kAnyDatabase;
    const std::string_view other = inseparable_from(key.name);
    const bool pair = !other.empty();
    if (pair) {
      text.insert(text.find('\n') + 1,
                  std::string(other) + " = " +
                      kOtherValues.at(std::string(key.section) + "." + std::string(other)) + "\n");
    }
    const auto loaded = load_text(text, with_certificates());
    ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
    for (const Key<Config>& each : general_keys()) {
      if (&each == &key) {
        EXPECT_EQ(each.show(*loaded.config), value) << full_name(key);
        EXPECT_NE(each.show(Config{}), value) << full_name(key);
      } else if (!(pair && each.section == key.section)) {
        EXPECT_EQ(each.show(*loaded.config), each.show(Config{}))
            << full_name(key) << " set " << full_name(each);
      }
    }
  }
}

void set_times_of_the_process(Config& expected) {
  expected.shutdown_timeout = milliseconds(0);
  expected.suspend_timeout = seconds(12);
  expected.takeover_socket = "/run/t.sock";
  expected.dns_max_ttl = seconds(13);
  expected.dns_nxdomain_ttl = seconds(14);
}

TEST(LoadConfig, puts_every_general_key_where_the_model_has_it) {
  std::string text;
  std::string section;
  for (const Key<Config>& key : general_keys()) {
    if (key.secret) continue;
    if (section != key.section) text += "[" + (section = std::string(key.section)) + "]\n";
    text += std::string(key.name) + " = " + kOtherValues.at(full_name(key)) + "\n";
  }
  const std::string modes = "pool_mode = \"transaction\"\n";  // for the firewall
  const auto loaded = load_text(text + kAnyDatabase + modes, with_certificates());
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));

  Config expected;
  expected.listen = {
      {"127.0.0.1", 6432}, {"*", 7000}, {"::1", 7001}, {"/run/x/.s.PGSQL.7002", 7002}};
  expected.workers = 3;
  expected.peers = {{"10.0.0.1", 6432}, {"10.0.0.2", 7003}};
  expected.peer_id = 2;
  expected.max_client_conn = 1234;
  set_limits(expected);
  expected.client_login_timeout = seconds(11);
  expected.reload_on_change = true;
  set_times_of_the_process(expected);
  expected.auth = AuthMethod::md5;
  expected.cleartext_without_tls = true;
  expected.passwordless_from_anywhere = true;
  expected.scram_iterations = 20000;
  expected.client_tls = {TlsMode::allow,          "/c.crt", "/c.key", "/c.ca", "TLSv1.3", "HIGH",
                         "TLS_AES_128_GCM_SHA256"};
  expected.server_tls = {TlsMode::verify_full,    "/s.crt", "/s.key", "/s.ca", "TLSv1.3", "MEDIUM",
                         "TLS_AES_256_GCM_SHA384"};
  expected.server_connect_timeout = std::chrono::minutes(5);
  expected.server_unavailable_timeout = seconds(12);
  expected.server_check_delay = seconds(13);
  expected.max_connecting = 9;
  expected.max_prepared_statements = 1;
  expected.server_recovery_timeout = seconds(14);
  expected.monitor_interval = std::chrono::milliseconds(15);
  expected.primary_lease = seconds(16);
  expected.failover_hold = seconds(17);
  expected.failover_hold_statements = 171;
  expected.failover_hold_bytes = ByteSize(172 * 1024);
  expected.slow_start = seconds(18);
  expected.zone = "a";
  expected.audit = {"/var/log/audit.log", false, false, false, false, {"payments"}};
  expected.log_level = LogLevel::debug;
  expected.log_format = LogFormat::json;
  expected.log_file = "/var/log/x";
  expected.log_connections = false;
  expected.log_event_rate = 7;
  expected.http = Endpoint{"127.0.0.1", 9127};
  expected.admin_users = "ada, bob";
  expected.stats_users = "carl";
  expected.http_token_file = "/t0ken";
  expected.pgbouncer_metrics = true;
  expected.statement_metrics = 9;
  expected.statement_statistics = 77;
  expected.slow_query_log = "/tmp/slow";
  expected.slow_query_text = SlowQueryText::full;
  expected.slow_query_explains_per_minute = 18;
  expected.pool = other_pool();
  expected.tenants = other_tenants();
  expected.databases["any"] = {.hosts = {{"db1", 5432}}, .auth = AuthMethod::server};
  expected.databases["any"].pool.pool_mode = PoolMode::transaction;
  expected.application_name_add_host = true;
  EXPECT_EQ(*loaded.config, expected);
}

const std::string kTimeouts =
    "statement_timeout = \"4s\"\ntransaction_timeout = \"5s\"\nidle_transaction_timeout = \"6s\"\n"
    "client_idle_timeout = \"7s\"\ntimeout_action = \"close\"\n";
const std::string kReplicas =
    "split_reads = true\nlazy_begin = true\ntarget = \"primary\"\nread_consistency = "
    "\"none\"\nread_wait_timeout = "
    "\"22ms\"\n"
    "max_replica_lag = \"9s\"\nmax_replica_lag_bytes = \"9MiB\"\nmin_read_replicas = 1\n"
    "resend_reads = false\non_session_state = \"error\"\n"
    "shared_listen = true\nfollow_functions = false\n";
const std::string kStatementLimits =
    "max_statements = 41\nmax_statements_per_second = 42\nstatement_burst = 43\n"
    "max_waiting_statements = 44\nmax_bytes_per_second = \"47KiB\"\n";
const std::string kPatroni =
    "etcd = [\"https://[::1]\"]\n"
    "etcd_ca_file = \"/ca\"\netcd_namespace = \"/db\"\netcd_scope = \"main\"\n";
/// In the place of etcd.
const std::string kPatroniRest =
    "[databases.app]\nhosts = [\"db1\", \"db2\"]\npatroni = [\"https://db1\"]\n"
    "patroni_ca_file = \"/ca\"\n";
const std::string kReservePool =
    "reserve_pool_size = 3\nreserve_pool_timeout = \"10s\"\npool_weight = 27\n"
    "query_wait_notify = \"11s\"\nslow_query_parameters = \"redacted\"\n";

TEST(LoadConfig, sets_the_keys_of_patronis_rest_api) {
  const auto loaded = load_text(kPatroniRest, with_certificates());
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  const PatroniSettings& patroni = loaded.config->databases.at("app").patroni;
  EXPECT_EQ(patroni.rest, (std::vector<HttpUrl>{{true, {"db1", 8008}}}));
  EXPECT_EQ(patroni.rest_ca_file, "/ca");
}

void set_names(Database& expected) {
  expected.dbname = "a";
  expected.user = "u";
  expected.password = Secret("hunter2");
  expected.auth = AuthMethod::md5;
}

// The list of the test is complete: each key is in the text, or is one of the passwords.
void has_each_key(const std::string& text) {
  for (const Key<Database>& key : database_keys()) {
    if (key.name.find("password") == std::string_view::npos) {
      EXPECT_THAT(text, HasSubstr("\n" + std::string(key.name) + " = "));
    }
  }
}

TEST(LoadConfig, sets_every_key_of_a_database) {
  FakeEnvironment environment = with_certificates();
  environment.files["/p"] = "hunter2\n";
  environment.variables["P"] = "hunter2";
  const std::string common =
      "[databases.app]\nhosts = [\"db1\", \"db2:5433\"]\nweights = [3, 0]\n"
      "zones = [\"a\", \"b\"]\nauth = \"md5\"\ndbname = \"a\"\nuser = \"u\"\n"
      "pool_mode = \"statement\"\npool_size = 5\nmin_pool_size = 4\nserver_lifetime = \"3s\"\n"
      "server_round_robin = true\nquery_wait_timeout = \"1s\"\nserver_idle_timeout = \"2s\"\n" +
      kTimeouts + kReplicas + kReservePool + kStatementLimits + kPatroni +
      "max_db_connections = 6\nmax_db_client_connections = 9\nmax_pool_client_connections = 8\n"
      "allow_from = [\"10.0.0.0/8\"]\ndeny_from = [\"::1\"]\nauth_user = \"asker\"\n"
      "auth_query = \"SELECT $1\"\nauth_dbname = \"app\"\nmonitor_user = \"m\"\n"
      "monitor_password = \"seen\"\nslow_query_threshold = \"8s\"\n";
  Database expected;
  expected.hosts = {{"db1", 5432}, {"db2", 5433}};
  expected.weights = {3, 0};
  expected.zones = {"a", "b"};
  set_names(expected);
  expected.pool = {PoolMode::statement,
                   5,
                   4,
                   true,
                   seconds(1),
                   seconds(2),
                   seconds(3),
                   seconds(4),
                   seconds(5),
                   seconds(6),
                   seconds(7),
                   TimeoutAction::close,
                   seconds(8),
                   true,
                   true,
                   ReadTarget::primary,
                   ReadConsistency::none,
                   milliseconds(22),
                   seconds(9),
                   ByteSize(9 * 1024 * 1024),
                   1,
                   false,
                   3,
                   seconds(10),
                   OnSessionState::error,
                   true,
                   27,
                   seconds(11),
                   SlowQueryParameters::redacted,
                   false};
  expected.max_db_connections = 6;
  expected.max_db_client_connections = 9;
  expected.max_pool_client_connections = 8;
  expected.addresses = some_addresses();
  expected.lookup = {"asker", "SELECT $1", "app"};
  expected.statements = some_limits();
  expected.monitor_user = "m";
  expected.monitor_password = Secret("seen");
  expected.patroni = {{}, "", {{true, {"::1", 2379}}}, "/ca", "/db", "main"};
  for (const char* password :
       {"password = \"hunter2\"", "password_env = \"P\"", "password_file = \"/p\""}) {
    const auto loaded = load_text(common + password, environment);
    ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
    EXPECT_EQ(loaded.config->databases.at("app"), expected) << password;
  }
  has_each_key(common + kPatroniRest);
}

TEST(LoadConfig, sets_every_key_of_a_user) {
  const std::string text =
      "[users.alice]\npassword = [\"new\", \"old\"]\npool_mode = \"session\"\npool_size = 5\n"
      "min_pool_size = 4\nserver_round_robin = true\nquery_wait_timeout = \"1s\"\n"
      "server_idle_timeout = \"2s\"\nserver_lifetime = \"3s\"\nslow_query_threshold = \"8s\"\n" +
      kTimeouts + kReplicas + kReservePool + kStatementLimits +
      "max_user_connections = 6\nmax_user_client_connections = 9\n"
      "allow_from = [\"10.0.0.0/8\"]\ndeny_from = [\"::1\"]\n";
  const auto loaded = load_text(text + kAnyDatabase);
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  User expected;
  expected.passwords = {Secret("new"), Secret("old")};
  expected.pool = {PoolMode::session,
                   5,
                   4,
                   true,
                   seconds(1),
                   seconds(2),
                   seconds(3),
                   seconds(4),
                   seconds(5),
                   seconds(6),
                   seconds(7),
                   TimeoutAction::close,
                   seconds(8),
                   true,
                   true,
                   ReadTarget::primary,
                   ReadConsistency::none,
                   milliseconds(22),
                   seconds(9),
                   ByteSize(9 * 1024 * 1024),
                   1,
                   false,
                   3,
                   seconds(10),
                   OnSessionState::error,
                   true,
                   27,
                   seconds(11),
                   SlowQueryParameters::redacted,
                   false};
  expected.max_user_connections = 6;
  expected.max_user_client_connections = 9;
  expected.addresses = some_addresses();
  expected.statements = some_limits();
  EXPECT_EQ(loaded.config->users.at("alice"), expected);
  for (const Key<User>& key : user_keys()) {
    if (key.name.starts_with("password_")) continue;
    EXPECT_THAT(text, HasSubstr("\n" + std::string(key.name) + " = "));
  }
}

TEST(LoadConfig, lets_a_database_inherit_tls_from_the_general_section) {
  const auto loaded = load_text(
      "[databases.app]\nhosts = \"db1\"\nauth = \"server\"\n"
      "[databases.app.tls]\nmode = \"verify-ca\"\nciphers = \"LOW\"\n"
      "[databases.plain]\nhosts = \"db1\"\nauth = \"server\"\n"
      "[tls.server]\nmode = \"require\"\ncertificate_file = \"/s.crt\"\nkey_file = \"/s.key\"\n"
      "minimum_version = \"TLSv1.3\"\n",
      with_certificates());
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  const TlsSettings expected = {TlsMode::verify_ca, "/s.crt", "/s.key", "", "TLSv1.3", "LOW", ""};
  EXPECT_EQ(loaded.config->databases.at("app").server_tls, expected);
  EXPECT_EQ(loaded.config->databases.at("plain").server_tls, std::nullopt);
}

TEST(LoadConfig, takes_auto_for_the_number_of_clients) {
  const auto loaded = load_text("[forebay]\nmax_client_conn = \"auto\"\n" + kAnyDatabase);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.config->max_client_conn, std::nullopt);
}

TEST(LoadConfig, understands_every_spelling_of_toml) {
  const auto loaded = load_text(
      "\xEF\xBB\xBF"  // a byte order mark
      "forebay.workers = 2\r\n"
      "pool = { pool_mode = 'session', max_connecting = 0x10 }\r\n"
      "databases.\"my db\" = { hosts = [ 'db1', ], auth = \"\"\"server\"\"\" }\r\n");
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  EXPECT_EQ(loaded.config->workers, 2U);
  EXPECT_EQ(loaded.config->pool.pool_mode, PoolMode::session);
  EXPECT_EQ(loaded.config->max_connecting, 16U);
  EXPECT_NE(loaded.config->find_database("my db"), nullptr);
}

}  // namespace
}  // namespace forebay::config
