#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "config/secret_form.hpp"
#include "fake_environment.hpp"
#include "forebay/config/uri.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr const char* kVerifier =
    "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

std::vector<Secret> passwords_of(const std::string& line, const Environment& environment) {
  const auto loaded = load_text("[users.a]\n" + line + "\n" + kAnyDatabase, environment);
  EXPECT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  return loaded.ok() ? loaded.config->users.at("a").passwords : std::vector<Secret>{};
}

std::vector<std::string> complaints(const std::string& line, const Environment& environment) {
  return errors_of("[users.a]\n" + line + "\n" + kAnyDatabase, environment);
}

TEST(Secrets, come_from_the_file_itself_the_environment_or_their_own_files) {
  FakeEnvironment environment;
  environment.variables = {{"ONE", "first"}, {"TWO", "second"}};
  environment.files = {{"/one", "first\n"}, {"/two", "second"}, {"./three", "third\r\n"}};
  const std::vector<Secret> both = {Secret("first"), Secret("second")};
  EXPECT_EQ(passwords_of("password = \"first\"", environment), std::vector{Secret("first")});
  EXPECT_EQ(passwords_of("password = [\"first\", \"second\"]", environment), both);
  EXPECT_EQ(passwords_of("password_env = \"ONE\"", environment), std::vector{Secret("first")});
  EXPECT_EQ(passwords_of("password_env = [\"ONE\", \"TWO\"]", environment), both);
  EXPECT_EQ(passwords_of("password_file = \"/one\"", environment), std::vector{Secret("first")});
  EXPECT_EQ(passwords_of("password_file = [\"/one\", \"/two\"]", environment), both);
  EXPECT_EQ(passwords_of("password_file = \"./three\"", environment), std::vector{Secret("third")});
  EXPECT_EQ(passwords_of("password = []", environment), std::vector<Secret>{});
}

TEST(Secrets, lose_one_line_break_of_their_file_and_nothing_else) {
  FakeEnvironment environment;
  environment.files["/p"] = " spaces stay \n";
  EXPECT_EQ(passwords_of("password_file = \"/p\"", environment),
            std::vector{Secret(" spaces stay ")});
  environment.files["/p"] = "two\n\n";
  EXPECT_THAT(complaints("password_file = \"/p\"", environment),
              ElementsAre("f.toml:2:17: [users.a] password_file: the password contains a line "
                          "break; several passwords stand in an array (from \"/p\")"));
}

TEST(Secrets, that_are_missing_are_reported_by_name) {
  const FakeEnvironment environment;
  EXPECT_THAT(complaints("password_env = \"NONE\"", environment),
              ElementsAre("f.toml:2:16: [users.a] password_env: the environment variable \"NONE\" "
                          "is not set"));
  EXPECT_THAT(complaints("password_file = [\"/none\", \"/nor\"]", environment),
              ElementsAre("f.toml:2:18: [users.a] password_file: cannot read \"/none\": not there",
                          "f.toml:2:27: [users.a] password_file: cannot read \"/nor\": not there"));
}

TEST(Secrets, that_are_empty_are_reported) {
  FakeEnvironment environment;
  environment.variables["EMPTY"] = "";
  environment.files["/empty"] = "\n";
  const std::string why = "the password is empty, which PostgreSQL never accepts";
  EXPECT_THAT(complaints("password = \"\"", environment),
              ElementsAre("f.toml:2:12: [users.a] password: " + why));
  EXPECT_THAT(complaints("password_env = \"EMPTY\"", environment),
              ElementsAre("f.toml:2:16: [users.a] password_env: " + why + " (from \"EMPTY\")"));
  EXPECT_THAT(complaints("password_file = \"/empty\"", environment),
              ElementsAre("f.toml:2:17: [users.a] password_file: " + why + " (from \"/empty\")"));
  EXPECT_THAT(complaints("password_file = \"\"", environment),
              ElementsAre(HasSubstr("but this is empty")));
}

TEST(Secrets, with_nul_are_refused_wherever_they_come_from) {
  FakeEnvironment environment;
  environment.files["/p"] = std::string("hun\0ter2", 8);
  EXPECT_THAT(complaints("password_file = \"/p\"", environment),
              ElementsAre("f.toml:2:17: [users.a] password_file: the password contains a NUL "
                          "character (from \"/p\")"));
}

