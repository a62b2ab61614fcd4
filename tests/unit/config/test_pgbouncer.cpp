#include <gtest/gtest.h>

#include "config/pgbouncer/files.hpp"
#include "forebay/config/pgbouncer.hpp"
#include "tests/unit/config/fake_environment.hpp"

namespace forebay::config {
namespace {

using Verdict = Translated::Verdict;

class PgBouncerImport : public testing::Test {
 protected:
  /// The result of importing "p.ini", loaded.
  Config import(const std::string& ini) {
    environment.files["p.ini"] = ini;
    auto done = import_pgbouncer("p.ini", environment);
    if (!done) throw std::runtime_error(done.error().message);
    imported = std::move(*done);
    LoadedConfig loaded = load(imported.toml, "result", environment);
    EXPECT_TRUE(loaded.ok()) << joined(texts(loaded.errors)) << imported.toml;
    return loaded.config.value_or(Config());
  }
  std::string error_of(const std::string& ini) {
    environment.files["p.ini"] = ini;
    const auto done = import_pgbouncer("p.ini", environment);
    return done ? "" : done.error().message;
  }
  /// The verdict of the first line about this, and of what the report says there.
  std::string report_on(const std::string& subject) const {
    for (const Translated& each : imported.report) {
      if (each.subject == subject) return to_string(each);
    }
    return {};
  }
  std::string report() const {
    std::string text;
    for (const Translated& each : imported.report) text += to_string(each) + "\n";
    return text;
  }

