#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "auth/base64.hpp"
#include "auth/scram_message.hpp"
#include "forebay/auth/scram_client.hpp"
#include "forebay/auth/scram_server.hpp"
#include "forebay/auth/verifier.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::auth {

inline const std::string kTestSalt = "0123456789abcdef";
/// Few, so that thousands of exchanges take no time.
inline constexpr std::uint32_t kTestIterations = 3;
inline const std::string kTestEndPoint(32, '\x9c');

inline Password password_of(std::string text) {
  return Password(config::Secret(std::move(text)));
}

inline Verifier verifier_of(const std::string& password) {
  return Verifier::make(password_of(password), kTestSalt, kTestIterations);
}

inline ScramNonce nonce_of(char byte) {
  ScramNonce nonce;
  nonce.fill(byte);
  return nonce;
}

inline config::Secret secret_of(std::string text) {
  return config::Secret(std::move(text));
}

/// Does something to a text at every place: cuts it there, and changes the byte there in several
/// ways; `check` gets each result and a name for it.
inline void for_every_damage(const std::string& text,
                             const std::function<void(const std::string&, std::string)>& check) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    check(text.substr(0, i), "cut at " + std::to_string(i));
    for (const int mask : {0x01, 0x02, 0x20, 0x80, 0xff}) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ mask);
      check(changed, "byte " + std::to_string(i) + " xor " + std::to_string(mask));
    }
    check(text.substr(0, i) + text.substr(i + 1), "byte " + std::to_string(i) + " left out");
    check(text.substr(0, i) + ',' + text.substr(i), "comma before " + std::to_string(i));
  }
  check(text + ',', "comma after the end");
  check(text + '\0', "NUL after the end");
  check(text + ",x", "half an attribute after the end");
}

/// The SQLSTATE and texts of an error, for messages of failed tests.
inline std::string show(const Error& error) {
  return error.sqlstate + ": " + error.message;
}

}  // namespace forebay::auth
