#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

struct Wrong {
  std::string section;
  std::string assignment;
  std::string complaint;  ///< after the name of the key
};

/// The file has the assignment alone on its second line.
void expect_complaint(const Wrong& wrong) {
  const std::string text = "[" + wrong.section + "]\n" + wrong.assignment + "\n" + kAnyDatabase;
  const std::size_t equals = wrong.assignment.find(" = ");
  const std::string name = wrong.assignment.substr(0, equals);
  EXPECT_THAT(errors_of(text), ElementsAre("f.toml:2:" + std::to_string(equals + 4) + ": [" +
                                           wrong.section + "] " + name + ": " + wrong.complaint))
      << text;
}

TEST(LoadConfig, says_which_type_was_expected) {
  const std::string listen =
      "expected addresses such as [\"127.0.0.1:6432\", \"[::1]:6432\", "
      "\"/run/forebay/.s.PGSQL.6432\"], but this is ";
  const std::vector<Wrong> cases = {
      {"forebay", "workers = \"3\"",
       "expected a whole number from 0 to 127 such as 12, but this is a string"},
      {"forebay", "workers = 3.0",
       "expected a whole number from 0 to 127 such as 12, but this is a fraction"},
      {"forebay", "max_client_conn = true",
       "expected a whole number from 1 to 1000000 such as 100000, but this is a boolean"},
      {"forebay", "max_client_conn = \"many\"",
       "expected a whole number from 1 to 1000000, or \"auto\", but this is a string"},
      {"log", "connections = \"yes\"", "expected true or false, but this is a string"},
      {"log", "connections = 1", "expected true or false, but this is a whole number"},
      {"log", "file = 2024-01-01",
       "expected a string such as \"/var/log/forebay/forebay.log\", but this is a date or time"},
      {"log", "level = 3",
       "expected one of \"debug\", \"info\", \"warning\", \"error\", but this is a whole number"},
      {"pool", "query_wait_timeout = true",
       "expected a duration such as \"30s\" (or 0 for none), but this is a boolean"},
      {"pool", "query_wait_timeout = { s = 1 }",
       "expected a duration such as \"30s\" (or 0 for none), but this is a table"},
      {"forebay", "listen = 6432", listen + "a whole number"},
      {"forebay", "unix_socket_mode = 777",
       "expected permissions as an octal string such as \"0770\", but this is a whole number"},
      {"forebay", "http = [\"*:1\"]",
       "expected an address such as \"127.0.0.1:9127\", or \"\" for none, but this is an array"},
      {"tls.client", "minimum_version = 1.2",
       "expected one of \"TLSv1.2\", \"TLSv1.3\", but this is a fraction"},
      {"databases.a", "hosts = 5432",
       "expected servers such as [\"db1:5432\", \"db2:5432\"] or \"/var/run/postgresql\", but this "
       "is a whole number"},
      {"users.a", "password = 12345",
       "expected a password as a string, but this is a whole number"},
      {"users.a", "password_env = 1",
       "expected the name of an environment variable such as \"APP_PASSWORD\", but this is a whole "
       "number"},
      {"users.a", "password_file = false",
       "expected the path of a file such as \"/etc/forebay/app.password\", but this is a boolean"},
  };
  for (const Wrong& wrong : cases) expect_complaint(wrong);
}

TEST(LoadConfig, says_which_range_a_number_must_be_in) {
  const std::vector<Wrong> cases = {
      {"pool", "default_pool_size = 0",
       "0 is out of range; expected a whole number from 1 to 10000"},
      {"pool", "default_pool_size = 10001",
       "10001 is out of range; expected a whole number from 1 to 10000"},
      {"pool", "min_pool_size = -1", "-1 is out of range; expected a whole number from 0 to 10000"},
      {"forebay", "scram_iterations = 4095",
       "4095 is out of range; expected a whole number from 4096 to 100000"},
      {"forebay", "scram_iterations = 100001",
       "100001 is out of range; expected a whole number from 4096 to 100000"},
      {"forebay", "workers = 4294967297",
       "4294967297 is out of range; expected a whole number from 0 to 127"},
      {"forebay", "unix_socket_mode = \"1000\"",
       "expected permissions as an octal string such as \"0770\", from \"0000\" to \"0777\""},
      {"forebay", "unix_socket_mode = \"0799\"",
       "expected permissions as an octal string such as \"0770\", from \"0000\" to \"0777\""},
      {"forebay", "unix_socket_mode = \"\"",
       "expected permissions as an octal string such as \"0770\", from \"0000\" to \"0777\""},
      {"pool", "server_lifetime = \"366d\"",
       "366d is out of range; expected a duration from \"1ms\" to \"365d\", or 0 for none"},
      {"pool", "server_lifetime = \"9223372036854775808ms\"",
       "this duration is too large to count"},
  };
  for (const Wrong& wrong : cases) expect_complaint(wrong);
}

