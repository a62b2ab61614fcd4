#include "forebay/auth/server_authentication.hpp"

#include <string>
#include <variant>

#include "forebay/base/assert.hpp"
#include "fuzz/target.hpp"

/// What a server says to a login of ours: the first byte chooses with what we log in (password, MD5
/// hash, nothing; TLS; whether a clear password may be sent), then bodies of Authentication
/// messages follow, each behind two bytes of length.
using namespace forebay;

namespace {

constexpr char kPassword[] = "secret-of-ours";
/// A server may ask for more than is fit for many inputs.
constexpr std::uint32_t kIterationsMax = 8;

auth::ServerAuthentication::Setup setup_of(unsigned how) {
  auth::ServerAuthentication::Setup setup;
  setup.user = "me";
  switch (how % 3) {
    case 0:
      setup.credential = auth::Password(config::Secret(kPassword));
      break;
    case 1:
      setup.credential = auth::Md5Hash{config::Secret("md5" + std::string(32, 'a'))};
      break;
    default:
      setup.credential = auth::NoCredential{};
  }
  setup.cleartext_allowed = (how & 0x10) != 0;
  setup.tls = (how & 0x20) != 0;
  if (setup.tls && (how & 0x40) != 0) setup.end_point = std::string(32, 'e');
  setup.nonce.fill(static_cast<char>(1));
  return setup;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using auth::ServerAuthentication;
  Bytes input = fuzz::bytes_of(data, size);
  if (input.empty()) return 0;
  const auto how = static_cast<unsigned char>(input.front());
  input.remove_prefix(1);
  // What the server says itself is no secret.
  const bool said = input.find(kPassword) != Bytes::npos;
  ServerAuthentication::Setup setup = setup_of(how);
  const bool clear_allowed = setup.cleartext_allowed;
  const auth::Password password{config::Secret(kPassword)};
  ServerAuthentication authentication(std::move(setup));
  std::string out;
  ServerAuthentication::Outcome outcome = ServerAuthentication::Continue{};
  while (std::holds_alternative<ServerAuthentication::Continue>(outcome) && input.size() >= 2) {
    const std::size_t length =
        static_cast<unsigned char>(input[0]) * 256u + static_cast<unsigned char>(input[1]);
    input.remove_prefix(2);
    const Bytes body = input.substr(0, length);
    input.remove_prefix(body.size());
    out.clear();
    outcome = authentication.receive(body, out);
    if (const auto* need = std::get_if<ServerAuthentication::NeedKeys>(&outcome)) {
      FB_ASSERT(need->request.iterations <= auth::kScramIterationsMax);
      if (need->request.iterations > kIterationsMax) return 0;
      outcome = authentication.supply(
          auth::derive_keys(password, need->request.salt, need->request.iterations), out);
    }
    FB_ASSERT(clear_allowed || said || out.find(kPassword) == std::string::npos);
    FB_ASSERT(out.empty() || out.front() == 'p');
  }
  if (const auto* error = std::get_if<Error>(&outcome)) {
    FB_ASSERT(error->sqlstate.size() == 5 && !error->message.empty());
    FB_ASSERT(said || error->message.find(kPassword) == std::string::npos);
  }
  return 0;
}
