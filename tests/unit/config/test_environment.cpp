#include "forebay/config/environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>

#include "forebay/config/load.hpp"

namespace forebay::config {
namespace {

using testing::HasSubstr;

class SystemEnvironmentTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "forebay-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }

  std::string folder_;
  SystemEnvironment environment_;
};

TEST_F(SystemEnvironmentTest, reads_variables) {
  ASSERT_EQ(::setenv("FOREBAY_TEST_VARIABLE", "hunter2", 1), 0);
  const auto secret = environment_.variable("FOREBAY_TEST_VARIABLE");
  ASSERT_TRUE(secret.has_value());
  EXPECT_EQ(secret->reveal(), "hunter2");
  ASSERT_EQ(::unsetenv("FOREBAY_TEST_VARIABLE"), 0);
  EXPECT_FALSE(environment_.variable("FOREBAY_TEST_VARIABLE").has_value());
}

TEST_F(SystemEnvironmentTest, reads_a_secret_that_only_some_may_read) {
  for (const mode_t mode : {0400, 0600, 0640, 0660}) {
    const auto secret = environment_.read_secret(write("s", "hunter2\n", mode));
    ASSERT_TRUE(secret) << std::oct << mode;
    EXPECT_EQ(secret->reveal(), "hunter2\n");
  }
}

TEST_F(SystemEnvironmentTest, refuses_a_secret_that_everybody_may_read_or_change) {
  for (const mode_t mode : {0644, 0604, 0602, 0666}) {
    const std::string path = write("s", "hunter2\n", mode);
    const auto secret = environment_.read_secret(path);
    ASSERT_FALSE(secret) << std::oct << mode;
    EXPECT_EQ(secret.error().message, "everybody on this machine may read or change \"" + path +
                                          "\": take that away with chmod o-rwx");
  }
}

TEST_F(SystemEnvironmentTest, names_what_is_wrong_with_a_secret_file) {
  const auto missing = environment_.read_secret(folder_ + "/none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message,
            "cannot read \"" + folder_ + "/none\": No such file or directory");
  const auto directory = environment_.read_secret(folder_);
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().message, HasSubstr("this is a directory"));
}

TEST_F(SystemEnvironmentTest, does_not_wait_for_a_pipe) {
  const std::string path = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto secret = environment_.read_secret(path);
  ASSERT_FALSE(secret);
  EXPECT_THAT(secret.error().message, HasSubstr("this is not a regular file"));
}

TEST_F(SystemEnvironmentTest, limits_what_it_reads) {
  EXPECT_TRUE(environment_.read_secret(write("s", std::string(kMaxSecretBytes, 'x'))));
  const auto secret = environment_.read_secret(write("s", std::string(kMaxSecretBytes + 1, 'x')));
  ASSERT_FALSE(secret);
  EXPECT_THAT(secret.error().message, HasSubstr("larger than 65536 bytes"));
  const auto file = environment_.read_file(write("c", std::string(kMaxConfigBytes + 1, '\n')));
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("larger than 16777216 bytes"));
}

TEST_F(SystemEnvironmentTest, knows_directories_and_readable_files) {
  EXPECT_TRUE(environment_.is_directory(folder_));
  const std::string path = write("f", "");
  EXPECT_FALSE(environment_.is_directory(path));
  EXPECT_FALSE(environment_.is_directory(folder_ + "/none"));
  EXPECT_TRUE(environment_.check_readable(path));
  EXPECT_FALSE(environment_.check_readable(folder_));
  EXPECT_FALSE(environment_.check_readable(folder_ + "/none"));
  if (::geteuid() != 0) {  // root may read everything
    EXPECT_FALSE(environment_.check_readable(write("g", "", 0000)));
  }
}

TEST_F(SystemEnvironmentTest, loads_a_file_with_a_secret_file) {
  const std::string secret = write("s", "hunter2\n");
  const std::string path =
      write("forebay.toml", "[databases.app]\nhosts = \"" + folder_ +
                                "\"\n[users.alice]\npassword_file = \"" + secret + "\"\n");
  const auto loaded = load_file(path);
  ASSERT_TRUE(loaded.ok()) << to_string(loaded.errors.front());
  EXPECT_EQ(loaded.config->users.at("alice").passwords.at(0).reveal(), "hunter2");
  EXPECT_EQ(loaded.config->databases.at("app").hosts.at(0).host, folder_ + "/.s.PGSQL.5432");
}

TEST_F(SystemEnvironmentTest, names_the_file_that_cannot_be_loaded) {
  const auto loaded = load_file(folder_ + "/none.toml");
  ASSERT_EQ(loaded.errors.size(), 1U);
  EXPECT_FALSE(loaded.ok());
  EXPECT_EQ(to_string(loaded.errors[0]), folder_ + "/none.toml: cannot read \"" + folder_ +
                                             "/none.toml\": No such file or directory");
}

/// Whether the bytes of an object still hold a text.
bool holds(const unsigned char* storage, std::size_t size, std::string_view text) {
  return std::string_view(reinterpret_cast<const char*>(storage), size).find(text) !=
         std::string_view::npos;
}

TEST(SecretMemory, is_wiped_when_a_short_text_moves_away_or_goes) {
  alignas(Secret) unsigned char storage[sizeof(Secret)] = {};
  auto* secret = new (storage) Secret("hunter2");
  ASSERT_TRUE(holds(storage, sizeof storage, "unter2"));
  const Secret elsewhere(std::move(*secret));
  EXPECT_FALSE(holds(storage, sizeof storage, "unter2"));
  EXPECT_EQ(elsewhere.reveal(), "hunter2");
  *secret = elsewhere;
  ASSERT_TRUE(holds(storage, sizeof storage, "unter2"));
  secret->~Secret();
  EXPECT_FALSE(holds(storage, sizeof storage, "unter2"));
}

}  // namespace
}  // namespace forebay::config
