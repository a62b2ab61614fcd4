#include "forebay/auth/user_secrets.hpp"

#include "forebay/auth/md5.hpp"
#include "helpers.hpp"

namespace forebay::auth {
namespace {

using config::AuthMethod;
using testing::HasSubstr;

const ScramParameters kParameters{.salt = "fedcba9876543210", .iterations = 5};

UserSecrets secrets_of(const std::vector<std::string>& texts,
                       const std::optional<ScramParameters>& scram = kParameters) {
  std::vector<config::Secret> passwords;
  for (const std::string& text : texts) passwords.push_back(secret_of(text));
  auto made = UserSecrets::make("anna", passwords, scram);
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

std::string verifier_text(const std::string& password) {
  return verifier_of(password).text().reveal();
}
std::string md5_text(const std::string& password) {
  return md5_stored(password, "anna")->reveal();
}

TEST(ExchangeFor, decides_as_pgbouncer_does) {
  struct {
    AuthMethod method;
    SecretKind kind;
    std::optional<Exchange> exchange;
  } const cases[] = {
      {AuthMethod::trust, SecretKind::clear_text, Exchange::none},
      {AuthMethod::trust, SecretKind::scram, Exchange::none},
      {AuthMethod::cert, SecretKind::md5, Exchange::none},
      {AuthMethod::password, SecretKind::clear_text, Exchange::clear_text},
      {AuthMethod::password, SecretKind::md5, Exchange::clear_text},
      {AuthMethod::password, SecretKind::scram, Exchange::clear_text},
      {AuthMethod::md5, SecretKind::clear_text, Exchange::md5},
      {AuthMethod::md5, SecretKind::md5, Exchange::md5},
      {AuthMethod::md5, SecretKind::scram, Exchange::scram},
      {AuthMethod::scram_sha_256, SecretKind::clear_text, Exchange::scram},
      {AuthMethod::scram_sha_256, SecretKind::md5, std::nullopt},
      {AuthMethod::scram_sha_256, SecretKind::scram, Exchange::scram},
      {AuthMethod::server, SecretKind::clear_text, std::nullopt},
  };
  for (const auto& [method, kind, exchange] : cases) {
    const auto decided = exchange_for(method, kind);
    EXPECT_EQ(decided.has_value(), exchange.has_value());
    if (decided) {
      EXPECT_EQ(*decided, *exchange);
    } else {
      EXPECT_EQ(decided.error().sqlstate, "28000");
    }
  }
}

TEST(UserSecrets, of_a_clear_text_serve_every_method) {
  const UserSecrets secrets = secrets_of({"pencil"});
  ASSERT_EQ(secrets.verifiers().size(), 1U);
  EXPECT_EQ(secrets.verifiers()[0], Verifier::make(password_of("pencil"), kParameters.salt, 5));
  ASSERT_NE(secrets.password_of(0), nullptr);
  EXPECT_EQ(*secrets.password_of(0), password_of("pencil"));
  ASSERT_EQ(secrets.md5_hashes().size(), 1U);
  EXPECT_EQ(secrets.md5_hashes()[0].stored.reveal(), md5_text("pencil"));
  EXPECT_EQ(*secrets.exchange(AuthMethod::scram_sha_256), Exchange::scram);
  EXPECT_EQ(*secrets.exchange(AuthMethod::md5), Exchange::md5);
  EXPECT_EQ(*secrets.exchange(AuthMethod::password), Exchange::clear_text);
  EXPECT_EQ(*secrets.exchange(AuthMethod::trust), Exchange::none);
  EXPECT_TRUE(secrets.accepts(password_of("pencil")));
  EXPECT_FALSE(secrets.accepts(password_of("pencils")));
  EXPECT_TRUE(std::holds_alternative<Password>(secrets.credential()));
  EXPECT_TRUE(secrets.notes().empty());
}

TEST(UserSecrets, of_a_verifier_serve_scram_and_clear_text) {
  const UserSecrets secrets = secrets_of({verifier_text("pencil")});
  ASSERT_EQ(secrets.verifiers().size(), 1U);
  EXPECT_EQ(secrets.verifiers()[0], verifier_of("pencil"));
  EXPECT_EQ(secrets.password_of(0), nullptr);
  EXPECT_TRUE(secrets.md5_hashes().empty());
  EXPECT_EQ(*secrets.exchange(AuthMethod::scram_sha_256), Exchange::scram);
  EXPECT_EQ(*secrets.exchange(AuthMethod::md5), Exchange::scram);
  EXPECT_TRUE(secrets.accepts(password_of("pencil")));
  EXPECT_FALSE(secrets.accepts(password_of("pencils")));
  EXPECT_TRUE(std::holds_alternative<NoCredential>(secrets.credential()));
}

TEST(UserSecrets, of_an_md5_hash_serve_md5_and_clear_text) {
  const UserSecrets secrets = secrets_of({md5_text("pencil")});
  EXPECT_TRUE(secrets.verifiers().empty());
  EXPECT_EQ(*secrets.exchange(AuthMethod::md5), Exchange::md5);
  EXPECT_THAT(secrets.exchange(AuthMethod::scram_sha_256).error().message, HasSubstr("MD5 hash"));
  EXPECT_TRUE(secrets.accepts(password_of("pencil")));
  EXPECT_FALSE(secrets.accepts(password_of(md5_text("pencil")))) << "the hash is not the password";
  EXPECT_TRUE(std::holds_alternative<Md5Hash>(secrets.credential()));
  EXPECT_THAT(secrets.notes(), testing::ElementsAre(HasSubstr("SCRAM cannot use")));
}

TEST(UserSecrets, without_any_serve_nothing_that_asks) {
  const UserSecrets secrets = secrets_of({});
  for (const AuthMethod method :
       {AuthMethod::password, AuthMethod::md5, AuthMethod::scram_sha_256}) {
    EXPECT_THAT(secrets.exchange(method).error().message, HasSubstr("no password is stored"));
  }
  EXPECT_EQ(*secrets.exchange(AuthMethod::cert), Exchange::none);
  EXPECT_EQ(*secrets.exchange(AuthMethod::trust), Exchange::none);
  EXPECT_FALSE(secrets.accepts(password_of("")));
  EXPECT_TRUE(std::holds_alternative<NoCredential>(secrets.credential()));
}

TEST(UserSecrets, clear_texts_of_a_rotation_share_a_salt) {
  const UserSecrets secrets = secrets_of({"old", "new"});
  ASSERT_EQ(secrets.verifiers().size(), 2U);
  EXPECT_EQ(secrets.verifiers()[0].salt, secrets.verifiers()[1].salt);
  EXPECT_EQ(*secrets.password_of(1), password_of("new"));
  EXPECT_TRUE(secrets.accepts(password_of("old")));
  EXPECT_TRUE(secrets.accepts(password_of("new")));
  EXPECT_EQ(std::get<Password>(secrets.credential()), password_of("old"));
}

TEST(UserSecrets, clear_texts_take_the_salt_of_a_verifier_beside_them) {
  for (const auto& parameters : {std::optional(kParameters), std::optional<ScramParameters>()}) {
    const UserSecrets secrets = secrets_of({"new", verifier_text("old")}, parameters);
    ASSERT_EQ(secrets.verifiers().size(), 2U);
    EXPECT_EQ(secrets.verifiers()[0], verifier_of("new"));
    EXPECT_EQ(secrets.verifiers()[1], verifier_of("old"));
    EXPECT_NE(secrets.password_of(0), nullptr);
    EXPECT_EQ(secrets.password_of(1), nullptr);
    EXPECT_EQ(*secrets.exchange(AuthMethod::md5), Exchange::scram) << "serves both passwords";
  }
}

TEST(UserSecrets, a_second_verifier_with_another_salt_is_noted) {
  const auto other = Verifier::make(password_of("new"), "another salt", kTestIterations);
  const UserSecrets secrets = secrets_of({verifier_text("old"), other.text().reveal()});
  EXPECT_EQ(secrets.verifiers().size(), 1U);
  EXPECT_THAT(secrets.notes(), testing::ElementsAre(HasSubstr("password 2 of user \"anna\"")));
  EXPECT_TRUE(secrets.accepts(password_of("new"))) << "in clear text it will do";
}

TEST(UserSecrets, iterations_over_the_limit_are_never_computed) {
  auto heavy = verifier_of("pencil");
  heavy.iterations = kScramIterationsMax + 1;
  const UserSecrets secrets = secrets_of({heavy.text().reveal(), "new"});
  EXPECT_EQ(secrets.verifiers().size(), 1U);
  EXPECT_THAT(secrets.notes(), testing::ElementsAre(HasSubstr("over the limit of 100000")));
  EXPECT_FALSE(secrets.accepts(password_of("pencil")));
  EXPECT_TRUE(secrets.accepts(password_of("new")));

  EXPECT_FALSE(UserSecrets::make("anna", {}, ScramParameters{kTestSalt, 0}));
  EXPECT_FALSE(UserSecrets::make("anna", {}, ScramParameters{kTestSalt, kScramIterationsMax + 1}));
}

TEST(UserSecrets, make_no_verifiers_where_scram_is_not_wanted) {
  const UserSecrets secrets = secrets_of({"pencil"}, std::nullopt);
  EXPECT_TRUE(secrets.verifiers().empty());
  EXPECT_EQ(*secrets.exchange(AuthMethod::md5), Exchange::md5);
  EXPECT_TRUE(secrets.accepts(password_of("pencil")));
}

TEST(UserSecrets, refuse_broken_secrets_and_tell_which) {
  const auto broken = UserSecrets::make(
      "anna", {secret_of("fine"), secret_of("SCRAM-SHA-256$hunter2")}, kParameters);
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("password 2 of user \"anna\""));
  EXPECT_EQ(broken.error().message.find("hunter2"), std::string::npos);
  EXPECT_FALSE(UserSecrets::make("anna", {secret_of("")}, kParameters));
  EXPECT_TRUE(UserSecrets::make("anna", {kSecretsPerUserMax, secret_of("x")}, std::nullopt));
  EXPECT_FALSE(UserSecrets::make("anna", {kSecretsPerUserMax + 1, secret_of("x")}, std::nullopt));
}

TEST(UserSecrets, know_what_they_were_made_from) {
  const UserSecrets secrets = secrets_of({"old", "new"});
  const std::vector<config::Secret> same = {secret_of("old"), secret_of("new")};
  EXPECT_TRUE(secrets.made_from("anna", same, kParameters));
  EXPECT_FALSE(secrets.made_from("annb", same, kParameters));
  EXPECT_FALSE(secrets.made_from("anna", {secret_of("old")}, kParameters));
  EXPECT_FALSE(secrets.made_from("anna", same, std::nullopt));
  EXPECT_FALSE(secrets.made_from("anna", same, ScramParameters{kParameters.salt, 6}));
}

TEST(Credential, is_the_configured_clear_text_else_what_the_login_gave) {
  const UserSecrets clear = secrets_of({"pencil"});
  const UserSecrets hash = secrets_of({md5_text("pencil")});
  const UserSecrets verifier = secrets_of({verifier_text("pencil")});
  const Credential none = NoCredential{};
  const Credential keys = derive_keys(password_of("pencil"), kTestSalt, kTestIterations);
  const Credential typed = password_of("typed");

  EXPECT_EQ(credential_towards_servers(&clear, keys), Credential(password_of("pencil")));
  EXPECT_EQ(credential_towards_servers(&clear, typed), Credential(password_of("pencil")));
  EXPECT_EQ(credential_towards_servers(&clear, none), Credential(password_of("pencil")));
  EXPECT_EQ(credential_towards_servers(&hash, none), hash.credential());
  EXPECT_EQ(credential_towards_servers(&hash, typed), typed);
  EXPECT_EQ(credential_towards_servers(&verifier, keys), keys);
  EXPECT_EQ(credential_towards_servers(&verifier, typed), typed);
  EXPECT_EQ(credential_towards_servers(&verifier, none), none);
  EXPECT_EQ(credential_towards_servers(nullptr, keys), keys);
  EXPECT_EQ(credential_towards_servers(nullptr, none), none);
}

}  // namespace
}  // namespace forebay::auth
