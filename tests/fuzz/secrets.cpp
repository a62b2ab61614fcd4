#include <set>
#include <string>

#include "forebay/auth/verifier.hpp"
#include "forebay/base/assert.hpp"
#include "fuzz/target.hpp"

/// What is stored of a password: in the configuration, or in pg_authid as auth_query gives it.
using namespace forebay;

namespace {

/// Each message that parse_secret has, by a text that gets it.
std::set<std::string> all_messages() {
  const std::string kind = "SCRAM-SHA-256$";
  const std::string key(43, 'A');  // with "=", base64 of 32 bytes
  std::set<std::string> messages;
  for (const std::string& text : {
           std::string(),
           std::string(100'000, 'x'),
           std::string("x\0", 2),
           kind + std::string(100'000, 'x'),
           kind,
           kind + "0:AAAA$" + key + "=:" + key + "=",
           kind + "1:*$" + key + "=:" + key + "=",
           kind + "1:AAAA$*:" + key + "=",
           kind + "1:AAAA$" + key + "=:*",
       }) {
    const auto secret = auth::parse_secret(text);
    FB_ASSERT(!secret.has_value());
    messages.insert(secret.error().message);
  }
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes text = fuzz::bytes_of(data, size);
  const auto secret = auth::parse_secret(text);
  if (!secret.has_value()) {
    FB_ASSERT(secret.error().sqlstate == "F0000" && !secret.error().message.empty());
    // Nothing of the text is in it: it is one of those that fixed texts get.
    static const std::set<std::string> kMessages = all_messages();
    FB_ASSERT(kMessages.contains(secret.error().message));
    return 0;
  }
  switch (auth::kind_of(*secret)) {
    case auth::SecretKind::scram: {
      const auto& verifier = std::get<auth::Verifier>(*secret);
      FB_ASSERT(verifier.iterations > 0 && !verifier.salt.empty());
      const auto again = auth::Verifier::parse(verifier.text().reveal());
      FB_ASSERT(again.has_value() && *again == verifier);
      break;
    }
    case auth::SecretKind::md5:
      FB_ASSERT(std::get<auth::Md5Hash>(*secret).stored.reveal() == text);
      break;
    case auth::SecretKind::clear_text:
      FB_ASSERT(std::get<auth::Password>(*secret).clear().reveal() == text);
      break;
  }
  return 0;
}