  FakeEnvironment environment;
  Imported imported;
};

TEST_F(PgBouncerImport, General) {
  const Config config = import(
      "[databases]\napp = host=db1\n[pgbouncer]\nlisten_addr = 127.0.0.1, ::1\nlisten_port = 7432\n"
      "unix_socket_dir =\npool_mode = Transaction\nquery_timeout = 1.5\nserver_lifetime = 0\n"
      "max_client_conn = 5000\ndefault_pool_size = 0\nadmin_users = a, b\nverbose = 2\n");
  EXPECT_EQ(config.listen, (std::vector<Endpoint>{{"127.0.0.1", 7432}, {"::1", 7432}}));
  EXPECT_EQ(config.pool.pool_mode, PoolMode::transaction);
  EXPECT_EQ(config.pool.statement_timeout, milliseconds(1500));
  EXPECT_EQ(config.pool.server_lifetime, milliseconds(1));
  EXPECT_EQ(config.pool.pool_size, 1U);
  EXPECT_EQ(config.max_client_conn, 5000U);
  EXPECT_EQ(config.admin_users, "a, b");
  EXPECT_EQ(config.log_level, LogLevel::debug);
  EXPECT_EQ(report_on("[pgbouncer] pool_mode"),
            "p.ini:7: [pgbouncer] pool_mode: mapped: [pool] pool_mode = \"transaction\"");
  EXPECT_EQ(report_on("[pgbouncer] default_pool_size"),
            "p.ini:11: [pgbouncer] default_pool_size: approximated: [pool] default_pool_size = 1; "
            "it was 0; possible is 1 to 10000");
}

TEST_F(PgBouncerImport, DefaultsThatDifferAreSaid) {
  const Config config = import("[databases]\napp = host=db1\n[pgbouncer]\n");
  EXPECT_EQ(config.pool.pool_mode, PoolMode::session);
  EXPECT_EQ(config.max_client_conn, 100U);
  EXPECT_EQ(config.auth, AuthMethod::md5);
  EXPECT_EQ(config.listen, (std::vector<Endpoint>{{"/tmp/.s.PGSQL.6432", 6432}}));
}

TEST_F(PgBouncerImport, Databases) {
  environment.files["/users"] = "; a comment\n\"baz\" \"from the \"\"list\"\"\"\n\"no\" \"\"\n";
  const Config config = import(
      "[databases]\nfoodb =\nbardb = host=localhost dbname=bazdb\n"
      "forcedb = host=localhost port=300 user=baz client_encoding=UNICODE pool_size=50\n"
      "\"odd \"\"name\" = host=10.0.0.1,10.0.0.2 password='it''s' user=x\n"
      "other = host=h max_db_connections=3\npgbouncer = host=h\n* = host=testserver\n"
      "[pgbouncer]\nauth_file = /users\nunix_socket_dir = /run/pg\nmax_db_connections = 9\n");
  EXPECT_EQ(config.databases.at("foodb").hosts,
            (std::vector<Endpoint>{{"/run/pg/.s.PGSQL.5432", 5432}}));
  EXPECT_EQ(config.databases.at("bardb").dbname, "bazdb");
  const Database& forced = config.databases.at("forcedb");
  EXPECT_EQ(forced.hosts, (std::vector<Endpoint>{{"localhost", 300}}));
  EXPECT_EQ(forced.password.reveal(), "from the \"list\"");
  EXPECT_EQ(forced.pool.pool_size, 50U);
  EXPECT_EQ(forced.max_db_connections, 9U);
  EXPECT_EQ(config.databases.at("other").max_db_connections, 3U);
  const Database& odd = config.databases.at("odd \"name");
  EXPECT_EQ(odd.hosts.size(), 2U);
  EXPECT_EQ(odd.password.reveal(), "it's");
  EXPECT_EQ(config.databases.at("*").hosts, (std::vector<Endpoint>{{"testserver", 5432}}));
  EXPECT_FALSE(config.databases.contains("pgbouncer"));
  EXPECT_TRUE(config.users.at("no").passwords.empty());
  EXPECT_NE(report_on("[databases] forcedb: client_encoding").find("unsupported"),
            std::string::npos);
  EXPECT_NE(report_on("[databases] odd \"name: host").find("approximated"), std::string::npos);
  EXPECT_EQ(report().find("it's"), std::string::npos);
  EXPECT_EQ(report().find("from the \"list"), std::string::npos);
}

TEST_F(PgBouncerImport, Secrets) {
  const std::string md5 = "md5" + std::string(32, 'a');
  const std::string key = std::string(43, 'A') + "=";
  const std::string scram = "SCRAM-SHA-256$4096:c2FsdA==$" + key + ":" + key;
  environment.files["/users"] = "\"m\" \"" + md5 + "\" and more\n\"s\" \"" + scram + "\"\n";
  const Config config = import(
      "[databases]\na = host=h\nf = host=h user=s\n[users]\nm = pool_mode=statement "
      "max_user_connections=4\n[pgbouncer]\nauth_file = /users\nmax_user_connections = 7\n");
  EXPECT_EQ(config.users.at("m").passwords.front().reveal(), md5);
  EXPECT_EQ(config.users.at("s").passwords.front().reveal(), scram);
  EXPECT_EQ(config.users.at("m").pool.pool_mode, PoolMode::statement);
  EXPECT_EQ(config.users.at("m").max_user_connections, 4U);
  EXPECT_EQ(config.users.at("s").max_user_connections, 7U);
  EXPECT_NE(report().find("[databases] f: user: unsupported: the list has a SCRAM verifier"),
            std::string::npos);
}

TEST_F(PgBouncerImport, IncludedFiles) {
  environment.files["more.ini"] = "default_pool_size = 7\n[databases]\napp = host=db1\n";
  const Config config = import("[pgbouncer]\n%include more.ini\nb = host=db2\n");
  EXPECT_EQ(config.pool.pool_size, 7U);
  EXPECT_TRUE(config.databases.contains("app"));
  EXPECT_TRUE(config.databases.contains("b"));  // sections go on behind a file
  environment.files["more.ini"] = "%include more.ini\n";
  EXPECT_NE(error_of("%include more.ini\n").find("more than 10 deep"), std::string::npos);
  EXPECT_NE(error_of("%include gone.ini\n").find("p.ini:1: %include"), std::string::npos);
}

TEST_F(PgBouncerImport, Hba) {
  environment.files["/hba"] =
      "# TYPE DATABASE USER ADDRESS METHOD\nlocal all all trust\n"
      "host all all 10.0.0.0 255.0.0.0 scram-sha-256\nhost \"legacy\" all 0.0.0.0/0 md5\n"
      "host all mallory all reject\nhost all all ::/0 ldap\n";
  const Config config = import(
      "[databases]\napp = host=h\nlegacy = host=h\n[pgbouncer]\nauth_type = hba\n"
      "auth_hba_file = /hba\n");
  EXPECT_EQ(config.auth, AuthMethod::scram_sha_256);
  EXPECT_EQ(config.databases.at("legacy").auth, AuthMethod::md5);
  EXPECT_FALSE(config.databases.at("app").auth);
  EXPECT_NE(report().find("/hba:3: host rule with scram-sha-256: approximated"), std::string::npos);
  EXPECT_NE(report().find("/hba:5: host rule with reject: unsupported"), std::string::npos);
  EXPECT_NE(report().find("/hba:6: host rule with ldap: unsupported"), std::string::npos);
}

TEST_F(PgBouncerImport, TrustOfARuleIsNeverTakenOver) {
  environment.files["/hba"] =
      "local all all trust\n"
      "host all all 0.0.0.0/0 scram-sha-256\n"
      "host app monitor 127.0.0.1/32 trust\n"
      "host app all 10.0.0.0/8 scram-sha-256\n";
  const Config config =
      import("[databases]\napp = host=h\n[pgbouncer]\nauth_type = hba\nauth_hba_file = /hba\n");
  EXPECT_EQ(config.auth, AuthMethod::scram_sha_256);
  EXPECT_FALSE(config.databases.at("app").auth);
  EXPECT_NE(report().find("/hba:1: local rule with trust: unsupported"), std::string::npos);
}

TEST_F(PgBouncerImport, AuthQuery) {
  const Config config = import(
      "[databases]\na = host=h auth_user=q auth_dbname=b\nb = host=h\n"
      "[pgbouncer]\nauth_type = scram-sha-256\nauth_user = p\n"
      "auth_query = SELECT usename, passwd FROM find($1)\n");
  EXPECT_EQ(config.lookup_for("a").auth_user, "q");
  EXPECT_EQ(config.lookup_for("a").auth_dbname, "b");
  EXPECT_EQ(config.lookup_for("b"), (AuthQuery{"p", "SELECT usename, passwd FROM find($1)", "b"}));
  EXPECT_FALSE(config.databases.at("a").auth);
  EXPECT_EQ(
      report_on("[pgbouncer] auth_query"),
      "p.ini:7: [pgbouncer] auth_query: approximated: [forebay] auth_query = \"SELECT "
      "usename, passwd FROM find($1)\"; its search_path is pg_catalog: name the schema of all "
      "else");
}

TEST_F(PgBouncerImport, Tls) {
  environment.files["/c"] = environment.files["/k"] = environment.files["/ca"] = "pem";
  const std::string files =
      "[databases]\na = host=h\n[pgbouncer]\nclient_tls_cert_file = /c\nclient_tls_key_file = /k\n";
  EXPECT_EQ(import(files).client_tls.mode, TlsMode::disable);
  const Config config = import(files +
                               "client_tls_sslmode = verify-full\nclient_tls_ca_file = /ca\n"
                               "client_tls_protocols = tlsv1.3\nclient_tls_ciphers = fast\n");
  EXPECT_EQ(config.client_tls.mode, TlsMode::verify_ca);
  EXPECT_EQ(config.client_tls.minimum_version, "TLSv1.3");
}

TEST_F(PgBouncerImport, FilesBesideTheConfiguration) {
  environment.files["/etc/pgb/p.ini"] =
      "[databases]\napp = host=h\n[pgbouncer]\nauth_file = users\nauth_type = hba\n"
      "auth_hba_file = hba\n";
  environment.files["/etc/pgb/users"] = "\"app\" \"secret\"\n";
  environment.files["/etc/pgb/hba"] = "host all all all scram-sha-256\n";
  const auto done = import_pgbouncer("/etc/pgb/p.ini", environment);
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_NE(done->toml.find("[users.app]\npassword = \"secret\""), std::string::npos) << done->toml;
  EXPECT_NE(done->toml.find("auth = \"scram-sha-256\""), std::string::npos) << done->toml;
}

TEST_F(PgBouncerImport, PathsOfDebiansPackage) {
  const Config config = import(
      "[databases]\napp =\n[pgbouncer]\nunix_socket_dir = /var/run/postgresql\n"
      "logfile = /var/log/postgresql/pgbouncer.log\n");
  EXPECT_EQ(config.listen, (std::vector<Endpoint>{{"/run/forebay/.s.PGSQL.6432", 6432}}));
  EXPECT_EQ(config.databases.at("app").hosts.front().host, "/var/run/postgresql/.s.PGSQL.5432");
  EXPECT_EQ(config.log_file, "/var/log/forebay/forebay.log");
  EXPECT_NE(report_on("[pgbouncer] unix_socket_dir").find("approximated"), std::string::npos);
  EXPECT_NE(report_on("[pgbouncer] logfile").find("approximated"), std::string::npos);
}

TEST_F(PgBouncerImport, SizesThatDoNotFit) {
  const Config config = import(
      "[databases]\na = host=h pool_size=0 min_pool_size=5\nb = host=h min_pool_size=50\n"
      "c = host=h pool_size=100\n[pgbouncer]\nmin_pool_size = 30\nmax_prepared_statements = 0\n"
      "[users]\nu = pool_size=3\n");
  EXPECT_EQ(config.pool.min_pool_size, 20U);
  EXPECT_EQ(config.databases.at("a").pool.min_pool_size, 1U);
  EXPECT_EQ(config.databases.at("b").pool.min_pool_size, 20U);
  EXPECT_FALSE(config.databases.at("c").pool.min_pool_size);
  EXPECT_EQ(config.users.at("u").pool.min_pool_size, 3U);
  EXPECT_EQ(config.max_prepared_statements, 200U);
}

TEST_F(PgBouncerImport, DatabasesWithoutAHost) {
  const Config config = import("[databases]\na = host=h port=nonsense\nb = host=h\n[pgbouncer]\n");
  EXPECT_FALSE(config.databases.contains("a"));
  EXPECT_TRUE(config.databases.contains("b"));
  EXPECT_NE(report().find("[databases] a: unsupported: left out"), std::string::npos) << report();
}

TEST_F(PgBouncerImport, WhatCannotBeReadIsAnErrorWithItsPlace) {
  EXPECT_EQ(error_of("[pgbouncer]\nnonsense\n"), "p.ini:2: expected key = value");
  EXPECT_EQ(error_of("[databases\n"), "p.ini:1: the closing ] is missing");
  EXPECT_EQ(error_of("[databases]\na = host='x\n"),
            "p.ini:2: the closing quotation mark is missing");
  EXPECT_EQ(error_of("[databases]\na = secret\n"), "p.ini:2: expected key=value pairs");
}

TEST_F(PgBouncerImport, WithoutDatabases) {
  const Config config = import("[pgbouncer]\nunix_socket_dir = /run/pg\n");
  EXPECT_EQ(config.databases.at("*").hosts.front().host, "/run/pg/.s.PGSQL.5432");
}

TEST_F(PgBouncerImport, ALargeOne) {
  std::string ini = "[databases]\n";
  std::string users;
  for (int i = 0; i < 3000; ++i) {
    const std::string number = std::to_string(i);
    ini += "db" + number + " = host=h" + number + " pool_size=" + std::to_string(i % 50 + 1) + "\n";
    users += "\"user" + number + "\" \"secret" + number + "\"\n";
  }
  environment.files["/users"] = users;
  const Config config = import(ini + "[pgbouncer]\nauth_file = /users\n");
  EXPECT_EQ(config.databases.size(), 3000U);
  EXPECT_EQ(config.users.size(), 3000U);
}

}  // namespace
}  // namespace forebay::config
