#include "core/statistics/statement_table.hpp"

#include <algorithm>
#include <bit>

#include "forebay/base/assert.hpp"

namespace forebay::core {
namespace {

/// No longer text is kept; the rest is cut off.
constexpr std::size_t kShownMax = 1000;

void bump(std::atomic<std::uint64_t>& number, std::uint64_t more) noexcept {
  number.store(number.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

// Cut where a character begins.
std::string shortened(std::string text) {
  if (text.size() <= kShownMax) return text;
  std::size_t end = kShownMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

}  // namespace

// ---------------------------------------------------------------- histogram

std::size_t FineHistogram::bucket_of(std::uint64_t microseconds) noexcept {
  if (microseconds < 4) return static_cast<std::size_t>(microseconds);
  const auto shift = static_cast<unsigned>(std::bit_width(microseconds)) - 3;
  return std::min<std::size_t>(4 * shift + static_cast<std::size_t>(microseconds >> shift),
                               kBuckets - 1);
}

std::uint64_t FineHistogram::middle_of(std::size_t bucket) noexcept {
  if (bucket < 8) return bucket;
  const std::size_t shift = bucket / 4 - 1;
  const std::uint64_t low = std::uint64_t{bucket - 4 * shift} << shift;
  return low + (std::uint64_t{1} << shift) / 2;
}

std::uint64_t FineHistogram::quantile(const Values& values, double fraction) noexcept {
  std::uint64_t all = 0;
  for (const std::uint32_t value : values) all += value;
  if (all == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(fraction * static_cast<double>(all - 1));
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    below += values[i];
    if (below > wanted) return middle_of(i);
  }
  return middle_of(kBuckets - 1);
}

void FineHistogram::add_to(Values& values) const noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    values[i] += buckets_[i].load(std::memory_order_relaxed);
  }
}

void FineHistogram::set(const Values& values) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    buckets_[i].store(values[i], std::memory_order_relaxed);
  }
}

// ---------------------------------------------------------------- counts

std::array<std::uint64_t StatementCounts::*, StatementCounts::kMembers>
StatementCounts::members() noexcept {
  using C = StatementCounts;
  return {&C::calls, &C::errors, &C::rows,     &C::received_bytes, &C::sent_bytes,
          &C::wait,  &C::server, &C::transfer, &C::replica_calls,  &C::pins};
}

void StatementCounts::add(const StatementCounts& other) noexcept {
  for (const auto member : members()) this->*member += other.*member;
  for (std::size_t i = 0; i < histogram.size(); ++i) histogram[i] += other.histogram[i];
}

void StatementCounters::add(const TimeSplit& split, const StatementAnswer& answer,
                            std::uint64_t received, bool replica) noexcept {
  if (!answer.part) bump(numbers_[0], 1);
  if (answer.failed) bump(numbers_[1], 1);
  bump(numbers_[2], answer.rows);
  bump(numbers_[3], received);
  bump(numbers_[4], answer.bytes);
  if (split.wait > 0) bump(numbers_[5], split.wait);
  bump(numbers_[6], split.server);
  if (split.transfer > 0) bump(numbers_[7], split.transfer);
  if (replica && !answer.part) bump(numbers_[8], 1);
  if (answer.pins()) bump(numbers_[9], 1);
  if (!answer.part) histogram_.add(split.total());
}

void StatementCounters::add(const StatementCounts& counts) noexcept {
  StatementCounts sum = counts;
  add_to(sum);
  const auto names = StatementCounts::members();
  for (std::size_t i = 0; i < names.size(); ++i) {
    numbers_[i].store(sum.*names[i], std::memory_order_relaxed);
  }
  histogram_.set(sum.histogram);
}

void StatementCounters::add_to(StatementCounts& counts) const noexcept {
  const auto names = StatementCounts::members();
  for (std::size_t i = 0; i < names.size(); ++i) {
    counts.*names[i] += numbers_[i].load(std::memory_order_relaxed);
  }
  histogram_.add_to(counts.histogram);
}

void StatementCounters::clear() noexcept {
  for (auto& number : numbers_) number.store(0, std::memory_order_relaxed);
  histogram_.clear();
}

// ---------------------------------------------------------------- the table

