#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "forebay/base/counter.hpp"
#include "forebay/routing/sql/facts_cache.hpp"

namespace forebay::sql {

/// Texts that come again word for word, in front of a FactsCache: most programs say the same texts
/// all the time, with parameters, and these are compared instead of lexed. A hit compares the whole
/// text. One for each worker, used by its thread only.
///
/// A text that came twice takes the place of what stands there, so that texts which never come
/// again (with their values in them) displace nothing.
class RecentTexts {
 public:
  /// Longer ones are looked up in the FactsCache.
  static constexpr std::size_t kTextMax = 4096;
  static constexpr std::size_t kPlaces = 128;
  /// What is known of a text may take so much beside it; else it is not kept here.
  static constexpr std::size_t kRestMax = 16 * 1024;

  /// `cache` outlives it.
  explicit RecentTexts(FactsCache& cache) noexcept : cache_(cache) {}

  /// As FactsCache::facts(). The reference is good until the next call, of this or of the cache's;
  /// the shape, too, until the next call of this.
  const Facts& facts(Bytes text, StandardStrings standard);
  /// The text at hand is not asked for: it cannot be lexed.
  void skip() noexcept { shape_ = &none_; }
  /// Of the text that was last asked for; without anything if it was skipped.
  [[nodiscard]] const Shape& shape() const noexcept { return *shape_; }

  /// How many texts were found here. May be read by any thread.
  [[nodiscard]] const Counter& hits() const noexcept { return hits_; }

 private:
  struct Place {
    Hash128 hash;
    std::uint64_t came_once = 0;  ///< of the hash of what came last and is not kept
    std::string text;
    StandardStrings standard = StandardStrings::on;
    FactsPtr facts;  ///< null: an empty place
    Shape shape;
  };

  const Facts& look_up(Bytes text, StandardStrings standard, Shape& shape);
  void keep(Place& place, const Hash128& hash, Bytes text, StandardStrings standard,
            const Facts& facts);

  FactsCache& cache_;
  std::uint64_t epoch_ = 0;          ///< of the cache, when `places_` was filled
  std::unique_ptr<Place[]> places_;  ///< null until it is needed
  Shape short_;                      ///< never grows beyond what kTextMax needs
  Shape long_;
  const Shape none_;
  const Shape* shape_ = &short_;
  Counter hits_;
};

}  // namespace forebay::sql
