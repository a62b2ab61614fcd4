#pragma once

#include <array>
#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/statistics/statement_kind.hpp"
#include "forebay/base/time.hpp"
#include "forebay/routing/audit/events.hpp"
#include "forebay/routing/sql/shape.hpp"

namespace forebay::core {

/// Where the time of one statement went.
struct TimeSplit {
  std::uint64_t wait = 0;      ///< microseconds in which its client waited for a link
  std::uint64_t server = 0;    ///< in which the server worked on it
  std::uint64_t transfer = 0;  ///< in which one side waited for the client to read, or to send
  [[nodiscard]] std::uint64_t total() const noexcept { return wait + server + transfer; }
};

/// What a server said to a statement.
struct StatementAnswer {
  std::uint64_t bytes = 0;
  std::uint64_t rows = 0;
  bool failed = false;
  bool part = false;       ///< more of what was counted before: the next rows of a portal
  std::uint8_t marks = 0;  ///< its kind, and whether it keeps its client on the link
  std::array<char, 5> sqlstate{};

  static constexpr std::uint8_t kPins = 0x80;
  [[nodiscard]] StatementKind kind() const noexcept {
    return static_cast<StatementKind>(marks & ~kPins);
  }
  [[nodiscard]] bool pins() const noexcept { return (marks & kPins) != 0; }
  void pin() noexcept { marks |= kPins; }
  /// One of its statements is done, of which this is the tag.
  void done(std::string_view tag) noexcept {
    const StatementKind now = marks == 0 ? kind_of_tag(tag) : StatementKind::several;
    marks = static_cast<std::uint8_t>(now) | (marks & kPins);
  }

  void fail(std::string_view code) noexcept {
    failed = true;
    for (std::size_t i = 0; i < 5 && i < code.size(); ++i) sqlstate[i] = code[i];
  }
};
/// How long something took, four buckets for each power of two of microseconds: an estimate from
/// it is at most an eighth wrong.
class FineHistogram {
 public:
  static constexpr std::size_t kBuckets = 128;
  using Values = std::array<std::uint32_t, kBuckets>;

  static std::size_t bucket_of(std::uint64_t microseconds) noexcept;
  /// The middle of a bucket.
  static std::uint64_t middle_of(std::size_t bucket) noexcept;
  /// The value below which so much of all is (0.99).
  static std::uint64_t quantile(const Values& values, double fraction) noexcept;

  void add(std::uint64_t microseconds) noexcept {
    auto& bucket = buckets_[bucket_of(microseconds)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void add_to(Values& values) const noexcept;
  void set(const Values& values) noexcept;
  void clear() noexcept { set({}); }

 private:
  std::array<std::atomic<std::uint32_t>, kBuckets> buckets_{};
};

/// What is counted of one statement, or of those that have no line of their own. Microseconds.
struct StatementCounts {
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  std::uint64_t rows = 0;
  std::uint64_t received_bytes = 0;  ///< from clients
  std::uint64_t sent_bytes = 0;      ///< by servers
  std::uint64_t wait = 0;
  std::uint64_t server = 0;
  std::uint64_t transfer = 0;
  std::uint64_t replica_calls = 0;  ///< that replicas answered
  std::uint64_t pins = 0;           ///< times that it kept its client on the link
  FineHistogram::Values histogram{};

  [[nodiscard]] std::uint64_t total() const noexcept { return wait + server + transfer; }
  void add(const StatementCounts& other) noexcept;
  static constexpr std::size_t kMembers = 10;
  /// All but the histogram.
  static std::array<std::uint64_t StatementCounts::*, kMembers> members() noexcept;
};

/// The same, counted by one thread and read by any.
class StatementCounters {
 public:
  void add(const TimeSplit& split, const StatementAnswer& answer, std::uint64_t received,
           bool replica) noexcept;
  void add(const StatementCounts& counts) noexcept;
  void add_to(StatementCounts& counts) const noexcept;
  void clear() noexcept;

 private:
  std::array<std::atomic<std::uint64_t>, StatementCounts::kMembers> numbers_{};
  FineHistogram histogram_;
};

/// All executions of texts with one shape by one user in one database, on one worker. Counted by
/// references, by the worker's thread only.
class StatementEntry
    : public boost::intrusive_ref_counter<StatementEntry, boost::thread_unsafe_counter> {
 public:
  struct Key {
    sql::Hash128 shape;
    std::uint64_t pool = 0;
    bool operator==(const Key&) const noexcept = default;
  };

  Key key;
  std::uint64_t shape = 0;  ///< names the shape to people: the same in every process
  std::string text;         ///< without literals
  std::string database;
  std::string user;
  bool listed = false;        ///< in the table
  std::uint64_t weight = 0;   ///< the lightest loses its place
  audit::Events audited = 0;  ///< for these it is written to the audit log
  StatementCounters counters;
  std::atomic<Instant> first_seen{Instant{}};
  std::atomic<Instant> last_seen{Instant{}};
};
using StatementEntryRef = boost::intrusive_ptr<StatementEntry>;

/// What is worth knowing of the text of one execution.
struct StatementNote {
  std::string text;  ///< with its literals; empty where nobody wants them
  std::string traceparent;
};

/// A statement on its way.
struct StatementSent {
  Instant began{};  ///< when it was sent
  StatementEntryRef entry;
  std::unique_ptr<StatementNote> note;
  std::uint32_t bytes = 0;       ///< that the client sent for it
  std::uint32_t limit : 31 = 0;  ///< so many rows at most; 0: all
  std::uint32_t again : 1 = 0;   ///< it goes on with a portal that was executed before
};

/// A line of a report.
struct StatementRow {
  std::uint64_t shape = 0;
  std::string text;
  std::string database;
  std::string user;
  Instant first_seen{};
  Instant last_seen{};
  StatementCounts counts;
};

}  // namespace forebay::core
