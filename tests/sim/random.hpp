#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace forebay::test {

/// The randomness of a run: the same seed gives the same run, on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// 0 to n - 1.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
  bool chance(unsigned percent) { return below(100) < percent; }
  bool one_in(std::size_t n) { return below(n) == 0; }
  /// How much of `all` is done at a time: often all of it, often one.
  std::size_t part_of(std::size_t all) {
    switch (below(4)) {
      case 0:
        return 1;
      case 1:
        return 1 + below(all);
      default:
        return all;
    }
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace forebay::test
