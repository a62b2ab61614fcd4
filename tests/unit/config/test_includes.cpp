#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

FakeEnvironment folder() {
  FakeEnvironment environment;
  environment.directories = {"/etc/f/conf.d/", "/etc/f/conf.d"};
  environment.files["/etc/f/users.toml"] = "[users.alice]\npassword = \"x\"\n";
  environment.files["/etc/f/conf.d/20.toml"] = "[databases.b]\nhosts = \"db2\"\n";
  environment.files["/etc/f/conf.d/10.toml"] = "[databases.a]\nhosts = \"db1\"\n";
  environment.files["/etc/f/conf.d/.10.toml.swp"] = "no TOML";
  environment.files["/etc/f/conf.d/README"] = "no TOML";
  return environment;
}

LoadedConfig load_main(const std::string& text, const FakeEnvironment& environment) {
  return load(text, "/etc/f/f.toml", environment);
}

std::vector<std::string> wrong(const std::string& text, const FakeEnvironment& environment) {
  return texts(load_main(text, environment).errors);
}

const std::string kInclude = "include = [\"users.toml\", \"conf.d/\"]\n";

TEST(Include, files_and_folders_beside_the_file) {
  const auto loaded = load_main(kInclude + "[pool]\ndefault_pool_size = 7\n", folder());
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  EXPECT_EQ(loaded.config->databases.size(), 2u);
  EXPECT_EQ(loaded.config->users.size(), 1u);
  EXPECT_EQ(loaded.sources.at("databases.b.hosts"), "/etc/f/conf.d/20.toml:2");
  EXPECT_EQ(loaded.sources.at("pool.default_pool_size"), "/etc/f/f.toml:3");
  EXPECT_THAT(loaded.files, ElementsAre("/etc/f/f.toml", "/etc/f/users.toml", "/etc/f/conf.d/",
                                        "/etc/f/conf.d/10.toml", "/etc/f/conf.d/20.toml"));
}

TEST(Include, one_file_without_an_array_and_files_in_files) {
  auto environment = folder();
  environment.files["/etc/f/more/all.toml"] = "include = [\"../users.toml\", \"../conf.d/\"]\n";
  EXPECT_THAT(wrong("include = \"more/all.toml\"\n", environment), IsEmpty());
}

TEST(Include, sections_may_be_spread_and_keys_may_not) {
  auto environment = folder();
  environment.files["/etc/f/conf.d/30.toml"] =
      "[pool]\nmin_pool_size = 1\ndefault_pool_size = 5\n[databases.a]\nauth = \"server\"\n";
  EXPECT_THAT(wrong(kInclude + "[pool]\ndefault_pool_size = 7\n", environment),
              ElementsAre("/etc/f/conf.d/30.toml:3:1: [pool] default_pool_size: stands already at "
                          "/etc/f/f.toml:3",
                          "/etc/f/conf.d/30.toml:4:12: [databases.a]: stands already at "
                          "/etc/f/conf.d/10.toml:1"));
}

TEST(Include, problems_name_the_file_that_has_them) {
  auto environment = folder();
  environment.files["/etc/f/conf.d/20.toml"] = "[databases.b]\nhosts = \"db2\"\npool_sise = 1\n";
  EXPECT_THAT(wrong(kInclude, environment),
              ElementsAre("/etc/f/conf.d/20.toml:3:1: [databases.b]: unknown key \"pool_sise\"; "
                          "did you mean \"pool_size\"?"));
}

TEST(Include, what_cannot_be_read_is_all_that_is_said) {
  auto environment = folder();
  EXPECT_THAT(wrong("include = [\"gone.toml\", \"conf.d/\"]\nnonsense = 1\n", environment),
              ElementsAre("/etc/f/f.toml:1:12: include: cannot read \"/etc/f/gone.toml\": not "
                          "there"));
  environment.files["/etc/f/users.toml"] = "[users";
  const auto loaded = load_main(kInclude, environment);
  ASSERT_EQ(loaded.errors.size(), 1u);
  EXPECT_EQ(loaded.errors[0].source, "/etc/f/users.toml");
  EXPECT_EQ(loaded.files.size(), 5u);
}

TEST(Include, no_cycles) {
  FakeEnvironment environment;
  environment.files["/etc/f/a.toml"] = "include = \"b.toml\"\n";
  environment.files["/etc/f/b.toml"] = "include = \"f.toml\"\n";
  EXPECT_THAT(wrong("include = [\"a.toml\"]\n", environment),
              ElementsAre("/etc/f/b.toml:1:11: include: \"/etc/f/f.toml\" is read already (the "
                          "file that is read first); include each file once, and none from within "
                          "itself"));
  environment.files["/etc/f/b.toml"] = "";
  EXPECT_THAT(
      wrong("include = [\"a.toml\", \"b.toml\"]\n", environment),
      ElementsAre("/etc/f/f.toml:1:22: include: \"/etc/f/b.toml\" is read already "
                  "(/etc/f/a.toml:1); include each file once, and none from within itself"));
}

TEST(Include, what_is_no_path) {
  EXPECT_THAT(wrong("include = [7]\n[databases.a]\nhosts = \"db1\"\nauth = \"trust\"\n", folder()),
              ElementsAre("/etc/f/f.toml:1:12: include: expected the names of files and folders, "
                          "such as [\"users.toml\", \"conf.d/\"]"));
  EXPECT_THAT(wrong("[pool]\ninclude = \"a\"\n[databases.a]\nhosts = \"db1\"\nauth = \"server\"\n",
                    folder()),
              ElementsAre("/etc/f/f.toml:2:1: [pool]: unknown key \"include\"; it belongs to the "
                          "top of the file, before every section"));
}

}  // namespace
}  // namespace forebay::config
