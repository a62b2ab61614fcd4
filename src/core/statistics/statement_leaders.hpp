#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "core/statistics/statement_entry.hpp"

namespace forebay::core {

/// The statements that take most time, with counters which never go back, whatever the tables of
/// the workers forget: what a table has is looked at each time, and what is more there is added.
/// Thread-safe.
class StatementLeaders {
 public:
  /// So many times as many as are shown are followed, so that one which is shown again goes on
  /// where it was.
  static constexpr std::size_t kFollowed = 4;

  /// The first `max`. Their histograms stay empty.
  std::vector<StatementRow> follow(const std::vector<StatementRow>& rows, std::size_t max);

 private:
  using Key = std::tuple<std::uint64_t, std::string, std::string>;
  struct Leader {
    StatementRow row;
    StatementCounts seen;
  };

  std::mutex mutex_;
  std::map<Key, Leader> leaders_;
};

}  // namespace forebay::core
