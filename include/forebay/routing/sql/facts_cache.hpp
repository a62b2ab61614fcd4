#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "forebay/base/counter.hpp"
#include "forebay/routing/sql/facts.hpp"

namespace forebay::sql {

/// Facts by shape: one for each worker, used by its thread only. Holds at most so many bytes, keys
/// and table included; the clock algorithm decides what goes.
///
/// A hit compares the whole key, so that a verdict never rests on a hash alone. A text that the
/// parser rejects is remembered as that text and not as its shape: a client that sends nonsense
/// in the shape of another's statement changes nothing for the other.
class FactsCache {
 public:
  FactsCache(std::size_t byte_max, HashSeed seed);
  ~FactsCache();
  FactsCache(const FactsCache&) = delete;
  FactsCache& operator=(const FactsCache&) = delete;

  /// The shape of `text` into `shape`, and its facts; parses where it must. The reference is good
  /// until the next call; keep a FactsPtr for longer.
  const Facts& facts(Bytes text, StandardStrings standard, Shape& shape);

  void clear() noexcept;
  /// Another one after each clear(): what was known before is not to be used.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  /// Somebody in front of the cache knew a text that is here, or was.
  void note_hit() noexcept { counters_.hits.add(); }

  /// From now on texts are also judged by a policy for tenants; null for none. What was judged by
  /// another one stays, and is found when that is back.
  void set_policy(const std::shared_ptr<const tenant::Policy>& policy) {
    if (policy != policy_) change_policy(policy);
  }
  [[nodiscard]] const tenant::Policy* policy() const noexcept { return policy_.get(); }

  [[nodiscard]] const HashSeed& seed() const noexcept { return seed_; }
  /// A hash of a text or shape that what is known of it by the policy at hand is found by: no other
  /// policy has the same for it.
  [[nodiscard]] Hash128 marked(Hash128 hash) const noexcept {
    return {hash.high ^ policy_mark_, hash.low ^ policy_mark_};
  }
  [[nodiscard]] std::size_t byte_max() const noexcept { return byte_max_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Whether every entry can be found and the sums are right. Looks at all of it: for tests.
  [[nodiscard]] bool consistent() const noexcept;

  struct Counters {
    Counter hits;
    Counter misses;    ///< not there: parsed
    Counter rejected;  ///< of the misses: not understood
    Counter refused;   ///< too large, malformed, too deep: not even looked up
    Counter evicted;
  };
  /// May be read by any thread.
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Entry;
  struct Slot {
    Hash128 hash;
    Entry* entry = nullptr;
  };

  void change_policy(const std::shared_ptr<const tenant::Policy>& policy);
  Entry* find(const Hash128& hash, Bytes key, bool text) noexcept;
  const Facts& parsed(Bytes text, StandardStrings standard, const Shape& shape);
  void add(const Hash128& hash, Bytes key, bool text, FactsPtr facts);
  void place(const Hash128& hash, Entry* entry) noexcept;
  void grow();
  void evict_one() noexcept;
  void remove(std::size_t at) noexcept;

  std::size_t byte_max_;
  HashSeed seed_;
  std::shared_ptr<const tenant::Policy> policy_;
  std::uint64_t policy_mark_ = 0;  ///< 0: of none
  /// Of policies that are in use somewhere.
  struct Marked {
    std::weak_ptr<const tenant::Policy> policy;
    std::uint64_t mark;
  };
  std::vector<Marked> marks_;
  std::uint64_t last_mark_ = 0;
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::size_t hand_ = 0;
  std::uint64_t epoch_ = 0;
  FactsPtr last_;  // what was handed out and is not in the table
  FactsPtr refused_[4];
  Counters counters_;
};

}  // namespace forebay::sql
