#include "forebay/auth/scram_keys.hpp"

#include "auth/crypto.hpp"
#include "helpers.hpp"

namespace forebay::auth {
namespace {

TEST(ScramKeys, agree_with_rfc_7677) {
  // RFC 7677, section 3.
  const std::string client_first_bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
  const std::string server_first =
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
  const std::string without_proof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const ScramKeys keys =
      derive_keys(password_of("pencil"), *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);

  const Key stored_key = crypto::sha256(keys.client_key.bytes());
  const Key proof =
      keys.client_key ^ scram_signature(stored_key, client_first_bare, server_first, without_proof);
  EXPECT_EQ(base64_encode(proof.bytes()), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  const Key signature =
      scram_signature(keys.server_key, client_first_bare, server_first, without_proof);
  EXPECT_EQ(base64_encode(signature.bytes()), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST(ScramKeys, make_the_verifier_they_belong_to) {
  const ScramKeys keys = derive_keys(password_of("pencil"), kTestSalt, kTestIterations);
  EXPECT_EQ(Verifier::make(keys), verifier_of("pencil"));
  EXPECT_NE(keys, derive_keys(password_of("pencil"), kTestSalt, kTestIterations + 1));
  EXPECT_NE(keys.client_key,
            derive_keys(password_of("pencil"), "another salt", kTestIterations).client_key);
  EXPECT_NE(keys.client_key,
            derive_keys(password_of("pencils"), kTestSalt, kTestIterations).client_key);
}

TEST(ScramKeyCache, finds_by_password_salt_and_iterations) {
  const KeyRequest request{password_of("pencil").identity(), kTestSalt, kTestIterations};
  const ScramKeys keys = derive_keys(password_of("pencil"), kTestSalt, kTestIterations);
  ScramKeyCache cache;
  EXPECT_EQ(cache.find(request), nullptr);
  cache.remember(request, keys);
  ASSERT_NE(cache.find(request), nullptr);
  EXPECT_EQ(*cache.find(request), keys);

  KeyRequest other = request;
  other.password = password_of("pencils").identity();
  EXPECT_EQ(cache.find(other), nullptr);
  other = request;
  other.salt += "x";
  EXPECT_EQ(cache.find(other), nullptr);
  other = request;
  other.iterations += 1;
  EXPECT_EQ(cache.find(other), nullptr);
}

TEST(ScramKeyCache, lets_the_oldest_go) {
  ScramKeyCache cache;
  std::vector<KeyRequest> requests;
  for (std::uint32_t i = 1; i <= ScramKeyCache::kEntriesMax + 1; ++i) {
    requests.push_back({password_of("pencil").identity(), kTestSalt, i});
    cache.remember(requests.back(), derive_keys(password_of("pencil"), kTestSalt, i));
    cache.remember(requests.back(), derive_keys(password_of("pencil"), kTestSalt, i));
  }
  EXPECT_EQ(cache.find(requests.front()), nullptr);
  for (std::size_t i = 1; i < requests.size(); ++i) EXPECT_NE(cache.find(requests[i]), nullptr);
}

TEST(MadeUpSalt, is_the_same_for_a_user_and_another_for_others) {
  const Key secret = *Key::from(std::string(32, 's'));
  const Key other_secret = *Key::from(std::string(32, 't'));
  EXPECT_EQ(made_up_salt(secret, "anna").size(), kScramSaltSize);
  EXPECT_EQ(made_up_salt(secret, "anna"), made_up_salt(secret, "anna"));
  EXPECT_NE(made_up_salt(secret, "anna"), made_up_salt(secret, "annb"));
  EXPECT_NE(made_up_salt(secret, "anna"), made_up_salt(other_secret, "anna"));
}

}  // namespace
}  // namespace forebay::auth
