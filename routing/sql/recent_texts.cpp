#include "forebay/routing/sql/recent_texts.hpp"

#include <utility>

namespace forebay::sql {

const Facts& RecentTexts::facts(Bytes text, StandardStrings standard) {
  if (text.size() > kTextMax) return look_up(text, standard, long_);
  if (places_ == nullptr || epoch_ != cache_.epoch()) {
    places_ = std::make_unique<Place[]>(kPlaces);
    epoch_ = cache_.epoch();
  }
  const Hash128 hash = cache_.marked(hash_of(text, cache_.seed()));
  Place& place = places_[hash.low % kPlaces];
  if (place.facts != nullptr && place.hash == hash && place.standard == standard &&
      place.text == text) {
    hits_.add();
    cache_.note_hit();
    shape_ = &place.shape;
    return *place.facts;
  }
  const Facts& facts = look_up(text, standard, short_);
  if (std::exchange(place.came_once, hash.high) == hash.high && facts.known &&
      facts.bytes() + short_.literals().size_bytes() + short_.key().size() <= kRestMax) {
    keep(place, hash, text, standard, facts);
  }
  return facts;
}

const Facts& RecentTexts::look_up(Bytes text, StandardStrings standard, Shape& shape) {
  shape_ = &shape;
  return cache_.facts(text, standard, shape);
}

void RecentTexts::keep(Place& place, const Hash128& hash, Bytes text, StandardStrings standard,
                       const Facts& facts) {
  place.hash = hash;
  place.text = text;
  place.standard = standard;
  place.facts = FactsPtr(&facts);
  std::swap(place.shape, short_);
  shape_ = &place.shape;
}

}  // namespace forebay::sql
