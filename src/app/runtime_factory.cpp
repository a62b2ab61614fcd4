#include "app/runtime_factory.hpp"

#include <openssl/rand.h>
#include <unistd.h>

#include <utility>

#include "forebay/auth/user_secrets.hpp"
#include "forebay/net/tls.hpp"
#include "forebay/routing/tenant/check.hpp"

namespace forebay::app {
namespace {

// Whether some method in use needs SCRAM verifiers of clear-text passwords.
bool uses_scram(const config::Config& config) {
  const auto needs = [](config::AuthMethod method) {
    return method == config::AuthMethod::scram_sha_256 || method == config::AuthMethod::md5;
  };
  if (needs(config.auth)) return true;
  for (const auto& [name, database] : config.databases) {
    if (database.auth && needs(*database.auth)) return true;
  }
  return false;
}

// The secrets of a user that a reload leaves as they were; null if it does not.
std::shared_ptr<const auth::UserSecrets> kept_secrets(const core::Runtime& runtime,
                                                      const core::Runtime* before,
                                                      const std::string& name) {
  if (before == nullptr || uses_scram(runtime.config) != uses_scram(before->config) ||
      runtime.config.scram_iterations != before->config.scram_iterations) {
    return nullptr;
  }
  const config::User* was = before->config.find_user(name);
  const config::User* is = runtime.config.find_user(name);
  return was != nullptr && was->passwords == is->passwords ? before->find_secrets(name) : nullptr;
}

Result<void> make_secrets(core::Runtime& runtime, const core::Runtime* before,
                          std::vector<std::string>& notes) {
  const bool scram = uses_scram(runtime.config);
  std::size_t verifiers = 0;
  for (const auto& [name, user] : runtime.config.users) {
    auto known = kept_secrets(runtime, before, name);
    if (known == nullptr) {
      std::optional<auth::ScramParameters> parameters;
      if (scram) {
        parameters = auth::ScramParameters{auth::made_up_salt(runtime.salt_secret, name),
                                           runtime.config.scram_iterations};
      }
      auto secrets = auth::UserSecrets::make(name, user.passwords, parameters);
      if (secrets.has_error()) {
        return failure("[users." + name + "]: " + secrets.error().message);
      }
      known = std::make_shared<const auth::UserSecrets>(std::move(secrets.value()));
    }
    for (const std::string& note : known->notes())
      notes.push_back("user \"" + name + "\": " + note);
    if (!known->verifiers().empty() && known->password_of(0) == nullptr) ++verifiers;
    runtime.secrets.emplace(name, std::move(known));
  }
  runtime.usual_secret = 2 * verifiers > runtime.config.users.size() ? auth::SecretKind::scram
                                                                     : auth::SecretKind::clear_text;
  return {};
}

void note_certificate(core::Runtime& runtime, const std::string& file) {
  if (file.empty()) return;
  for (const core::CertificateFacts& known : runtime.certificates) {
    if (known.file == file) return;
  }
  runtime.certificates.push_back({file, net::certificate_expiry(file)});
}

Result<void> make_tls(core::Runtime& runtime) {
  const config::Config& config = runtime.config;
  note_certificate(runtime, config.client_tls.certificate_file);
  if (!config.client_tls.certificate_file.empty()) {
    auto context = net::make_server_context(config.client_tls);
    if (context.has_error()) return failure("TLS towards clients: " + context.error().message);
    runtime.client_tls = std::move(context.value());
  }
  for (const auto& [name, database] : config.databases) {
    const config::TlsSettings& settings =
        database.server_tls ? *database.server_tls : config.server_tls;
    note_certificate(runtime, settings.certificate_file);
    auto context = net::make_client_context(settings);
    if (context.has_error()) {
      return failure("TLS towards the servers of database \"" + name +
                     "\": " + context.error().message);
    }
    runtime.server_tls.emplace(name, std::move(context.value()));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const core::Runtime>> make_runtime(config::Config config,
                                                          std::vector<std::string>& notes,
                                                          config::Sources sources,
                                                          const core::Runtime* before) {
  auto runtime = std::make_shared<core::Runtime>();
  runtime->config = std::move(config);
  runtime->sources = std::move(sources);
  // Salts that changed would tell who is listed and who is not.
  if (before != nullptr) {
    runtime->salt_secret = before->salt_secret;
  } else if (RAND_bytes(reinterpret_cast<unsigned char*>(runtime->salt_secret.data()),
                        static_cast<int>(auth::Key::kSize)) != 1) {
    return failure("the system gives no random numbers");
  }
  runtime->max_client_conn = runtime->config.max_client_conn.value_or(runtime->max_client_conn);
  runtime->own_uid = geteuid();
  const config::TenantSettings& tenants = runtime->config.tenants;
  if (!tenants.databases.empty()) {
    runtime->tenants = std::make_shared<const tenant::Policy>(tenant::policy_of(tenants));
  }
  const bool same_rules = before != nullptr && before->rules != nullptr &&
                          before->config.rules == runtime->config.rules;
  if (same_rules) {
    runtime->rules = before->rules;  // what was judged by them stays so
  } else if (!runtime->config.rules.empty()) {
    auto rules = rules::RuleSet::make(runtime->config.rules,
                                      before == nullptr ? nullptr : before->rules.get());
    if (rules.has_error()) return rules.error();
    runtime->rules = std::move(*rules);
  }
  if (const auto made = make_secrets(*runtime, before, notes); made.has_error())
    return made.error();
  if (const auto made = make_tls(*runtime); made.has_error()) return made.error();
  return std::shared_ptr<const core::Runtime>(std::move(runtime));
}

}  // namespace forebay::app