TEST(Secrets, stand_in_one_place_only) {
  FakeEnvironment environment;
  environment.variables["P"] = "p";
  EXPECT_THAT(complaints("password_env = \"P\"\npassword = \"q\"", environment),
              ElementsAre("f.toml:3:1: [users.a] password: password_env is already set; use only "
                          "one of password, password_env, password_file"));
  EXPECT_THAT(complaints("password_env = \"P\"\npassword = []", environment), IsEmpty());
  EXPECT_THAT(errors_of(kAnyDatabase + "user = \"u\"\npassword = \"q\"\npassword_env = \"P\"\n",
                        environment),
              ElementsAre(StartsWith("f.toml:6:1: [databases.any] password_env: ")));
  const auto loaded = load_text(
      kAnyDatabase + "user = \"u\"\npassword_env = \"P\"\npassword = \"\"\n", environment);
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  EXPECT_EQ(loaded.config->databases.at("any").password, Secret("p"));
}

TEST(Secrets, may_be_hashes_and_verifiers) {
  const std::string hash = "md50123456789abcdef0123456789abcdef";
  EXPECT_EQ(secret_form(hash), SecretForm::md5);
  EXPECT_EQ(secret_form(kVerifier), SecretForm::scram_sha_256);
  EXPECT_EQ(refuse_secret(hash), std::nullopt);
  EXPECT_EQ(refuse_secret(kVerifier), std::nullopt);
  for (const char* text :
       {"hunter2", "md5", "md5rocks", "md5abc", "SCRAM-SHA-1$x", "scram-sha-256$"}) {
    EXPECT_EQ(secret_form(text), SecretForm::clear_text) << text;
    EXPECT_EQ(refuse_secret(text), std::nullopt) << text;
  }
}

TEST(Secrets, that_are_damaged_hashes_are_refused) {
  const std::string digits = "0123456789abcdef0123456789abcdef";
  const std::string upper = "0123456789ABCDEF0123456789abcdef";
  for (const std::string& text : {"md5" + digits.substr(1), "md5" + digits + "0", "md5" + upper,
                                  "md5" + digits.substr(1) + "x"}) {
    ASSERT_TRUE(refuse_secret(text).has_value()) << text;
    EXPECT_THAT(*refuse_secret(text), StartsWith("this MD5 hash is damaged"));
  }
}

TEST(Secrets, that_are_damaged_verifiers_are_refused_at_every_cut) {
  const std::string whole = kVerifier;
  const std::size_t prefix = std::string("SCRAM-SHA-256$").size();
  for (std::size_t size = prefix; size < whole.size(); ++size) {
    const auto why = refuse_secret(whole.substr(0, size));
    ASSERT_TRUE(why.has_value()) << size;
    EXPECT_THAT(*why, StartsWith("this SCRAM verifier is damaged"));
  }
  // Each character that is no letter or digit has its place.
  for (std::size_t at = prefix; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = '*';
    EXPECT_TRUE(refuse_secret(changed).has_value()) << at;
  }
  EXPECT_TRUE(refuse_secret(whole + "A").has_value());
  std::string no_iterations = whole;
  no_iterations.replace(prefix, 4, "0");
  EXPECT_TRUE(refuse_secret(no_iterations).has_value());
}

TEST(Secrets, towards_servers_cannot_be_verifiers) {
  EXPECT_THAT(errors_of(kAnyDatabase + "user = \"u\"\npassword = \"" + kVerifier + "\"\n"),
              ElementsAre("f.toml:5:12: [databases.any] password: nobody can log in to a server "
                          "with a SCRAM verifier; give the password itself"));
  EXPECT_THAT(complaints("password = \"" + std::string(kVerifier) + "\"", FakeEnvironment()),
              IsEmpty());
}

// ---- what is told to people ----

/// No three characters of the secret in a row.
void expect_nothing_of(std::string_view secret, const std::vector<std::string>& messages,
                       const std::string& input) {
  for (const std::string& message : messages) {
    for (std::size_t i = 0; i + 3 <= secret.size(); ++i) {
      ASSERT_EQ(message.find(secret.substr(i, 3)), std::string::npos)
          << "message: " << message << "\ninput: " << input;
    }
  }
}

std::vector<std::string> everything_told(const std::string& text, const Environment& environment) {
  const auto loaded = load_text(text, environment);
  auto all = texts(loaded.errors);
  for (auto& each : texts(loaded.warnings)) all.push_back(std::move(each));
  return all;
}

