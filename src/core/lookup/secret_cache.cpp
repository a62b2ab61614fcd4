#include "core/lookup/secret_cache.hpp"

#include <chrono>
#include <utility>

namespace forebay::core {
namespace {

/// Wrong passwords do not make anybody ask more often than this.
constexpr auto kSettled = std::chrono::seconds(1);

}  // namespace

std::optional<SecretCache::Answer> SecretCache::find(const LookupKey& key, Instant now) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || now >= found->second.until) return std::nullopt;
  return found->second.answer;
}

void SecretCache::put(const LookupKey& key, Answer answer, Instant asked, Instant until) {
  const std::lock_guard lock(mutex_);
  if (const auto before = entries_.find(key); before != entries_.end()) erase(before);
  if (until <= asked) return;
  Order& order = order_of(answer);
  const std::size_t most = answer.secrets == nullptr ? kUnknownMax : kKnownMax;
  if (order.size() >= most) erase(entries_.find(order.front()));
  order.push_back(key);
  entries_.emplace(key, Entry{std::move(answer), asked, until, std::prev(order.end())});
}

void SecretCache::doubt(const LookupKey& key, Instant now) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found != entries_.end() && now - found->second.asked >= kSettled) erase(found);
}

void SecretCache::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  known_.clear();
  unknown_.clear();
}

std::size_t SecretCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void SecretCache::erase(Entries::iterator entry) {
  order_of(entry->second.answer).erase(entry->second.place);
  entries_.erase(entry);
}

}  // namespace forebay::core