std::uint64_t shape_number(const sql::Shape& shape) {
  return sql::hash_of(shape.key(), {}).low;
}

std::string shape_text(const sql::Shape& shape) {
  return shortened(sql::printable(shape.key().substr(0, 2 * kShownMax)));
}

StatementEntryRef StatementTable::find(const sql::Shape& shape, std::uint64_t pool,
                                       const PoolStatistics& of) {
  if (shape.fault() != sql::ShapeFault::none) return nullptr;
  const StatementEntry::Key key{shape.hash(), pool};
  if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second;
  StatementEntryRef entry(new StatementEntry);
  entry->key = key;
  entry->shape = shape_number(shape);
  entry->text = shape_text(shape);
  entry->database = of.database;
  entry->user = of.user;
  return entry;
}

void StatementTable::count(StatementEntry* entry, const TimeSplit& split,
                           const StatementAnswer& answer, std::uint64_t received, Instant now,
                           bool replica) noexcept {
  if (reset_.load(std::memory_order_relaxed)) clear();
  if (entry != nullptr && entry->text.empty()) entry = nullptr;  // only for the audit log
  if (entry != nullptr && !entry->listed) {
    // Another of its shape may have taken its place meanwhile.
    const auto found = by_key_.find(entry->key);
    if (found != by_key_.end()) {
      entry = found->second;
    } else {
      admit(entry);
    }
  }
  if (entry == nullptr || !entry->listed) {
    other_.add(split, answer, received, replica);
    return;
  }
  entry->counters.add(split, answer, received, replica);
  entry->last_seen.store(now, std::memory_order_relaxed);
  if (entry->first_seen.load(std::memory_order_relaxed) == Instant{}) {
    entry->first_seen.store(now, std::memory_order_relaxed);
    entry->weight = std::max(entry->weight, split.total() + 1);
  } else {
    entry->weight += split.total() + 1;
  }
}

// The order of the heap.
bool StatementTable::heavier(const Place& one, const Place& other) noexcept {
  if (one.weight != other.weight) return one.weight > other.weight;
  return one.since > other.since;
}

void StatementTable::admit(const StatementEntryRef& entry) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;  // somebody reads: this one counts with the others
  entry->weight = list_.size() < max_ ? 0 : make_room();
  list_.push_back({entry->weight, ++admitted_, entry});
  std::push_heap(list_.begin(), list_.end(), heavier);
  entry->listed = true;
  by_key_.emplace(entry->key, entry.get());
}

// The lightest loses its place. Gives what it weighed.
std::uint64_t StatementTable::make_room() noexcept {
  for (;;) {
    std::pop_heap(list_.begin(), list_.end(), heavier);
    Place& last = list_.back();
    if (last.weight == last.entry->weight) break;
    last.weight = last.entry->weight;
    std::push_heap(list_.begin(), list_.end(), heavier);
  }
  const StatementEntryRef leaving = std::move(list_.back().entry);
  list_.pop_back();
  StatementCounts counts;
  leaving->counters.add_to(counts);
  other_.add(counts);
  leaving->counters.clear();
  leaving->first_seen.store(Instant{}, std::memory_order_relaxed);
  leaving->listed = false;
  by_key_.erase(leaving->key);
  return leaving->weight;
}

void StatementTable::clear() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;  // with the next statement
  for (const auto& [weight, since, entry] : list_) {
    entry->listed = false;
    entry->counters.clear();
    entry->first_seen.store(Instant{}, std::memory_order_relaxed);
  }
  list_.clear();
  by_key_.clear();
  other_.clear();
  reset_.store(false, std::memory_order_relaxed);
}

void StatementTable::report(std::vector<StatementRow>& rows, StatementCounts& other) const {
  const std::lock_guard lock(mutex_);
  if (reset_.load(std::memory_order_relaxed)) return;
  for (const auto& [weight, since, entry] : list_) {
    StatementRow row{entry->shape,
                     entry->text,
                     entry->database,
                     entry->user,
                     entry->first_seen.load(std::memory_order_relaxed),
                     entry->last_seen.load(std::memory_order_relaxed),
                     {}};
    entry->counters.add_to(row.counts);
    rows.push_back(std::move(row));
  }
  other_.add_to(other);
}

}  // namespace forebay::core
