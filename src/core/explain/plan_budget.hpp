#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "forebay/base/time.hpp"

namespace forebay::core {

/// How many plans the process may ask for, and of what: so many a minute, and one of each shape in
/// a while. Any thread.
class PlanBudget {
 public:
  static constexpr Duration kShapeEvery = std::chrono::minutes(10);
  /// Shapes that are remembered. Who has more sees the oldest explained again sooner.
  static constexpr std::size_t kShapesMax = 1000;

  /// Which statement: by its shape, in one pool.
  struct Key {
    std::uint64_t shape = 0;
    std::uint64_t pool = 0;
    bool operator==(const Key&) const noexcept = default;
  };

  /// Empty: it may be asked for, which counts. Else why not.
  std::string_view take(Key key, Instant now, std::uint32_t per_minute);
  /// It was not asked for after all.
  void give_back(Key key);

 private:
  struct Asked {
    Key key;
    Instant at{};
  };
  std::mutex mutex_;
  std::vector<Asked> asked_;  ///< the oldest first
  Instant minute_{};          ///< when the minute at hand began
  std::uint32_t count_ = 0;   ///< asked for in it
};

}  // namespace forebay::core
