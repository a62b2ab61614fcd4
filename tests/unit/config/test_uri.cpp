#include "forebay/config/uri.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forebay::config {
namespace {

using testing::HasSubstr;

using Endpoints = std::vector<Endpoint>;

UriEndpoints read(const std::string& uri) {
  const auto result = endpoints_from_uri(uri);
  EXPECT_TRUE(result) << uri << ": " << result.error().message;
  return result ? *result : UriEndpoints{};
}

std::string error_of(const std::string& uri) {
  const auto result = endpoints_from_uri(uri);
  EXPECT_FALSE(result) << uri;
  return result ? "" : result.error().message;
}

const Endpoint kDefaultSocket = {"/var/run/postgresql/.s.PGSQL.5432", 5432};

TEST(ConnectionUri, reads_the_examples_of_the_manual) {
  EXPECT_EQ(read("postgresql://").hosts, Endpoints{kDefaultSocket});
  EXPECT_EQ(read("postgresql://localhost").hosts, (Endpoints{{"localhost", 5432}}));
  EXPECT_EQ(read("postgresql://localhost:5433").hosts, (Endpoints{{"localhost", 5433}}));

  const auto database = read("postgresql://localhost/mydb");
  EXPECT_EQ(database.hosts, (Endpoints{{"localhost", 5432}}));
  EXPECT_EQ(database.dbname, "mydb");

  const auto user = read("postgresql://user@localhost");
  EXPECT_EQ(user.user, "user");
  EXPECT_EQ(user.password, std::nullopt);

  const auto both = read("postgresql://user:secret@localhost");
  EXPECT_EQ(both.user, "user");
  EXPECT_EQ(both.password, Secret("secret"));

  const auto several = read("postgresql://host1:123,host2:456/somedb?target_session_attrs=any");
  EXPECT_EQ(several.hosts, (Endpoints{{"host1", 123}, {"host2", 456}}));
  EXPECT_EQ(several.dbname, "somedb");

  const auto parameters = read("postgresql:///mydb?host=localhost&port=5433");
  EXPECT_EQ(parameters.hosts, (Endpoints{{"localhost", 5433}}));
  EXPECT_EQ(parameters.dbname, "mydb");

  EXPECT_EQ(read("postgresql://[2001:db8::1234]/database").hosts,
            (Endpoints{{"2001:db8::1234", 5432}}));
  EXPECT_EQ(read("postgresql:///dbname?host=/var/lib/postgresql").hosts,
            (Endpoints{{"/var/lib/postgresql/.s.PGSQL.5432", 5432}}));
  EXPECT_EQ(read("postgresql://%2Fvar%2Flib%2Fpostgresql/dbname").hosts,
            (Endpoints{{"/var/lib/postgresql/.s.PGSQL.5432", 5432}}));
}

TEST(ConnectionUri, has_nothing_that_is_not_said) {
  const UriEndpoints expected = {.hosts = {{"h", 5432}}};
  EXPECT_EQ(read("postgresql://h"), expected);
  EXPECT_EQ(read("postgresql://h/"), expected);
  EXPECT_EQ(read("postgresql://h?"), expected);
  EXPECT_EQ(read("postgresql://h/?"), expected);
  EXPECT_EQ(read("postgresql://@h:/?"), expected);
  EXPECT_EQ(read("postgresql://:@h"), expected);
  EXPECT_EQ(read("postgresql://h/?user=&password=&dbname=&sslmode="), expected);
  EXPECT_EQ(read("postgres://h"), expected);
  EXPECT_EQ(expected.tls, TlsSettings{});
}

TEST(ConnectionUri, reads_several_hosts) {
  EXPECT_EQ(read("postgresql://a,b:1,[::1],[::2]:3/d").hosts,
            (Endpoints{{"a", 5432}, {"b", 1}, {"::1", 5432}, {"::2", 3}}));
  EXPECT_EQ(read("postgresql://a,/d").hosts, (Endpoints{{"a", 5432}, kDefaultSocket}));
  EXPECT_EQ(read("postgresql:///?host=a,b&port=7").hosts, (Endpoints{{"a", 7}, {"b", 7}}));
  EXPECT_EQ(read("postgresql:///?host=a,::1&port=7,").hosts, (Endpoints{{"a", 7}, {"::1", 5432}}));
  EXPECT_EQ(read("postgresql://:7").hosts, (Endpoints{{"/var/run/postgresql/.s.PGSQL.7", 7}}));
}

TEST(ConnectionUri, decodes_percent_signs) {
  const auto result = read("postgresql://us%65r%3A:p%40%2fss%25@h%6Fst/d%20b");
  EXPECT_EQ(result.user, "user:");
  EXPECT_EQ(result.password, Secret("p@/ss%"));
  EXPECT_EQ(result.hosts, (Endpoints{{"host", 5432}}));
  EXPECT_EQ(result.dbname, "d b");
  EXPECT_EQ(read("postgresql://h/?%75ser=%61").user, "a");
}

TEST(ConnectionUri, refuses_broken_percent_signs) {
  for (const char* uri : {"postgresql://h/%", "postgresql://h/%4", "postgresql://h/%4g",
                          "postgresql://%zz@h", "postgresql://h/?user=%", "postgresql://h/?%=x"}) {
    EXPECT_THAT(error_of(uri), HasSubstr("after \"%\" two hexadecimal digits must follow")) << uri;
  }
  EXPECT_THAT(error_of("postgresql://h/a%00b"), HasSubstr("%00"));
  EXPECT_THAT(error_of(std::string("postgresql://h/a\0b", 18)), HasSubstr("NUL"));
}

TEST(ConnectionUri, lets_parameters_overrule_what_stands_before) {
  const auto result =
      read("postgresql://u:p@h:1/d?user=v&password=q&host=i&port=2&dbname=e&host=j");
  EXPECT_EQ(result.user, "v");
  EXPECT_EQ(result.password, Secret("q"));
  EXPECT_EQ(result.hosts, (Endpoints{{"j", 2}}));
  EXPECT_EQ(result.dbname, "e");
}

TEST(ConnectionUri, ends_the_user_at_the_first_at_sign_as_libpq_does) {
  const auto result = read("postgresql://u:p?q:r@h/d");
  EXPECT_EQ(result.password, Secret("p?q:r"));
  EXPECT_EQ(result.hosts, (Endpoints{{"h", 5432}}));
}

TEST(ConnectionUri, reads_settings_of_tls) {
  const std::vector<std::pair<std::string, TlsMode>> modes = {
      {"disable", TlsMode::disable},     {"allow", TlsMode::allow},
      {"prefer", TlsMode::prefer},       {"require", TlsMode::require},
      {"verify-ca", TlsMode::verify_ca}, {"verify-full", TlsMode::verify_full}};
  for (const auto& [word, mode] : modes) {
    EXPECT_EQ(read("postgresql://h/?sslmode=" + word).tls.mode, mode);
  }
  const auto result =
      read("postgresql://h/?sslmode=verify-full&sslrootcert=/a&sslcert=%2Fc&sslkey=/k");
  EXPECT_EQ(result.tls.ca_file, "/a");
  EXPECT_EQ(result.tls.certificate_file, "/c");
  EXPECT_EQ(result.tls.key_file, "/k");
  EXPECT_THAT(error_of("postgresql://h/?sslmode=on"),
              HasSubstr("sslmode must be one of \"disable\", \"allow\", \"prefer\", \"require\", "
                        "\"verify-ca\", \"verify-full\""));
  EXPECT_THAT(error_of("postgresql://h/?sslcert=/c"),
              HasSubstr("sslcert and sslkey are only of use together"));
}

TEST(ConnectionUri, verifies_when_authorities_are_given_as_libpq_does) {
  EXPECT_EQ(read("postgresql://h/?sslmode=require&sslrootcert=/a").tls.mode, TlsMode::verify_ca);
  EXPECT_EQ(read("postgresql://h/?sslmode=prefer&sslrootcert=/a").tls.mode, TlsMode::prefer);
  const auto system = read("postgresql://h/?sslrootcert=system");
  EXPECT_EQ(system.tls.mode, TlsMode::verify_full);
  EXPECT_EQ(system.tls.ca_file, "");
  EXPECT_EQ(read("postgresql://h/?sslrootcert=system&sslmode=verify-full").tls.mode,
            TlsMode::verify_full);
  EXPECT_THAT(error_of("postgresql://h/?sslrootcert=system&sslmode=require"),
              HasSubstr("sslrootcert=system needs sslmode=verify-full"));
}

TEST(ConnectionUri, reads_the_wanted_kind_of_session) {
  const std::vector<std::pair<std::string, TargetSession>> words = {
      {"any", TargetSession::any},
      {"read-write", TargetSession::read_write},
      {"read-only", TargetSession::read_only},
      {"primary", TargetSession::primary},
      {"standby", TargetSession::standby},
      {"prefer-standby", TargetSession::prefer_standby}};
  for (const auto& [word, target] : words) {
    EXPECT_EQ(read("postgresql://h/?target_session_attrs=" + word).target_session, target);
  }
  EXPECT_THAT(error_of("postgresql://h/?target_session_attrs=master"),
              HasSubstr("target_session_attrs must be one of \"any\", \"read-write\""));
}

TEST(ConnectionUri, names_an_unknown_parameter_and_the_known_ones) {
  EXPECT_EQ(error_of("postgresql://h/?application_name=x"),
            "the connection URI cannot be used: it has the unknown parameter \"application_name\"; "
            "the known ones are \"dbname\", \"host\", \"password\", \"port\", \"sslcert\", "
            "\"sslkey\", \"sslmode\", \"sslrootcert\", \"target_session_attrs\", \"user\"");
  EXPECT_THAT(error_of("postgresql://h/?ssl=true"), HasSubstr("\"ssl\""));
}

TEST(ConnectionUri, refuses_parameters_without_a_value) {
  EXPECT_THAT(error_of("postgresql://h/?user"), HasSubstr("name=value"));
  EXPECT_THAT(error_of("postgresql://h/?user=a&"), HasSubstr("name=value"));
  EXPECT_THAT(error_of("postgresql://h/?user=a=b"), HasSubstr("a second \"=\""));
}

TEST(ConnectionUri, refuses_hosts_and_ports_that_are_none) {
  EXPECT_THAT(error_of("postgresql://h:0"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(error_of("postgresql://h:65536"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(error_of("postgresql://h:x"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(error_of("postgresql://[::1"), HasSubstr("a closing bracket is missing"));
  EXPECT_THAT(error_of("postgresql://[::1]x"), HasSubstr("after the bracket"));
  EXPECT_THAT(error_of("postgresql://[h]"), HasSubstr("not an IPv6 address"));
  EXPECT_THAT(error_of("postgresql://u:p@ss@h"), HasSubstr("written %2F and %40"));
  EXPECT_THAT(error_of("postgresql:///?host=a,b,c&port=1,2"),
              HasSubstr("it has 3 hosts and 2 ports"));
}

TEST(ConnectionUri, refuses_names_that_postgresql_cannot_have) {
  EXPECT_EQ(read("postgresql://h/" + std::string(63, 'd')).dbname, std::string(63, 'd'));
  EXPECT_THAT(error_of("postgresql://h/" + std::string(64, 'd')), HasSubstr("at most 63 bytes"));
  EXPECT_THAT(error_of("postgresql://" + std::string(64, 'u') + "@h"),
              HasSubstr("at most 63 bytes"));
}

TEST(ConnectionUri, may_be_bare_addresses) {
  EXPECT_EQ(read("db1").hosts, (Endpoints{{"db1", 5432}}));
  EXPECT_EQ(read("db1:5433"), (UriEndpoints{.hosts = {{"db1", 5433}}}));
  EXPECT_EQ(read("[::1]:5433").hosts, (Endpoints{{"::1", 5433}}));
  EXPECT_EQ(read("/var/run/postgresql").hosts, Endpoints{kDefaultSocket});
  EXPECT_EQ(read("/tmp:5433").hosts, (Endpoints{{"/tmp/.s.PGSQL.5433", 5433}}));
  EXPECT_EQ(read("a:1,b:2").hosts, (Endpoints{{"a", 1}, {"b", 2}}));
}

TEST(ConnectionUri, refuses_what_is_neither_uri_nor_address) {
  EXPECT_THAT(error_of(""), HasSubstr("expected host:port, /socket/directory, or postgresql://"));
  EXPECT_THAT(error_of("db1:x"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(error_of("mysql://db1"), HasSubstr("must begin with postgresql:// or postgres://"));
  EXPECT_THAT(error_of("host=db1 port=1"), HasSubstr("keyword=value strings are not understood"));
}

TEST(ConnectionUri, survives_every_cut) {
  const std::string whole =
      "postgresql://us%65r:p%40ss@h1:1,[::1]:2,%2Ftmp/d%20b?sslmode=require&host=/x&port=7";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto result = endpoints_from_uri(whole.substr(0, size));
    if (result) {
      EXPECT_FALSE(result->hosts.empty());
    } else {
      EXPECT_FALSE(result.error().message.empty());
    }
  }
}

}  // namespace
}  // namespace forebay::config
