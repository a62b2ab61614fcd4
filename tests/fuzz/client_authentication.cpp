#include "forebay/auth/client_authentication.hpp"

#include <memory>
#include <string>
#include <variant>

#include "forebay/auth/md5.hpp"
#include "forebay/base/assert.hpp"
#include "fuzz/target.hpp"

/// What a client says to be let in: the first byte chooses how it is asked (the kind of exchange, a
/// user that is not known, TLS), then messages follow, each behind two bytes of length.
using namespace forebay;

namespace {

constexpr char kPassword[] = "secret";

std::shared_ptr<const auth::UserSecrets> secrets() {
  static const auto made = [] {
    // Few iterations: a clear text is checked against the verifier for many inputs.
    auto all = auth::UserSecrets::make("me", {config::Secret(kPassword)},
                                       auth::ScramParameters{std::string(16, 's'), 1});
    FB_ASSERT(all.has_value());
    return std::make_shared<const auth::UserSecrets>(std::move(*all));
  }();
  return made;
}

auth::ClientAuthentication::Setup setup_of(unsigned how) {
  constexpr config::AuthMethod kMethods[] = {config::AuthMethod::scram_sha_256,
                                             config::AuthMethod::md5, config::AuthMethod::password};
  auth::ClientAuthentication::Setup setup;
  setup.method = kMethods[how % 3];
  setup.user = "me";
  if ((how & 0x10) == 0) setup.secrets = secrets();
  setup.mock = {std::string(16, 'm'), 1};
  setup.tls = (how & 0x20) != 0;
  if (setup.tls) setup.end_point = std::string(32, 'e');
  setup.cleartext_allowed = true;
  setup.nonce.fill(static_cast<char>(1));
  setup.md5_salt = {'s', 'a', 'l', 't'};
  return setup;
}

// Whoever is let in has shown the password, whatever the exchange.
void check_success(auth::Exchange exchange, Bytes message, bool known) {
  FB_ASSERT(known);
  if (!message.empty() && message.back() == '\0') message.remove_suffix(1);
  if (exchange == auth::Exchange::clear_text) {
    FB_ASSERT(message == kPassword);
  } else if (exchange == auth::Exchange::md5) {
    const auto stored = auth::md5_stored(kPassword, "me");
    FB_ASSERT(stored.has_value());
    FB_ASSERT(message == *auth::md5_response(stored->reveal(), "salt"));
  } else {
    FB_ASSERT(message.find(",p=") != Bytes::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::bytes_of(data, size);
  if (input.empty()) return 0;
  const auto how = static_cast<unsigned char>(input.front());
  input.remove_prefix(1);
  // What the client says itself is no secret.
  const bool said = input.find(kPassword) != Bytes::npos;
  auth::ClientAuthentication authentication(setup_of(how));
  std::string out;
  auto outcome = authentication.begin(out);
  while (std::holds_alternative<auth::ClientAuthentication::Continue>(outcome) &&
         input.size() >= 2) {
    FB_ASSERT(!out.empty() && out.front() == 'R');
    const std::size_t length =
        static_cast<unsigned char>(input[0]) * 256u + static_cast<unsigned char>(input[1]);
    input.remove_prefix(2);
    const Bytes message = input.substr(0, length);
    input.remove_prefix(message.size());
    out.clear();
    outcome = authentication.receive(message, out);
    if (std::holds_alternative<auth::ClientAuthentication::Success>(outcome)) {
      check_success(authentication.exchange(), message, (how & 0x10) == 0);
    }
  }
  if (const auto* refusal = std::get_if<auth::Refusal>(&outcome)) {
    FB_ASSERT(refusal->sqlstate.size() == 5 && !refusal->message.empty());
    FB_ASSERT(said || refusal->message.find(kPassword) == std::string::npos);
  }
  return 0;
}
