#pragma once

#include <atomic>
#include <compare>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "forebay/auth/user_secrets.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

/// Where the secrets of users are looked up that the configuration does not list.
struct LookupPlace {
  std::string database;  ///< as clients would name it
  std::string user;      ///< auth_user
  std::string query;     ///< auth_query
  auto operator<=>(const LookupPlace&) const = default;
};

struct LookupKey {
  LookupPlace place;
  std::string user;  ///< whose secret it is
  auto operator<=>(const LookupKey&) const = default;
};

/// What auth_query has answered, for as long as that holds. Thread-safe. Clients choose the names
/// that are asked for, so there is room for so many only; the names of nobody have room of their
/// own, so that they displace nobody.
class SecretCache {
 public:
  static constexpr std::size_t kKnownMax = 10'000;
  static constexpr std::size_t kUnknownMax = 1'000;

  struct Answer {
    std::shared_ptr<const auth::UserSecrets> secrets;  ///< null: there is no such user
  };
  [[nodiscard]] std::optional<Answer> find(const LookupKey& key, Instant now) const;
  void put(const LookupKey& key, Answer answer, Instant asked, Instant until);
  /// Somebody failed to show this secret: it may have been changed. Asked for again, unless that
  /// was done only just.
  void doubt(const LookupKey& key, Instant now);
  void clear();
  [[nodiscard]] std::size_t size() const;

  /// What unknown users are taken to have stored: what the last known one has.
  [[nodiscard]] auth::SecretKind usual_kind() const noexcept {
    return usual_kind_.load(std::memory_order_relaxed);
  }
  void note_kind(auth::SecretKind kind) noexcept {
    usual_kind_.store(kind, std::memory_order_relaxed);
  }

 private:
  using Order = std::list<LookupKey>;  ///< oldest first
  struct Entry {
    Answer answer;
    Instant asked;
    Instant until;
    Order::iterator place;
  };
  using Entries = std::map<LookupKey, Entry>;

  Order& order_of(const Answer& answer) { return answer.secrets == nullptr ? unknown_ : known_; }
  void erase(Entries::iterator entry);

  mutable std::mutex mutex_;
  Entries entries_;
  Order known_;
  Order unknown_;
  std::atomic<auth::SecretKind> usual_kind_{auth::SecretKind::scram};
};

}  // namespace forebay::core