TEST(Secrets, appear_in_no_message) {
  const std::string secret = "Zq7vXw9";
  FakeEnvironment environment;
  environment.variables = {{"V", secret + "\n\n"}, {"W", "md5" + secret + std::string(25, 'f')}};
  environment.files = {{"/f", secret + "\n" + secret}, {"/g", "SCRAM-SHA-256$" + secret}};
  const std::vector<std::string> values = {"\"" + secret + "\"",
                                           secret,
                                           "\"" + secret,
                                           "'" + secret + "\n",
                                           "\"a\"" + secret,
                                           "[\"" + secret + "\", " + secret + "]",
                                           "[\"" + secret + "\", 1]",
                                           "{ x = \"" + secret + "\" }",
                                           "[\"" + secret + "\", \"\"]",
                                           "\"SCRAM-SHA-256$" + secret + "\"",
                                           "\"md5" + secret + std::string(25, 'f') + "\"",
                                           "\"" + secret + "\\u0000\"",
                                           "\"" + secret + "\\q\"",
                                           "\"\"\"\n" + secret + "\n\"\"\"",
                                           "\"V\"",
                                           "\"W\"",
                                           "\"/f\"",
                                           "\"/g\"",
                                           "\"postgresql://u:" + secret + "@h/d\"",
                                           "\"h:" + secret + "\"",
                                           "\"" + secret + "@h:5432\"",
                                           "\"/" + secret + " \""};
  for (const char* key : {"password", "password_env", "hosts", "auth", "pool_mode", "pool_size",
                          "server_lifetime", "user", "tls"}) {
    for (const std::string& value : values) {
      const std::string line = std::string(key) + " = " + value + "\n";
      for (const std::string& text : {"[databases.a]\n" + line, "[users.a]\n" + line,
                                      "[databases.a]\nhosts = \"x\"\n" + line + line}) {
        expect_nothing_of(secret, everything_told(text, environment), text);
      }
    }
  }
}

TEST(Secrets, appear_in_no_message_when_the_text_is_cut_or_damaged_anywhere) {
  const std::string secret = "Zq7vXw9";
  const std::string whole = "[users.a]\npassword = [\"" + secret + "\", '" + secret +
                            "']\n[databases.b]\nhosts = \"x\"\n" + "user = \"u\"\npassword = \"" +
                            secret + "\"\n[databases.c]\npassword = 99887766554433\n";
  const FakeEnvironment environment;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::string text = whole.substr(0, size);
    expect_nothing_of(secret, everything_told(text, environment), text);
  }
  std::mt19937 random(7);
  const std::string_view characters = "\"'[]{}=.,\n#\\x1 _-";
  for (int i = 0; i < 3000; ++i) {
    std::string text = whole;
    for (int change = 0; change < 2; ++change) {
      text[random() % text.size()] = characters[random() % characters.size()];
    }
    const auto messages = everything_told(text, environment);
    // A secret that became a key by the loss of its quotes is a name, and names are told.
    const bool as_key = std::ranges::any_of(messages, [](const std::string& message) {
      return message.find("unknown key") != std::string::npos ||
             message.find("cannot redefine") != std::string::npos;
    });
    if (!as_key) expect_nothing_of(secret, messages, text);
    expect_nothing_of("99887766554433", messages, text);
  }
}

TEST(Secrets, appear_not_even_by_one_character_in_a_syntax_error) {
  const std::string rest = " (nothing else in the file was judged)";
  EXPECT_THAT(errors_of("password = \"a\"hunter2\n"),
              ElementsAre("f.toml:1:15: this is not TOML: in this key-value pair: expected a "
                          "comment or whitespace" +
                          rest));
  EXPECT_THAT(errors_of("password = 2020-13-01\n"),
              ElementsAre(HasSubstr("expected month between 1 and 12 (inclusive)" + rest)));
  EXPECT_THAT(errors_of("password = 99999999999999999999\n"),
              ElementsAre(HasSubstr("this is not representable in 64 bits" + rest)));
}

TEST(Secrets, appear_in_no_message_about_a_uri) {
  const std::string secret = "Zq7vXw9";
  for (const char* separator : {"", "@", "/", ":", "?", "%", "%00", "%zz", "#", "[", "]", ",", "=",
                                "&", " ", "?x=", "/?x=", "/?sslmode=", "/?port="}) {
    const std::string password = secret + separator + secret;
    for (const std::string& uri :
         {"postgresql://u:" + password + "@h/d", "postgresql://u:" + password + "@h:x/d",
          "postgresql://u:" + password, "postgresql://u:" + password + "@h/d?sslmode=x",
          "postgresql://u@h/d?password=" + password, "postgresql://" + password,
          "http://u:" + password + "@h", "u:" + password + "@h", password,
          "host=h password=" + password}) {
      const auto result = endpoints_from_uri(uri);
      if (!result) expect_nothing_of(secret, {result.error().message}, uri);
    }
  }
  // What looks like a parameter's name is part of a password whose "/" should be escaped.
  const auto misread = endpoints_from_uri("postgresql://u:1/?hunter=2@h/d");
  ASSERT_FALSE(misread);
  EXPECT_THAT(misread.error().message, HasSubstr("it has an unknown parameter; the known ones"));
  const auto odd = endpoints_from_uri("postgresql://u@h/d?Hunter2=x");
  ASSERT_FALSE(odd);
  EXPECT_THAT(odd.error().message, HasSubstr("it has an unknown parameter; the known ones"));
}

}  // namespace
}  // namespace forebay::config
