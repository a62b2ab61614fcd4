#include "forebay/routing/sql/facts_cache.hpp"

#include <cstring>
#include <utility>

#include "forebay/base/assert.hpp"

namespace forebay::sql {
namespace {

constexpr std::size_t kSlotsMin = 64;
// What is larger than this part of the whole is not kept: one statement must not empty the cache.
constexpr std::size_t kShareMax = 8;
constexpr std::size_t kAllocation = 16;

}  // namespace

/// One shape with its key behind it in the same block, or one rejected text.
struct FactsCache::Entry {
  FactsPtr facts;
  std::uint32_t key_size = 0;
  std::uint32_t bytes = 0;
  bool text = false;  // a rejected text, which has no key
  bool used = false;  // since the hand went past

  [[nodiscard]] char* key_begin() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] Bytes key() noexcept { return {key_begin(), key_size}; }

  static Entry* make(Bytes key) {
    Entry* entry = new (::operator new(sizeof(Entry) + key.size())) Entry;
    entry->key_size = static_cast<std::uint32_t>(key.size());
    if (!key.empty()) std::memcpy(entry->key_begin(), key.data(), key.size());
    return entry;
  }
  static void end(Entry* entry) noexcept {
    entry->~Entry();
    ::operator delete(entry);
  }
};

FactsCache::FactsCache(std::size_t byte_max, HashSeed seed) : byte_max_(byte_max), seed_(seed) {
  clear();
}

FactsCache::~FactsCache() {
  for (const Slot& slot : slots_) {
    if (slot.entry != nullptr) Entry::end(slot.entry);
  }
}

void FactsCache::clear() noexcept {
  for (Slot& slot : slots_) {
    if (slot.entry != nullptr) Entry::end(std::exchange(slot.entry, nullptr));
  }
  slots_.assign(kSlotsMin, Slot{});
  slots_.shrink_to_fit();
  size_ = hand_ = 0;
  ++epoch_;
  bytes_ = slots_.size() * sizeof(Slot);
}

void FactsCache::change_policy(const std::shared_ptr<const tenant::Policy>& policy) {
  policy_ = policy;
  policy_mark_ = 0;
  if (policy == nullptr) return;
  std::erase_if(marks_, [](const Marked& each) { return each.policy.expired(); });
  for (const Marked& each : marks_) {
    if (each.policy.lock() == policy) policy_mark_ = each.mark;
  }
  if (policy_mark_ != 0) return;
  policy_mark_ = ++last_mark_;
  marks_.push_back({policy, policy_mark_});
}

const Facts& FactsCache::facts(Bytes text, StandardStrings standard, Shape& shape) {
  lex(text, standard, seed_, shape);
  if (shape.fault() != ShapeFault::none) {
    counters_.refused.add();
    FactsPtr& facts = refused_[static_cast<std::size_t>(shape.fault())];
    if (facts == nullptr) facts = understand(text, standard, shape);
    return *facts;
  }
  if (Entry* entry = find(marked(shape.hash()), shape.key(), false)) {
    counters_.hits.add();
    return *entry->facts;
  }
  return parsed(text, standard, shape);
}

const Facts& FactsCache::parsed(Bytes text, StandardStrings standard, const Shape& shape) {
  // Only texts that were rejected are kept as texts.
  const Hash128 hash = marked(hash_of(text, {seed_.second, seed_.first}));
  if (Entry* entry = find(hash, {}, true)) {
    counters_.hits.add();
    return *entry->facts;
  }
  counters_.misses.add();
  last_ = understand(text, standard, shape, policy_.get());
  if (last_->known) {
    add(marked(shape.hash()), shape.key(), false, last_);
  } else {
    counters_.rejected.add();
    add(hash, {}, true, last_);
  }
  return *last_;
}

bool FactsCache::consistent() const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t count = 0;
  std::size_t bytes = slots_.size() * sizeof(Slot);
  for (std::size_t at = 0; at < slots_.size(); ++at) {
    if (slots_[at].entry == nullptr) continue;
    ++count;
    bytes += slots_[at].entry->bytes;
    for (std::size_t way = slots_[at].hash.low & mask; way != at; way = (way + 1) & mask) {
      if (slots_[way].entry == nullptr) return false;
    }
  }
  return count == size_ && bytes == bytes_ && bytes <= byte_max_;
}

FactsCache::Entry* FactsCache::find(const Hash128& hash, Bytes key, bool text) noexcept {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash.low & mask; slots_[at].entry != nullptr; at = (at + 1) & mask) {
    if (slots_[at].hash != hash) continue;
    Entry* const entry = slots_[at].entry;
    // A shape is compared as a whole. Of a rejected text the hash must do: were it another's, that
    // text would be unknown, which is safe.
    if (entry->text == text && (text || entry->key() == key)) {
      entry->used = true;
      return entry;
    }
  }
  return nullptr;
}

void FactsCache::add(const Hash128& hash, Bytes key, bool text, FactsPtr facts) {
  const std::size_t bytes = sizeof(Entry) + key.size() + kAllocation + facts->bytes();
  if (bytes > byte_max_ / kShareMax) return;
  if (2 * (size_ + 1) > slots_.size()) grow();
  while (size_ > 0 && (bytes_ + bytes > byte_max_ || 2 * (size_ + 1) > slots_.size())) evict_one();
  if (bytes_ + bytes > byte_max_) return;
  Entry* entry = Entry::make(key);
  entry->facts = std::move(facts);
  entry->bytes = static_cast<std::uint32_t>(bytes);
  entry->text = text;
  place(hash, entry);
  bytes_ += bytes;
  ++size_;
}

void FactsCache::place(const Hash128& hash, Entry* entry) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash.low & mask;
  while (slots_[at].entry != nullptr) at = (at + 1) & mask;
  slots_[at] = {hash, entry};
}

/// Twice the slots, unless the table alone would then take half of what is allowed: then entries
/// go instead.
void FactsCache::grow() {
  const std::size_t more = slots_.size() * sizeof(Slot);
  if (4 * more > byte_max_) return;
  while (size_ > 0 && bytes_ + more > byte_max_) evict_one();
  std::vector<Slot> old(2 * slots_.size());
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.entry != nullptr) place(slot.hash, slot.entry);
  }
  bytes_ += more;
  hand_ = 0;
}

/// The hand goes round: who was used since it last came stays once more.
void FactsCache::evict_one() noexcept {
  FB_ASSERT(size_ > 0);
  for (;; hand_ = (hand_ + 1) & (slots_.size() - 1)) {
    Entry* const entry = slots_[hand_].entry;
    if (entry == nullptr) continue;
    if (!entry->used) break;
    entry->used = false;
  }
  remove(hand_);
  counters_.evicted.add();
}

/// Takes a slot out, and moves back those that stand behind their place because of it.
void FactsCache::remove(std::size_t at) noexcept {
  const std::size_t mask = slots_.size() - 1;
  bytes_ -= slots_[at].entry->bytes;
  --size_;
  Entry::end(std::exchange(slots_[at].entry, nullptr));
  for (std::size_t next = (at + 1) & mask; slots_[next].entry != nullptr;
       next = (next + 1) & mask) {
    const std::size_t home = slots_[next].hash.low & mask;
    // Whether `home` is not in (at, next], going round.
    if (((next - home) & mask) >= ((next - at) & mask)) {
      slots_[at] = std::exchange(slots_[next], Slot{});
      at = next;
    }
  }
}

}  // namespace forebay::sql
