#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> errors_with(const std::string& keys, const std::string& more = {}) {
  return errors_of("[tenants]\n" + keys + kAnyDatabase + more);
}

TEST(Tenants, are_read) {
  const auto loaded = load(
      "[tenants]\ndatabases = [\"app\"]\ncolumn_type = \"uuid\"\n"
      "firewall = \"enforce\"\ntables = [\"*\"]\n"
      "[tenants.users]\n\"app.a\" = \"1\"\nb = \"2\"\n" +
          kAnyDatabase,
      "f.toml", FakeEnvironment());
  ASSERT_TRUE(loaded.config);
  const TenantSettings& tenants = loaded.config->tenants;
  EXPECT_THAT(tenants.databases, ElementsAre("app"));
  EXPECT_EQ(tenants.column_type, TenantType::uuid);
  EXPECT_EQ(tenants.firewall, FirewallMode::enforce);
  EXPECT_EQ(tenants.users.at("app.a"), "1");
  EXPECT_TRUE(tenants.serve("app"));
  EXPECT_FALSE(tenants.serve("b"));
}

TEST(Tenants, are_learned_from_one_by_one_or_together) {
  TenantSettings tenants;
  EXPECT_EQ(tenants.learner_of("acme"), "");
  tenants.learn = {"acme"};
  EXPECT_EQ(tenants.learner_of("acme"), "acme");
  EXPECT_EQ(tenants.learner_of("other"), "");
  tenants.learn = {"*"};
  EXPECT_EQ(tenants.learner_of("acme"), "*");
}

TEST(Tenants, what_is_learned_has_a_file_and_room) {
  const std::string tenants = "[tenants]\ndatabases = [\"any\"]\nuser_pattern = \"{tenant}\"\n";
  const auto said = [&](const std::string& keys) {
    return joined(errors_of(kAnyDatabase + tenants + keys));
  };
  EXPECT_EQ(said("learn = [\"a\"]\nlearn_file = \"/l\"\n"), "");
  EXPECT_THAT(said("learn = [\"a\"]\n"), testing::HasSubstr("learn: there is no learn_file"));
  EXPECT_THAT(said("learn_file = \"/l\"\n"), testing::HasSubstr("learn_file: nobody is learned"));
  EXPECT_THAT(said("learn = [\"a\", \"*\"]\nlearn_file = \"/l\"\n"),
              testing::HasSubstr("stands alone"));
  std::string many;
  for (int i = 0; i < 21; ++i) many += "\"t" + std::to_string(i) + "\", ";
  EXPECT_THAT(said("learn = [" + many + "]\nlearn_file = \"/l\"\n"),
              testing::HasSubstr("more than 20"));
}

TEST(Tenants, bytes_per_second_are_sizes) {
  const std::string tenants = "[tenants]\nmax_bytes_per_second = ";
  EXPECT_THAT(errors_of(kAnyDatabase + tenants + "5\n"),
              testing::ElementsAre(testing::HasSubstr("expected a size such as")));
  EXPECT_THAT(
      errors_of(kAnyDatabase + tenants + "\"10B\"\n"),
      testing::ElementsAre(testing::HasSubstr("out of range; expected a size from \"1KiB\"")));
  EXPECT_THAT(errors_of(kAnyDatabase + tenants + "\"10 bytes\"\n"), testing::SizeIs(1));
  EXPECT_TRUE(errors_of(kAnyDatabase + tenants + "0\n").empty());
}

TEST(Tenants, some_have_limits_of_their_own) {
  const auto loaded = load_text(
      kAnyDatabase +
          "[tenants]\ndatabases = [\"any\"]\nuser_pattern = \"{tenant}\"\nmax_statements = 5\n"
          "max_tenant_client_connections = 10\nstatement_timeout = \"5s\"\n"
          "[tenants.limits.acme]\nmax_statements_per_second = 7\n"
          "max_tenant_client_connections = 0\n[tenants.limits.small]\nmax_statements = 1\n"
          "max_tenant_connections = 3\nstatement_timeout = \"1s\"\nmax_bytes_per_second = "
          "\"1MB\"\n",
      FakeEnvironment());
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  const TenantSettings& tenants = loaded.config->tenants;
  EXPECT_EQ(tenants.statements_of("other"), (StatementLimits{.max_statements = 5}));
  EXPECT_EQ(tenants.statements_of("acme"),
            (StatementLimits{.max_statements = 5, .max_statements_per_second = 7}));
  EXPECT_EQ(tenants.statements_of("small").max_statements, 1u);
  EXPECT_EQ(tenants.statements_of("small").max_bytes_per_second, ByteSize(1'000'000));
  EXPECT_EQ(tenants.max_clients_of("other"), 10u);
  EXPECT_EQ(tenants.max_clients_of("acme"), 0u);
  EXPECT_EQ(tenants.max_clients_of("small"), 10u);
  EXPECT_EQ(tenants.connections_of("other").max_statements, 0u);
  EXPECT_EQ(tenants.connections_of("small"), (StatementLimits{.max_statements = 3}));
  EXPECT_EQ(tenants.statement_timeout_of("other"), std::chrono::seconds(5));
  EXPECT_EQ(tenants.statement_timeout_of("small"), std::chrono::seconds(1));
  EXPECT_EQ(tenants.label_of("acme", &TenantLimits::statement_timeout), "[tenants]");
  EXPECT_EQ(tenants.label_of("small", &TenantLimits::statement_timeout), "[tenants.limits.small]");
  EXPECT_EQ(tenants.label_of("acme", &TenantLimits::max_statements), "[tenants]");
  EXPECT_EQ(tenants.label_of("small", &TenantLimits::max_statements), "[tenants.limits.small]");
  EXPECT_EQ(tenants.label_of("other", &TenantLimits::max_statements), "[tenants]");
}

