#include "forebay/config/difference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/keys.hpp"
#include "fake_environment.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kBefore =
    "[databases.app]\nhosts = [\"db1\", \"db2\"]\nauth = \"server\"\n"
    "[users.alice]\npassword = \"first\"\n";

std::vector<std::string> changes(const std::string& before, const std::string& after) {
  const auto old_one = load_text(before);
  const auto new_one = load_text(after);
  EXPECT_TRUE(old_one.ok()) << joined(texts(old_one.errors));
  EXPECT_TRUE(new_one.ok()) << joined(texts(new_one.errors));
  std::vector<std::string> result;
  for (const Change& change : difference(*old_one.config, *new_one.config)) {
    result.push_back(to_string(change));
  }
  return result;
}

TEST(Difference, of_a_configuration_with_itself_is_nothing) {
  EXPECT_THAT(changes(kBefore, kBefore), IsEmpty());
  EXPECT_THAT(changes(kBefore, "[pool]\ndefault_pool_size = 20\n" + kBefore), IsEmpty());
}

TEST(Difference, names_old_and_new_value_and_whom_it_concerns) {
  EXPECT_THAT(
      changes(kBefore, "[forebay]\nworkers = 3\n[pool]\ndefault_pool_size = 30\n" + kBefore),
      ElementsAre("[forebay] workers: 0 -> 3 (needs a restart; until then the old value "
                  "holds)",
                  "[pool] default_pool_size: 20 -> 30 (at once)"));
}

TEST(Difference, of_entries_tells_who_came_and_who_went) {
  EXPECT_THAT(
      changes(kBefore,
              "[databases.other]\nhosts = \"db1\"\nauth = \"server\"\n"
              "[users.alice]\npassword = \"first\"\n"),
      ElementsAre("[databases.app] removed (its clients are let go as soon as they are between "
                  "transactions)",
                  "[databases.other] added (at once)"));
}

TEST(Difference, within_an_entry_is_what_the_entry_says) {
  EXPECT_THAT(
      changes(kBefore,
              "[databases.app]\nhosts = [\"db2\"]\nauth = \"server\"\npool_size = 20\n"
              "[users.alice]\npassword = \"first\"\n"),
      ElementsAre(HasSubstr("[databases.app] hosts: [\"db1:5432\", \"db2:5432\"] -> "
                            "[\"db2:5432\"] (server connections to hosts that are no longer"),
                  "[databases.app] pool_size: not set -> 20 (at once)"));
}

TEST(Difference, of_secrets_never_shows_them) {
  const auto found =
      changes(kBefore,
              "[databases.app]\nhosts = [\"db1\", \"db2\"]\nauth = \"server\"\n"
              "user = \"svc\"\npassword = \"geheim\"\n[users.alice]\npassword = \"second\"\n");
  EXPECT_THAT(found, ElementsAre(HasSubstr("[databases.app] user: \"\" -> \"svc\""),
                                 HasSubstr("[databases.app] password: changed"),
                                 HasSubstr("[users.alice] password: changed")));
  for (const std::string& each : found) {
    for (const char* secret : {"first", "second", "geheim"}) {
      EXPECT_EQ(each.find(secret), std::string::npos) << each;
    }
  }
}

TEST(Difference, of_tls_of_one_database_counts_from_what_it_had) {
  EXPECT_THAT(changes(kBefore, kBefore + "[databases.app.tls]\nmode = \"require\"\n"),
              ElementsAre(HasSubstr("[databases.app.tls] mode: \"prefer\" -> \"require\"")));
}

TEST(Difference, is_undone_for_what_needs_a_restart) {
  const auto before = load_text("[forebay]\nworkers = 2\n" + kBefore);
  auto after = load_text("[forebay]\nworkers = 3\nshutdown_timeout = \"1s\"\n" + kBefore);
  keep_until_restart(*before.config, *after.config);
  EXPECT_EQ(after.config->workers, 2U);
  EXPECT_EQ(after.config->shutdown_timeout, seconds(1));
}

/// Every key must be able to say that it changed, and be copied: else it would be forgotten.
template <class Owner>
void check_functions(const Keys<Owner>& keys) {
  for (const Key<Owner>& key : keys) {
    const Owner owner;
    Owner other;
    EXPECT_TRUE(key.same(owner, other)) << key.name;
    key.copy(owner, other);
    EXPECT_FALSE(to_string(key.effect).empty()) << key.name;
    EXPECT_TRUE(key.say(owner).empty() || key.say(owner) == key.show(owner)) << key.name;
  }
}

TEST(Difference, is_known_to_every_key) {
  check_functions(general_keys());
  check_functions(database_keys());
  check_functions(database_tls_keys());
  check_functions(user_keys());
}

const Setting& setting(const std::vector<Setting>& all, std::string_view section,
                       std::string_view key) {
  for (const Setting& each : all) {
    if (each.section == section && each.key == key) return each;
  }
  static const Setting none{};
  ADD_FAILURE() << "no [" << section << "] " << key;
  return none;
}

TEST(Describe, says_value_default_and_where_it_stands) {
  const auto loaded = load_text("[pool]\ndefault_pool_size = 30\n" + kBefore);
  const auto settings = describe(*loaded.config, loaded.sources);
  const Setting& size = setting(settings, "pool", "default_pool_size");
  EXPECT_EQ(size.value, "30");
  EXPECT_EQ(size.otherwise, "20");
  EXPECT_EQ(size.source, "f.toml:2");
  EXPECT_TRUE(size.changeable());
  const Setting& workers = setting(settings, "forebay", "workers");
  EXPECT_EQ(workers.source, "");
  EXPECT_FALSE(workers.changeable());
  EXPECT_EQ(setting(settings, "databases.app", "hosts").source, "f.toml:4");
  const Setting& password = setting(settings, "users.alice", "password");
  EXPECT_EQ(password.value, "hidden");
  EXPECT_EQ(password.source, "f.toml:7");
}

TEST(Describe, leaves_out_what_an_entry_does_not_say) {
  const auto loaded = load_text(kBefore);
  for (const Setting& each : describe(*loaded.config, loaded.sources)) {
    EXPECT_FALSE(each.section == "databases.app" && each.key == "pool_size");
  }
}

}  // namespace
}  // namespace forebay::config