TEST(LoadConfig, accepts_the_ends_of_ranges) {
  for (const char* line : {"default_pool_size = 1", "default_pool_size = 10000",
                           "server_lifetime = \"365d\"", "server_lifetime = \"1ms\""}) {
    EXPECT_THAT(errors_of("[pool]\n" + std::string(line) + "\n" + kAnyDatabase), IsEmpty()) << line;
  }
}

TEST(LoadConfig, names_the_units_of_a_duration) {
  expect_complaint({"pool", "query_wait_timeout = 30",
                    "expected a duration such as \"30s\" (the number needs a unit, and quotes: ms, "
                    "s, min, h, d)"});
  expect_complaint({"pool", "query_wait_timeout = \"30\"",
                    "expected a duration such as \"30s\" (the number needs a unit: ms, s, min, h, "
                    "d)"});
  expect_complaint({"pool", "query_wait_timeout = \"5m\"",
                    "expected a duration such as \"30s\" (the units are ms, s, min, h, d)"});
  expect_complaint(
      {"pool", "query_wait_timeout = \"soon\"",
       "expected a duration such as \"30s\" (a whole number and a unit: ms, s, min, h, "
       "d)"});
}

TEST(LoadConfig, lists_the_words_of_an_enumeration) {
  expect_complaint({"pool", "pool_mode = \"transacton\"",
                    "expected one of \"session\", \"transaction\", \"statement\"; did you mean "
                    "\"transaction\"?"});
  expect_complaint({"log", "level = \"warn\"",
                    "expected one of \"debug\", \"info\", \"warning\", \"error\"; did you mean "
                    "\"warning\"?"});
  expect_complaint({"log", "format = \"xml\"", "expected one of \"text\", \"json\""});
  expect_complaint({"forebay", "auth = \"scram\"",
                    "expected one of \"trust\", \"password\", \"md5\", \"scram-sha-256\", "
                    "\"cert\", \"server\"; did you mean \"scram-sha-256\"?"});
  expect_complaint({"tls.server", "mode = \"verify_full\"",
                    "expected one of \"disable\", \"allow\", \"prefer\", \"require\", "
                    "\"verify-ca\", \"verify-full\"; did you mean \"verify-full\"?"});
  expect_complaint({"tls.server", "minimum_version = \"TLSv1.0\"",
                    "expected one of \"TLSv1.2\", \"TLSv1.3\"; did you mean \"TLSv1.2\"?"});
}

TEST(LoadConfig, reports_a_section_that_is_none) {
  EXPECT_THAT(errors_of("pool = 3\n" + kAnyDatabase),
              ElementsAre("f.toml:1:1: expected a section that begins with a line [pool], but this "
                          "is a whole number"));
  EXPECT_THAT(errors_of("tls = true\n" + kAnyDatabase),
              ElementsAre("f.toml:1:1: expected sections [tls.client] and [tls.server], but this "
                          "is a boolean"));
  EXPECT_THAT(errors_of("[tls]\nserver = \"x\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:1: expected a section that begins with a line [tls.server], "
                          "but this is a string"));
  EXPECT_THAT(errors_of("[[users]]\nname = \"x\"\n" + kAnyDatabase),
              ElementsAre("f.toml:1:3: expected a section that begins with a line [users.NAME], "
                          "but this is an array"));
  EXPECT_THAT(errors_of("[databases]\napp = \"host=db1\"\n"),
              ElementsAre("f.toml:2:1: expected a section that begins with a line "
                          "[databases.app], but this is a string"));
  EXPECT_THAT(errors_of(kAnyDatabase + "tls = \"require\"\n"),
              ElementsAre("f.toml:4:1: expected a section that begins with a line "
                          "[databases.any.tls], but this is a string"));
}

std::vector<Endpoint> hosts_of(const std::string& value) {
  const auto loaded = load_text("[databases.a]\nauth = \"server\"\nhosts = " + value + "\n");
  EXPECT_TRUE(loaded.ok()) << value << "\n" << joined(texts(loaded.errors));
  return loaded.ok() ? loaded.config->databases.at("a").hosts : std::vector<Endpoint>{};
}

