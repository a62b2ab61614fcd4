#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "forebay/auth/key.hpp"
#include "forebay/auth/user_secrets.hpp"
#include "forebay/config/config.hpp"
#include "forebay/config/load.hpp"
#include "forebay/core/io.hpp"
#include "forebay/routing/rules/rule_set.hpp"
#include "forebay/routing/tenant/policy.hpp"

namespace forebay::core {

/// A certificate of ours that is in use.
struct CertificateFacts {
  std::string file;
  std::int64_t expires = 0;  ///< in Unix time
};

/// A configuration made ready for use: secrets computed, key material read. Immutable; shared by
/// all threads.
struct Runtime {
  config::Config config;
  config::Sources sources;  ///< where its values stand; empty without a file
  std::map<std::string, std::shared_ptr<const auth::UserSecrets>, std::less<>> secrets;
  /// What unknown users are taken to have stored.
  auth::SecretKind usual_secret = auth::SecretKind::clear_text;
  /// Makes salts for users of whom no verifier is stored.
  auth::Key salt_secret;

  std::shared_ptr<const TlsContext> client_tls;  ///< null: no TLS towards clients
  /// Towards the servers of each entry of `databases`; null for TlsMode::disable.
  std::map<std::string, std::shared_ptr<const TlsContext>, std::less<>> server_tls;
  std::vector<CertificateFacts> certificates;
  std::uint32_t max_client_conn = 10'000;
  std::shared_ptr<const tenant::Policy> tenants;  ///< null: there are none
  std::shared_ptr<const rules::RuleSet> rules;    ///< null: there are none
  /// The user that this process runs as, for Unix-domain peers.
  std::uint32_t own_uid = 0;

  [[nodiscard]] std::shared_ptr<const auth::UserSecrets> find_secrets(std::string_view user) const {
    const auto found = secrets.find(user);
    return found == secrets.end() ? nullptr : found->second;
  }

  /// A tenant as its sessions have it; nothing where there is none of that name.
  [[nodiscard]] std::optional<std::string> tenant_named(std::string_view said) const;

  /// Whether clients of `database` ("": the console) that say they are `user` are to be looked up.
  [[nodiscard]] bool looks_up(std::string_view database, std::string_view user) const;

  /// Whether a client that has logged in as `user` may stay, whose server connections belong to
  /// `server_user`: its database is still there, and so are the user's password and role.
  [[nodiscard]] bool serves(std::string_view database, std::string_view user,
                            std::string_view server_user) const;
};

}  // namespace forebay::core
