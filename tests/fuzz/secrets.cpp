#include <string>

#include "forebay/auth/verifier.hpp"
#include "forebay/base/assert.hpp"
#include "fuzz/target.hpp"

/// What is stored of a password: in the configuration, or in pg_authid as auth_query gives it.
using namespace forebay;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes text = fuzz::bytes_of(data, size);
  const auto secret = auth::parse_secret(text);
  if (!secret.has_value()) {
    FB_ASSERT(secret.error().sqlstate == "F0000" && !secret.error().message.empty());
    // Its kind is named, with what it is made of, and short texts stand in any sentence.
    constexpr Bytes kKind = "SCRAM-SHA-256$";
    const Bytes kept = text.starts_with(kKind) ? text.substr(kKind.size()) : text;
    FB_ASSERT(kept.size() < 24 || kept.find('<') != Bytes::npos ||
              secret.error().message.find(kept) == std::string::npos);
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
