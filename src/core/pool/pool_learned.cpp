#include <utility>

#include "core/pool/pool.hpp"

// What a pool has learned: from clients' logins, and from its servers.
namespace forebay::core {
namespace {

using std::chrono::milliseconds;

/// A host that was a standby, or not there, is not where the next login begins for so long.
constexpr milliseconds kAvoidHost{30'000};
/// So many accepted sets of settings are remembered.
constexpr std::size_t kAcceptedMax = 1000;

}  // namespace

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

std::size_t Pool::preferred_host() const {
  const std::lock_guard lock(mutex_);
  return preferred_host_;
}

void Pool::prefer_host(std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (index < terms_->target.hosts.size()) preferred_host_ = index;
}

bool Pool::avoid_host(std::size_t index, Instant now) {
  const std::lock_guard lock(mutex_);
  if (index >= terms_->target.hosts.size()) return true;  // of a list that was replaced
  avoided_until_.resize(terms_->target.hosts.size());
  avoided_until_[index] = now + kAvoidHost;
  for (std::size_t i = 1; i < terms_->target.hosts.size(); ++i) {
    const std::size_t next = (index + i) % terms_->target.hosts.size();
    if (now < avoided_until_[next]) continue;
    preferred_host_ = next;
    return true;
  }
  return false;
}

}  // namespace forebay::core