TEST(Tenants, limits_have_names_and_ranges) {
  EXPECT_THAT(errors_with("limits = 5\n"), ElementsAre(HasSubstr("[tenants.limits.acme]")));
  EXPECT_THAT(errors_with("[tenants.limits]\na = 5\n"),
              ElementsAre(HasSubstr("such as {max_statements = 5}")));
  EXPECT_THAT(errors_with("[tenants.limits.a]\nmax_statement = 5\n"),
              ElementsAre(HasSubstr(
                  "a tenant has no limit \"max_statement\"; there are "
                  "max_tenant_client_connections, max_tenant_connections, max_statements, ")));
  EXPECT_THAT(errors_with("[tenants.limits.a]\nstatement_timeout = 5\n"), testing::SizeIs(1));
  EXPECT_THAT(errors_with("[tenants.limits.a]\nmax_statements = -1\n"),
              ElementsAre(HasSubstr("100000")));
}

TEST(Tenants, are_somebodys) {
  EXPECT_THAT(warnings_of("[tenants]\ndatabases = [\"*\"]\n" + kAnyDatabase),
              ElementsAre(HasSubstr("nothing says whose a session is")));
  EXPECT_THAT(errors_with("databases = [\"*\"]\nuser_pattern = \"app.{tenant}\"\n"), IsEmpty());
  EXPECT_THAT(errors_with("databases = [\"*\"]\nuser_pattern = \"app\"\n"),
              ElementsAre(HasSubstr("[tenants] user_pattern: expected {tenant} in it")));
}

TEST(Tenants, setting_is_one_that_nobody_else_has) {
  for (const char* wrong : {"tenant_id", "App.tenant_id"}) {
    EXPECT_THAT(errors_with("setting = \"" + std::string(wrong) + "\"\n"),
                ElementsAre(HasSubstr("[tenants] setting: expected small letters with a dot")));
  }
}

TEST(Tenants, firewall_must_see_everything) {
  const std::string base = "databases = [\"*\"]\nuser_pattern = \"{tenant}\"\n";
  EXPECT_THAT(errors_with(base + "firewall = \"report\"\n"),
              ElementsAre(HasSubstr("[tenants] firewall: it has no tables")));
  const std::string tables = base + "firewall = \"enforce\"\ntables = [\"*\"]\n";
  EXPECT_THAT(errors_with(tables), IsEmpty());
  EXPECT_THAT(errors_with(base + "firewall = \"enforce\"\ntables_with_column = true\n"), IsEmpty());
  EXPECT_THAT(errors_with(tables, "[pool]\npool_mode = \"session\"\n"),
              ElementsAre(HasSubstr("has pool_mode \"session\"")));
  EXPECT_THAT(errors_with(base + "report_tables = [\"*\"]\n"),
              ElementsAre(HasSubstr("set firewall = \"report\"")));
}

TEST(Tenants, are_placed_in_databases_that_are_there) {
  const std::string base = "databases = [\"*\"]\nuser_pattern = \"{tenant}\"\n";
  EXPECT_THAT(errors_with(base + "places = {acme = \"any\"}\n"), IsEmpty());
  EXPECT_THAT(errors_with(base + "places = {acme = \"nowhere\"}\n"),
              ElementsAre(HasSubstr("tenant \"acme\": there is no [databases.nowhere]")));
}

TEST(Tenants, a_claim_needs_a_long_key_and_a_setting) {
  FakeEnvironment environment;
  environment.variables["K"] = "0123456789abcdef";
  const std::string tenants = "[tenants]\ndatabases = [\"any\"]\nuser_pattern = \"{tenant}\"\n";
  const auto loaded = load_text(
      kAnyDatabase + tenants + "setting = \"app.t\"\nclaim_key_env = \"K\"\n", environment);
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  EXPECT_EQ(loaded.config->tenants.claim_key, Secret("0123456789abcdef"));
  EXPECT_THAT(errors_of(kAnyDatabase + tenants + "setting = \"app.t\"\nclaim_key = \"short\"\n"),
              testing::ElementsAre(testing::HasSubstr("claim_key: it has less than 16 bytes")));
  EXPECT_THAT(errors_of(kAnyDatabase + tenants + "claim_key = \"0123456789abcdef\"\n"),
              testing::ElementsAre(testing::HasSubstr("set setting as well")));
}

}  // namespace
}  // namespace forebay::config
