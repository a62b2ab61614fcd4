#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/engine/journal.hpp"

namespace forebay::app {

/// Which lines of the log are written: of each event so many a second, so that a flood of one hides
/// no other, and costs little. What is left out is counted. Thread-safe; time is an argument.
class EventLimits {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// An event that was rare may come so many seconds' worth at once.
  static constexpr std::uint32_t kBurstSeconds = 10;
  /// Events are words of ours. If they ever are not, what is beyond these is one.
  static constexpr std::size_t kEventsMax = 128;
  /// While a flood lasts, it is told of with each of so many looks.
  static constexpr unsigned kLooksMax = 10;

  /// Lines a second; 0: all are written.
  void set_rate(std::uint32_t rate);

  /// Whether a line of this event is to be written; counts it where it is not.
  bool admit(std::string_view event, core::Weight weight, Time now);

  struct LeftOut {
    std::string event;
    core::Weight weight = core::Weight::detail;  ///< of the most important one
    std::uint64_t lines = 0;
  };
  /// What is to be said now of lines that were left out: of an event of which no more was left out
  /// since the last look, or at last. Called now and then.
  std::vector<LeftOut> look();
  /// The same of all: it is the last look.
  std::vector<LeftOut> rest();

  /// Lines left out since the start, by event.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> totals() const;

 private:
  struct Bucket {
    double lines = 0;  ///< that may come now
    Time filled{};
    std::uint64_t total = 0;  ///< left out
    std::uint64_t told = 0;   ///< of these
    std::uint64_t seen = 0;   ///< of these, with the last look
    unsigned looks = 0;       ///< since something was told or is to be told
    core::Weight weight = core::Weight::detail;
  };
  static LeftOut tell(const std::string& event, Bucket& bucket);

  mutable std::mutex mutex_;
  double rate_ = 0;
  std::map<std::string, Bucket, std::less<>> buckets_;
};

}  // namespace forebay::app
