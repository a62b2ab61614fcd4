#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "auth/crypto.hpp"
#include "forebay/auth/password.hpp"
#include "forebay/base/assert.hpp"

extern "C" {
/// PostgreSQL's src/common/saslprep.c, from its static libraries for client programs: gives memory
/// from malloc. Libraries that do the same by the RFC's letter disagree with it on some texts.
int pg_saslprep(const char* input, char** output);
}

namespace forebay::auth {
namespace {

// pg_saslprep_rc
constexpr int kSuccess = 0;
constexpr int kOutOfMemory = -1;

}  // namespace

config::Secret saslprep(Bytes password) noexcept {
  const bool plain = std::all_of(password.begin(), password.end(), [](char byte) {
    const auto code = static_cast<unsigned char>(byte);
    return code != 0 && code < 0x80;
  });
  // A NUL would end the text for PostgreSQL's code; no PostgreSQL password has one.
  if (plain || password.find('\0') != Bytes::npos || password.size() > kSaslprepMax) {
    return config::Secret(std::string(password));
  }
  std::string input(password);
  char* output = nullptr;
  const int rc = pg_saslprep(input.c_str(), &output);
  FB_ASSERT(rc != kOutOfMemory);
  if (rc == kSuccess) {
    wipe(input);
    input = output;
    wipe(output, std::strlen(output));
  }
  std::free(output);
  config::Secret prepared(input);
  wipe(input);
  return prepared;
}

Password::Password(config::Secret clear) noexcept
    : clear_(std::move(clear)),
      prepared_(saslprep(clear_.reveal())),
      identity_(crypto::sha256(prepared_.reveal())) {}

}  // namespace forebay::auth