TEST(LoadConfig, reads_every_form_of_a_server_address) {
  using Endpoints = std::vector<Endpoint>;
  EXPECT_EQ(hosts_of("\"db1\""), (Endpoints{{"db1", 5432}}));
  EXPECT_EQ(hosts_of("\"db-1.example_x.com:65535\""), (Endpoints{{"db-1.example_x.com", 65535}}));
  EXPECT_EQ(hosts_of("[\"10.0.0.1:1\", \"10.0.0.1:2\"]"),
            (Endpoints{{"10.0.0.1", 1}, {"10.0.0.1", 2}}));
  EXPECT_EQ(hosts_of("\"[::1]\""), (Endpoints{{"::1", 5432}}));
  EXPECT_EQ(hosts_of("\"[fe80::1%eth0]:5433\""), (Endpoints{{"fe80::1%eth0", 5433}}));
  EXPECT_EQ(hosts_of("\"/var/run/postgresql\""),
            (Endpoints{{"/var/run/postgresql/.s.PGSQL.5432", 5432}}));
  EXPECT_EQ(hosts_of("\"/var/run/postgresql/\""),
            (Endpoints{{"/var/run/postgresql/.s.PGSQL.5432", 5432}}));
  EXPECT_EQ(hosts_of("\"/var/run/postgresql:5433\""),
            (Endpoints{{"/var/run/postgresql/.s.PGSQL.5433", 5433}}));
  EXPECT_EQ(hosts_of("\"/tmp/.s.PGSQL.5434\""), (Endpoints{{"/tmp/.s.PGSQL.5434", 5434}}));
  EXPECT_EQ(hosts_of("\"/\""), (Endpoints{{"/.s.PGSQL.5432", 5432}}));
}

TEST(LoadConfig, says_what_is_wrong_with_a_server_address) {
  const std::map<std::string, std::string> cases = {
      {"", "the host is missing"},
      {":5432", "the host is missing"},
      {"5432", "the host is missing, this is only a number"},
      {"db1:", "the port must be a number from 1 to 65535"},
      {"db1:0", "the port must be a number from 1 to 65535"},
      {"db1:65536", "the port must be a number from 1 to 65535"},
      {"db1:99999999999", "the port must be a number from 1 to 65535"},
      {"db1:5432x", "the port must be a number from 1 to 65535"},
      {"db1:+1", "the port must be a number from 1 to 65535"},
      {"/tmp:0", "the port must be a number from 1 to 65535"},
      {"::1", "an IPv6 address stands in brackets, such as \"[::1]:5432\""},
      {"[::1", "the closing bracket is missing"},
      {"[::1]5432", "after the bracket only \":port\" may follow"},
      {"[db1]:5432", "what stands in the brackets is not an IPv6 address"},
      {"db 1", "the host has a character that no host name has"},
      {"u@db1", "the host has a character that no host name has"},
      {"*:5432", "\"*\" is for listening only"},
      {"postgresql://u@db1/x", "this is a URI, but an address such as \"db1:5432\" belongs here"},
      {"/tmp/.s.PGSQL.x",
       "the name of a socket file ends with its port, such as \".s.PGSQL.5432\""},
      {std::string(254, 'a'), "the host name is longer than 253 characters"},
      {"/" + std::string(107, 'a'),
       "the path of a Unix socket may have at most 107 bytes, this would have 122"},
  };
  for (const auto& [address, why] : cases) {
    EXPECT_THAT(errors_of("[databases.a]\nauth = \"server\"\nhosts = [\"" + address + "\"]\n"),
                ElementsAre("f.toml:3:10: [databases.a] hosts: expected servers such as "
                            "[\"db1:5432\", \"db2:5432\"] or \"/var/run/postgresql\": " +
                            why))
        << address;
  }
}

TEST(LoadConfig, reads_every_form_of_a_listening_address) {
  FakeEnvironment environment;
  environment.directories = {"/run/forebay"};
  const std::vector<std::pair<std::string, Endpoint>> cases = {
      {"127.0.0.1:7000", {"127.0.0.1", 7000}},
      {"localhost", {"localhost", 6432}},
      {"*:6432", {"*", 6432}},
      {"*", {"*", 6432}},
      {"[::]:6433", {"::", 6433}},
      {"/run/forebay", {"/run/forebay/.s.PGSQL.6432", 6432}},
      {"/run/elsewhere/", {"/run/elsewhere/.s.PGSQL.6432", 6432}},
      {"/run/elsewhere:7000", {"/run/elsewhere/.s.PGSQL.7000", 7000}},
      {"/run/x/.s.PGSQL.7001", {"/run/x/.s.PGSQL.7001", 7001}},
      {"/run/forebay.sock", {"/run/forebay.sock", 6432}},
  };
  for (const auto& [text, endpoint] : cases) {
    const auto loaded =
        load_text("[forebay]\nlisten = \"" + text + "\"\n" + kAnyDatabase, environment);
    ASSERT_TRUE(loaded.ok()) << text << joined(texts(loaded.errors));
    EXPECT_THAT(loaded.config->listen, ElementsAre(endpoint)) << text;
  }
}

