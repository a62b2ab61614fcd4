#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.hpp"

namespace forebay::config {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

FakeEnvironment with_files(std::initializer_list<const char*> paths) {
  FakeEnvironment environment;
  for (const char* path : paths) environment.files[path] = "";
  return environment;
}

TEST(CheckConfig, wants_at_least_one_database) {
  const std::string why =
      "no database is configured; add a section such as [databases.app] with hosts = "
      "[\"127.0.0.1:5432\"]";
  EXPECT_THAT(errors_of(""), ElementsAre("f.toml:1:1: " + why));
  EXPECT_THAT(errors_of("[log]\n[databases]\n"), ElementsAre("f.toml:2:2: " + why));
}

TEST(CheckConfig, wants_hosts_for_each_database) {
  EXPECT_THAT(errors_of(kAnyDatabase + "[databases.\"b c\"]\nauth = \"server\"\n"),
              ElementsAre("f.toml:4:12: [databases.\"b c\"]: hosts is missing; add a line such as "
                          "hosts = [\"127.0.0.1:5432\"]"));
}

TEST(CheckConfig, wants_to_know_which_of_its_peers_it_is) {
  const auto errors = [](const std::string& lines) {
    return errors_of("[forebay]\n" + lines + kAnyDatabase);
  };
  EXPECT_THAT(errors("peers = [\"a\", \"b:7000\"]\npeer_id = 2\n"), IsEmpty());
  EXPECT_THAT(errors("peers = [\"a\", \"b\"]\n"),
              ElementsAre("f.toml:2:9: which of these this one is has to be said: peer_id = 1 for "
                          "the first"));
  EXPECT_THAT(errors("peers = [\"a\"]\npeer_id = 2\n"),
              ElementsAre("f.toml:3:11: peer_id is 2, but peers has 1 entry; list every node "
                          "there, this one too"));
  EXPECT_THAT(errors("peers = [\"a\"]\npeer_id = 1\nworkers = 65\n"),
              ElementsAre("f.toml:4:11: with peers there can be 64 workers at most"));
  std::string many;
  for (int i = 0; i < 32; ++i) many += "\"h" + std::to_string(i) + "\",";
  EXPECT_THAT(errors("peers = [" + many + "]\npeer_id = 1\n"),
              ElementsAre("f.toml:2:9: there are 32 peers; at most 31 can be told apart"));
}

TEST(CheckConfig, wants_rules_for_listeners_that_there_are) {
  EXPECT_THAT(errors_of("[forebay]\nlisten_deny_from = {\"*:1\" = [\"::1\"]}\n" + kAnyDatabase),
              ElementsAre("f.toml:2:20: [forebay] listen_deny_from: there is no \"*:1\" in listen; "
                          "there is \"127.0.0.1:6432\""));
  EXPECT_THAT(errors_of("[forebay]\nlisten_target = {\"*:1\" = \"any\"}\n" + kAnyDatabase),
              ElementsAre("f.toml:2:17: [forebay] listen_target: there is no \"*:1\" in listen; "
                          "there is \"127.0.0.1:6432\""));
}

TEST(CheckConfig, wants_an_auth_query_that_can_be_asked) {
  EXPECT_THAT(
      errors_of("[forebay]\nauth_user = \"a\"\nauth_query = \"SELECT 1\"\n" + kAnyDatabase),
      ElementsAre("f.toml:3:14: [forebay] auth_query: $1, which stands for the user's name, "
                  "is missing"));
  EXPECT_THAT(errors_of(kAnyDatabase + "auth_dbname = \"nowhere\"\n"),
              ElementsAre("f.toml:4:15: [databases.any] auth_dbname: there is no database "
                          "\"nowhere\" in [databases]"));
  EXPECT_THAT(warnings_of("[forebay]\nauth_query = \"SELECT $1\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:14: [forebay] auth_query: nobody asks it; set auth_user as "
                          "well"));
  // Whoever is not listed is looked up, so that somebody can log in.
  EXPECT_THAT(warnings_of("[forebay]\nauth_user = \"a\"\n[databases.any]\nhosts = \"db1\"\n"),
              IsEmpty());
}

TEST(CheckConfig, wants_a_weight_for_each_host) {
  const std::string database = "[databases.a]\nauth = \"server\"\nhosts = [\"b\", \"c\"]\n";
  EXPECT_THAT(errors_of(database + "weights = [0, 1000]\n"), IsEmpty());
  EXPECT_THAT(errors_of(database + "weights = 3\n"),
              ElementsAre("f.toml:4:11: [databases.a] weights: expected an array of numbers such "
                          "as [1, 1, 2], but this is a whole number"));
  EXPECT_THAT(errors_of(database + "zones = [\"a\"]\n"),
              ElementsAre(HasSubstr("[databases.a] zones: has 1 zones for 2 hosts")));
  EXPECT_THAT(errors_of(database + "weights = [1]\n"),
              ElementsAre("f.toml:4:11: [databases.a] weights: has 1 numbers for 2 hosts; give one "
                          "for each host, or leave it out"));
}

// ---- TLS ----

TEST(CheckConfig, wants_a_certificate_where_clients_must_use_tls) {
  for (const char* mode : {"disable", "allow", "prefer"}) {
    EXPECT_THAT(errors_of("[tls.client]\nmode = \"" + std::string(mode) + "\"\n" + kAnyDatabase),
                IsEmpty());
  }
  for (const std::string mode : {"require", "verify-ca", "verify-full"}) {
    EXPECT_THAT(
        errors_of("[tls.client]\nmode = \"" + mode + "\"\nca_file = \"/ca\"\n" + kAnyDatabase,
                  with_files({"/ca"})),
        ElementsAre("f.toml:2:8: [tls.client] mode: \"" + mode +
                    "\" needs a certificate to show to clients; set certificate_file and "
                    "key_file"));
  }
  EXPECT_THAT(errors_of("[tls.client]\nmode = \"require\"\ncertificate_file = \"/c\"\n"
                        "key_file = \"/k\"\n" +
                            kAnyDatabase,
                        with_files({"/c", "/k"})),
              IsEmpty());
  EXPECT_THAT(errors_of("[tls.server]\nmode = \"verify-full\"\n" + kAnyDatabase), IsEmpty());
}

TEST(CheckConfig, wants_certificate_and_key_together) {
  const FakeEnvironment environment = with_files({"/c", "/k"});
  for (const std::string section : {"tls.client", "tls.server"}) {
    EXPECT_THAT(
        errors_of("[" + section + "]\ncertificate_file = \"/c\"\n" + kAnyDatabase, environment),
        ElementsAre("f.toml:2:20: [" + section +
                    "] certificate_file: a certificate needs its private key; set key_file "
                    "as well"));
    EXPECT_THAT(errors_of("[" + section + "]\nkey_file = \"/k\"\n" + kAnyDatabase, environment),
                ElementsAre("f.toml:2:12: [" + section +
                            "] key_file: a private key needs its certificate; set certificate_file "
                            "as well"));
  }
  // A database that names its own certificate must not get another one's key.
  EXPECT_THAT(errors_of("[tls.server]\ncertificate_file = \"/c\"\nkey_file = \"/k\"\n" +
                            kAnyDatabase + "tls.certificate_file = \"/c\"\n",
                        environment),
              ElementsAre(StartsWith("f.toml:7:24: [databases.any.tls] certificate_file: a "
                                     "certificate needs its private key")));
}

TEST(CheckConfig, wants_the_files_of_tls_to_be_readable) {
  const std::string text =
      "[tls.client]\ncertificate_file = \"/c\"\nkey_file = \"/k\"\n"
      "[tls.server]\nmode = \"verify-ca\"\nca_file = \"/a\"\n" +
      kAnyDatabase + "tls.ca_file = \"/b\"\n";
  EXPECT_THAT(
      errors_of(text),
      ElementsAre("f.toml:2:20: [tls.client] certificate_file: cannot read \"/c\": not there",
                  "f.toml:3:12: [tls.client] key_file: cannot read \"/k\": not there",
                  "f.toml:6:11: [tls.server] ca_file: cannot read \"/a\": not there",
                  "f.toml:10:15: [databases.any.tls] ca_file: cannot read \"/b\": not "
                  "there"));
  EXPECT_THAT(errors_of(text, with_files({"/c", "/k", "/a", "/b"})), IsEmpty());
}

TEST(CheckConfig, wants_authorities_to_verify_clients) {
  for (const std::string mode : {"verify-ca", "verify-full"}) {
    EXPECT_THAT(errors_of("[tls.client]\nmode = \"" + mode +
                              "\"\ncertificate_file = \"/c\"\nkey_file = \"/k\"\n" + kAnyDatabase,
                          with_files({"/c", "/k"})),
                ElementsAre("f.toml:2:8: [tls.client] mode: \"" + mode +
                            "\" needs the authorities that sign clients' certificates; set "
                            "ca_file"));
  }
}

TEST(CheckConfig, warns_of_authorities_that_are_not_used) {
  const FakeEnvironment environment = with_files({"/a"});
  EXPECT_THAT(warnings_of("[tls.server]\nmode = \"require\"\nca_file = \"/a\"\n" + kAnyDatabase,
                          environment),
              ElementsAre("f.toml:3:11: [tls.server] ca_file: has no effect with mode = "
                          "\"require\"; certificates are only verified with \"verify-ca\" or "
                          "\"verify-full\""));
  EXPECT_THAT(warnings_of("[tls.server]\nmode = \"verify-ca\"\nca_file = \"/a\"\n" + kAnyDatabase,
                          environment),
              IsEmpty());
}

TEST(CheckConfig, concludes_nothing_from_a_refused_key) {
  EXPECT_THAT(
      errors_of("[tls.client]\nmode = \"require\"\ncertificate_file = 1\nkey_file = 2\n" +
                kAnyDatabase),
      ElementsAre(HasSubstr("certificate_file: expected"), HasSubstr("key_file: expected")));
  EXPECT_THAT(
      errors_of("[tls.client]\nmode = \"verfy-ca\"\n[forebay]\nauth = \"cert\"\n" + kAnyDatabase),
      ElementsAre(HasSubstr("did you mean \"verify-ca\"")));
  EXPECT_THAT(errors_of("[forebay]\nlisten = 1\nhttp = \"127.0.0.1:6432\"\n" + kAnyDatabase),
              ElementsAre(HasSubstr("listen: expected")));
  EXPECT_THAT(errors_of("[pool]\ndefault_pool_size = \"50\"\nmin_pool_size = 30\n" + kAnyDatabase +
                        "min_pool_size = 40\n"),
              ElementsAre(HasSubstr("default_pool_size: expected")));
  EXPECT_THAT(errors_of(kAnyDatabase + "user = 1\npassword = \"p\"\n"),
              ElementsAre(HasSubstr("user: expected")));
  EXPECT_THAT(texts(load_text("[tls.server]\nmode = \"vfull\"\nca_file = \"/a\"\n" + kAnyDatabase,
                              with_files({"/a"}))
                        .warnings),
              IsEmpty());
}

TEST(CheckConfig, wants_verified_certificates_for_auth_cert) {
  const std::string why =
      "auth: \"cert\" needs verified certificates; set mode = \"verify-ca\" or \"verify-full\" in "
      "[tls.client]";
  EXPECT_THAT(errors_of("[forebay]\nauth = \"cert\"\n" + kAnyDatabase),
              ElementsAre("f.toml:2:8: [forebay] " + why));
  EXPECT_THAT(errors_of("[databases.a]\nhosts = \"db1\"\nauth = \"cert\"\n"),
              ElementsAre("f.toml:3:8: [databases.a] " + why));
  EXPECT_THAT(errors_of("[tls.client]\nmode = \"verify-ca\"\ncertificate_file = \"/c\"\n"
                        "key_file = \"/k\"\nca_file = \"/a\"\n"
                        "[databases.a]\nhosts = \"db1\"\nauth = \"cert\"\n",
                        with_files({"/c", "/k", "/a"})),
              IsEmpty());
}

// ---- listening ----

TEST(CheckConfig, keeps_http_apart_from_clients) {
  EXPECT_THAT(
      errors_of("[forebay]\nlisten = [\"*:6432\"]\nhttp = \"127.0.0.1:6432\"\n" + kAnyDatabase),
      ElementsAre("f.toml:3:8: [forebay] http: this address is also listed in listen as "
                  "\"*:6432\"; choose another port"));
  EXPECT_THAT(
      errors_of("[forebay]\nlisten = [\"*:6432\"]\nhttp = \"127.0.0.1:6433\"\n" + kAnyDatabase),
      IsEmpty());
}

TEST(CheckConfig, warns_of_trust_towards_other_machines) {
  EXPECT_THAT(warnings_of("[forebay]\nauth = \"trust\"\nlisten = [\"127.0.0.1:1\", \"*:2\"]\n" +
                          kAnyDatabase),
              ElementsAre(StartsWith("f.toml:2:8: [forebay] auth: \"trust\" lets in everybody who "
                                     "can reach \"*:2\"")));
  EXPECT_THAT(warnings_of("[forebay]\nauth = \"trust\"\nlisten = [\"127.0.0.1:1\", \"[::1]:2\", "
                          "\"/tmp/\"]\n" +
                          kAnyDatabase),
              IsEmpty());
  EXPECT_THAT(warnings_of("[forebay]\nlisten = \"*:2\"\n[databases.a]\nhosts = \"db1\"\n"
                          "auth = \"trust\"\n"),
              ElementsAre(StartsWith("f.toml:5:8: [databases.a] auth: \"trust\" lets in")));
}

// ---- users ----

TEST(CheckConfig, warns_that_nobody_can_log_in) {
  const std::string database = "[databases.a]\nhosts = \"db1\"\n";
  const std::string why =
      " asks clients for a password, but no entry of [users] has one: nobody can log in; add "
      "users, or set auth = \"server\" to let the server decide";
  EXPECT_THAT(warnings_of(database),
              ElementsAre("f.toml:1:1: [forebay] auth: \"scram-sha-256\"" + why));
  for (const std::string method : {"password", "md5", "scram-sha-256"}) {
    EXPECT_THAT(warnings_of("[forebay]\nauth = \"" + method + "\"\n" + database),
                ElementsAre("f.toml:2:8: [forebay] auth: \"" + method + "\"" + why));
    EXPECT_THAT(warnings_of(database + "auth = \"" + method + "\"\n"),
                ElementsAre("f.toml:3:8: [databases.a] auth: \"" + method + "\"" + why));
  }
  EXPECT_THAT(warnings_of(database + "[users.alice]\npool_size = 3\n"), Not(IsEmpty()));
  EXPECT_THAT(warnings_of(database + "[users.alice]\npassword = \"p\"\n"), IsEmpty());
  EXPECT_THAT(warnings_of("[forebay]\nauth = \"server\"\n" + database), IsEmpty());
}

TEST(CheckConfig, warns_of_hashes_that_scram_cannot_use) {
  const std::string hash = "md5" + std::string(32, 'a');
  const std::string users = "[users.alice]\npassword = \"" + hash + "\"\n";
  EXPECT_THAT(warnings_of(users + "[databases.a]\nhosts = \"db1\"\n"),
              ElementsAre("f.toml:2:12: [users.alice] password: an MD5 hash is of no use with auth "
                          "= \"scram-sha-256\"; set a SCRAM verifier or the password, or auth = "
                          "\"md5\""));
  EXPECT_THAT(warnings_of(users + "[databases.a]\nhosts = \"db1\"\nauth = \"md5\"\n"), IsEmpty());
  EXPECT_THAT(warnings_of("[users.alice]\npassword = [\"" + hash +
                          "\", \"clear\"]\n[databases.a]\nhosts = \"db1\"\n"),
              IsEmpty());
}

TEST(CheckConfig, wants_a_user_for_the_password_of_a_database) {
  const std::string why = ": a password is for one user; set user as well";
  EXPECT_THAT(errors_of(kAnyDatabase + "password = \"p\"\n"),
              ElementsAre("f.toml:4:12: [databases.any] password" + why));
  EXPECT_THAT(errors_of(kAnyDatabase + "user = \"\"\npassword = \"p\"\n"),
              ElementsAre("f.toml:5:12: [databases.any] password" + why));
  EXPECT_THAT(errors_of(kAnyDatabase + "user = \"u\"\npassword = \"p\"\n"), IsEmpty());
}

// ---- sizes ----

TEST(CheckConfig, wants_the_minimum_to_fit_into_the_pool) {
  EXPECT_THAT(errors_of("[pool]\nmin_pool_size = 21\n" + kAnyDatabase),
              ElementsAre("f.toml:2:17: [pool] min_pool_size: min_pool_size is 21, more than the "
                          "pool's size of 20; set both so that they fit"));
  EXPECT_THAT(errors_of("[pool]\nmin_pool_size = 20\n" + kAnyDatabase), IsEmpty());
  EXPECT_THAT(errors_of("[pool]\ndefault_pool_size = 3\nmin_pool_size = 4\n" + kAnyDatabase),
              ElementsAre(StartsWith("f.toml:3:17: [pool] min_pool_size: ")));
  EXPECT_THAT(errors_of("[pool]\nmin_pool_size = 10\n" + kAnyDatabase + "pool_size = 5\n"),
              ElementsAre(StartsWith("f.toml:6:13: [databases.any] pool_size: min_pool_size is 10, "
                                     "more than the pool's size of 5")));
  EXPECT_THAT(errors_of(kAnyDatabase + "[users.u]\nmin_pool_size = 30\n"),
              ElementsAre(StartsWith("f.toml:5:17: [users.u] min_pool_size: ")));
  EXPECT_THAT(errors_of(kAnyDatabase + "pool_size = 40\nmin_pool_size = 30\n"), IsEmpty());
}

TEST(CheckConfig, warns_of_a_minimum_that_does_not_fit_for_one_user) {
  EXPECT_THAT(warnings_of(kAnyDatabase + "min_pool_size = 10\n[users.u]\npool_size = 5\n"),
              ElementsAre("f.toml:6:13: [users.u] pool_size: in [databases.any] the pool of this "
                          "user has min_pool_size 10 and pool_size 5; the minimum counts as 5 "
                          "there"));
  EXPECT_THAT(warnings_of(kAnyDatabase + "pool_size = 5\n[users.u]\nmin_pool_size = 10\n"),
              ElementsAre(StartsWith("f.toml:6:17: [users.u] min_pool_size: in [databases.any]")));
  EXPECT_THAT(warnings_of(kAnyDatabase + "min_pool_size = 5\n[users.u]\npool_size = 5\n"),
              IsEmpty());
}

TEST(CheckConfig, warns_of_no_mix_with_what_is_wrong_by_itself) {
  const auto loaded = load_text(kAnyDatabase + "min_pool_size = 30\n[users.u]\npool_size = 25\n");
  EXPECT_THAT(texts(loaded.errors), ElementsAre(HasSubstr("[databases.any] min_pool_size: ")));
  EXPECT_THAT(texts(loaded.warnings), IsEmpty());
}

TEST(CheckConfig, sorts_warnings_by_position) {
  const auto warnings = warnings_of(
      "[databases.a]\nhosts = \"db1\"\nauth = \"md5\"\n[forebay]\nauth = \"trust\"\n"
      "listen = \"*\"\n");
  ASSERT_EQ(warnings.size(), 2U) << joined(warnings);
  EXPECT_THAT(warnings[0], StartsWith("f.toml:3:8: "));
  EXPECT_THAT(warnings[1], StartsWith("f.toml:5:8: "));
}

TEST(CheckConfig, warns_beside_errors) {
  const auto loaded = load_text("[databases.a]\nhosts = \"db1\"\nxyzzy = 1\n");
  EXPECT_THAT(texts(loaded.errors), Contains(HasSubstr("xyzzy")));
  EXPECT_THAT(texts(loaded.warnings), Contains(HasSubstr("nobody can log in")));
}

}  // namespace
}  // namespace forebay::config
