#pragma once

#include <memory>
#include <string>
#include <vector>

#include "forebay/auth/client_authentication.hpp"
#include "forebay/auth/server_authentication.hpp"
#include "forebay/protocol/postgres/framer.hpp"
#include "helpers.hpp"

namespace forebay::auth {

/// The body of the one message in `bytes`, which is of type `type`.
inline std::string body_of(const std::string& bytes, char type) {
  EXPECT_GE(bytes.size(), pg::kHeaderSize);
  if (bytes.size() < pg::kHeaderSize) return {};
  EXPECT_EQ(bytes[0], type);
  EXPECT_EQ(load_u32(bytes.data() + 1) + 1, bytes.size()) << "one message, and all of it";
  return bytes.substr(pg::kHeaderSize);
}

inline std::shared_ptr<const UserSecrets> shared_secrets(const std::vector<std::string>& texts,
                                                         const std::string& user = "anna") {
  std::vector<config::Secret> passwords;
  for (const std::string& text : texts) passwords.push_back(secret_of(text));
  auto made = UserSecrets::make(user, passwords, ScramParameters{kTestSalt, kTestIterations});
  EXPECT_TRUE(made) << made.error().message;
  return std::make_shared<const UserSecrets>(std::move(*made));
}

/// A user "anna" over plain TCP, with clear texts allowed.
inline ClientAuthentication::Setup client_setup(config::AuthMethod method,
                                                const std::vector<std::string>& secrets) {
  return {.method = method,
          .user = "anna",
          .secrets = shared_secrets(secrets),
          .mock = {made_up_salt(*Key::from(std::string(32, 's')), "anna"), kTestIterations},
          .cleartext_allowed = true,
          .nonce = nonce_of('s'),
          .md5_salt = {'a', 'b', 'c', 'd'}};
}

inline ServerAuthentication::Setup server_setup(Credential credential) {
  return {.user = "anna",
          .credential = std::move(credential),
          .cleartext_allowed = true,
          .nonce = nonce_of('c')};
}

/// The body of a PasswordMessage.
inline std::string typed(const std::string& password) {
  return password + '\0';
}

}  // namespace forebay::auth