TEST(LoadConfig, reports_addresses_that_are_listed_twice) {
  EXPECT_THAT(
      errors_of("[forebay]\nlisten = [\"a:1\", \"b:1\", \"a:2\", \"a:1\"]\n" + kAnyDatabase),
      ElementsAre("f.toml:2:32: [forebay] listen: this address is already listed as "
                  "\"a:1\"; leave one of them out"));
  EXPECT_THAT(errors_of("[forebay]\nlisten = [\"*:1\", \"b:1\", \"b:2\"]\n" + kAnyDatabase),
              ElementsAre("f.toml:2:18: [forebay] listen: this address is already listed as "
                          "\"*:1\"; leave one of them out"));
  EXPECT_THAT(errors_of("[forebay]\nlisten = [\"/a:1\", \"/a/.s.PGSQL.1\"]\n" + kAnyDatabase),
              ElementsAre("f.toml:2:19: [forebay] listen: this address is already listed as "
                          "\"/a/.s.PGSQL.1\"; leave one of them out"));
  EXPECT_THAT(errors_of("[databases.a]\nauth = \"server\"\nhosts = [\"a\", \"a:5432\"]\n"),
              ElementsAre("f.toml:3:15: [databases.a] hosts: this address is already listed as "
                          "\"a:5432\"; leave one of them out"));
}

TEST(LoadConfig, reports_an_empty_list_of_addresses) {
  EXPECT_THAT(errors_of("[forebay]\nlisten = []\n" + kAnyDatabase),
              ElementsAre(StartsWith("f.toml:2:10: [forebay] listen: the list is empty; expected "
                                     "addresses such as")));
}

TEST(LoadConfig, wants_http_on_tcp_with_a_port) {
  const std::string lead = "expected an address such as \"127.0.0.1:9127\", or \"\" for none: ";
  expect_complaint({"forebay", "http = \"127.0.0.1\"", lead + "the port is missing"});
  expect_complaint({"forebay", "http = \"/run/x\"", lead + "HTTP is offered on TCP only"});
}

TEST(LoadConfig, reports_names_that_postgresql_cannot_have) {
  const std::string longest(63, 'n');
  const std::string hosts = "\nhosts = \"db1\"\nauth = \"server\"\n";
  EXPECT_THAT(errors_of("[databases." + longest + "]" + hosts + "[users." + longest + "]\n"),
              IsEmpty());
  const std::string name = longest + "n";
  EXPECT_THAT(errors_of("[databases." + name + "]" + hosts),
              ElementsAre("f.toml:1:12: [databases." + name +
                          "]: this name has 64 bytes; PostgreSQL's names have at most 63"));
  EXPECT_THAT(errors_of(kAnyDatabase + "[users." + name + "]\n"),
              ElementsAre("f.toml:4:8: [users." + name +
                          "]: this name has 64 bytes; PostgreSQL's names have at most 63"));
  EXPECT_THAT(errors_of(kAnyDatabase + "dbname = \"" + name + "\"\n"),
              ElementsAre("f.toml:4:10: [databases.any] dbname: this name has 64 bytes; "
                          "PostgreSQL's names have at most 63"));
  EXPECT_THAT(errors_of("[users.\"\"]\n" + kAnyDatabase),
              ElementsAre("f.toml:1:8: [users.\"\"]: the name is empty"));
}

TEST(LoadConfig, keeps_names_of_the_console_free) {
  for (const std::string name : {"forebay", "pgbouncer"}) {
    EXPECT_THAT(errors_of("[databases." + name + "]\nhosts = \"db1\"\nauth = \"server\"\n"),
                ElementsAre("f.toml:1:12: [databases." + name +
                            "]: this name is reserved for the console; choose another and set "
                            "dbname = \"" +
                            name + "\""));
  }
  EXPECT_THAT(errors_of(kAnyDatabase + "[users.forebay]\n"), IsEmpty());
}

TEST(LoadConfig, has_no_wildcard_for_users) {
  EXPECT_THAT(errors_of(kAnyDatabase + "[users.\"*\"]\npool_size = 3\n"),
              ElementsAre("f.toml:4:8: [users.\"*\"]: users have no wildcard; what holds for all "
                          "users stands in [pool]"));
}

}  // namespace
}  // namespace forebay::config
