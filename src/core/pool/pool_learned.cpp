#include <utility>

#include "core/pool/pool.hpp"

// What a pool has learned: from clients' logins, and from its servers.
namespace forebay::core {
namespace {

/// So many accepted sets of settings are remembered.
constexpr std::size_t kAcceptedMax = 1000;

}  // namespace

bool Pool::has_login() const {
  const std::lock_guard lock(mutex_);
  return has_login_locked();
}

std::optional<auth::Credential> Pool::credential() const {
  const std::lock_guard lock(mutex_);
  return credential_;
}

void Pool::learn_credential(auth::Credential credential) {
  for (const auto& reader : readers()) reader->learn_credential(credential);
  const std::lock_guard lock(mutex_);
  if (credential_ && !learned_) return;  // configured
  credential_ = std::move(credential);
  learned_ = true;
}

auth::ScramKeys Pool::scram_keys(const auth::Password& password, const auth::KeyRequest& request) {
  {
    const std::lock_guard lock(mutex_);
    if (const auth::ScramKeys* keys = keys_.find(request)) return *keys;
  }
  auth::ScramKeys keys = auth::derive_keys(password, request.salt, request.iterations);
  const std::lock_guard lock(mutex_);
  keys_.remember(request, keys);
  return keys;
}

WelcomeRef Pool::welcome() const {
  const std::lock_guard lock(mutex_);
  return welcome_;
}

WelcomeRef Pool::alone(Welcome welcome) {
  welcome.render();
  return std::make_shared<const Welcome>(std::move(welcome));
}

WelcomeRef Pool::learn_welcome(Welcome welcome) {
  if (const auto primary = primary_.lock()) {
    if (const WelcomeRef known = primary->welcome()) {
      for (auto& [name, value] : welcome.parameters) {
        const std::string* told = is_server_fact(name) ? known->find(name) : nullptr;
        if (told != nullptr) value = *told;
      }
      if (*known == welcome) return known;
    }
  }
  const std::lock_guard lock(mutex_);
  if (welcome_ == nullptr || *welcome_ != welcome) {
    welcome.render();
    welcome_ = std::make_shared<const Welcome>(std::move(welcome));
    accepted_.clear();
  }
  return welcome_;
}

std::optional<Pool::Reported> Pool::accepted(const ParameterSetRef& settings) const {
  const std::lock_guard lock(mutex_);
  const auto found = accepted_.find(settings.get());
  if (found == accepted_.end()) return std::nullopt;
  return found->second.second;
}

void Pool::learn_accepted(ParameterSetRef settings, Reported reported) {
  const std::lock_guard lock(mutex_);
  if (accepted_.size() >= kAcceptedMax) accepted_.clear();
  const ParameterSet* key = settings.get();
  accepted_.insert_or_assign(key, std::pair(std::move(settings), std::move(reported)));
}

Instant Pool::trusted_until() const {
  const std::lock_guard lock(mutex_);
  return trusted_until_;
}

void Pool::learn_trusted(Instant until) {
  const std::lock_guard lock(mutex_);
  trusted_until_ = until;
}

}  // namespace forebay::core
