#include "core/statistics/pool_leaders.hpp"

#include <algorithm>
#include <utility>

#include "core/statistics/label_names.hpp"

namespace forebay::core {
namespace {

template <class Members, class Member>
std::size_t index_of(const Members& members, Member member) noexcept {
  return static_cast<std::size_t>(std::ranges::find(members, member) - members.begin());
}

void add_errors(PoolSums::Errors& into, const PoolSums::Errors& from) {
  for (const auto& [code, count] : from) into[code] += count;
}

void subtract_errors(PoolSums::Errors& from, const PoolSums::Errors& before) {
  for (const auto& [code, count] : before) from[code] -= count;
}

void cap_errors(PoolSums::Errors& errors, std::set<std::string>& codes) {
  PoolSums::Errors capped;
  for (const auto& [code, count] : errors) {
    const bool own = codes.contains(code) ||
                     (code != LabelNames::kOther && codes.size() < PoolLeaders::kCodesMax &&
                      codes.insert(code).second);
    capped[own ? code : LabelNames::kOther] += count;
  }
  errors = std::move(capped);
}

// Counters of pools that are gone tell few codes apart, and some that were told apart before may
// now be among their others.
void never_less(PoolSums::Errors& errors, PoolSums::Errors& shown) {
  for (auto& [code, count] : shown) errors[code] = std::max(errors[code], count);
  shown = errors;
}

}  // namespace

std::uint64_t PoolSums::of(Counter PoolCounters::*member) const noexcept {
  return counters[index_of(kPoolCounters, member)];
}

const PoolSums::Times& PoolSums::of(TimeHistogram PoolCounters::*member) const noexcept {
  return histograms[index_of(kPoolHistograms, member)];
}

void PoolSums::take(const PoolStatistics& from) {
  from.each([&](const PoolCounters& its) {
    for (std::size_t i = 0; i < counters.size(); ++i) {
      counters[i] += (its.*kPoolCounters[i]).value();
    }
    for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] += its.kinds[i].value();
    for (std::size_t i = 0; i < histograms.size(); ++i) {
      const TimeHistogram& histogram = its.*kPoolHistograms[i];
      Times& times = histograms[i];
      for (std::size_t j = 0; j < times.buckets.size(); ++j) {
        times.buckets[j] += histogram.bucket(j);
      }
      times.sum += histogram.sum();
    }
    its.server_errors.each([&](const auto& code, auto count) { server_errors[code] += count; });
    its.own_errors.each([&](const auto& code, auto count) { own_errors[code] += count; });
  });
}

PoolSums& PoolSums::operator+=(const PoolSums& other) {
  for (std::size_t i = 0; i < counters.size(); ++i) counters[i] += other.counters[i];
  for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] += other.kinds[i];
  for (std::size_t i = 0; i < histograms.size(); ++i) {
    Times& times = histograms[i];
    const Times& its = other.histograms[i];
    for (std::size_t j = 0; j < times.buckets.size(); ++j) times.buckets[j] += its.buckets[j];
    times.sum += its.sum;
  }
  add_errors(server_errors, other.server_errors);
  add_errors(own_errors, other.own_errors);
  return *this;
}

PoolSums& PoolSums::operator-=(const PoolSums& before) {
  for (std::size_t i = 0; i < counters.size(); ++i) counters[i] -= before.counters[i];
  for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] -= before.kinds[i];
  for (std::size_t i = 0; i < histograms.size(); ++i) {
    Times& times = histograms[i];
    const Times& its = before.histograms[i];
    for (std::size_t j = 0; j < times.buckets.size(); ++j) times.buckets[j] -= its.buckets[j];
    times.sum -= its.sum;
  }
  subtract_errors(server_errors, before.server_errors);
  subtract_errors(own_errors, before.own_errors);
  return *this;
}

void PoolLeaders::Codes::cap(PoolSums& sums) {
  cap_errors(sums.server_errors, server);
  cap_errors(sums.own_errors, own);
}

std::unique_ptr<const PoolSums> PoolLeaders::less(const PoolSums& now, const PoolSums* before) {
  auto left = std::make_unique<PoolSums>(now);
  if (before != nullptr) *left -= *before;
  return left;
}

// Those that may lead. What is gone is with the others for good.
std::vector<PoolLeaders::Candidate> PoolLeaders::candidates(const PoolDirectory::Statistics& all,
                                                            PoolSums& others) {
  std::vector<Candidate> candidates;
  for (const auto& [key, statistics] : all) {
    if (key.reader == PoolKey::kGone) {
      others.take(*statistics);
      continue;
    }
    if (statistics->blank()) continue;
    Place& place = places_[key];
    if (place.of.lock() != statistics) {
      place = {};
      place.of = statistics;
    }
    place.round = round_;
    candidates.push_back(
        {&key, statistics.get(), &place, statistics->sum(&PoolCounters::transactions)});
  }
  return candidates;
}

std::vector<PoolLeaders::Row> PoolLeaders::follow(const PoolDirectory::Statistics& all,
                                                  std::size_t max) {
  ++round_;
  Row others{{LabelNames::kOther, LabelNames::kOther}, true, {}};
  std::vector<Candidate> candidates = this->candidates(all, others.sums);
  const bool gone = !all.empty() && all.back().first.reader == PoolKey::kGone;
  std::erase_if(places_, [&](const auto& entry) { return entry.second.round != round_; });
  if (candidates.size() > max) {
    // Who has no row has to do twice as much as one who has.
    const auto claim = [](const Candidate& one) {
      return one.place->leads ? 2 * one.weight + 1 : one.weight;
    };
    std::ranges::nth_element(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(max),
                             std::ranges::greater(), claim);
  }
  std::vector<Row> rows;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Place& place = *candidates[i].place;
    PoolSums now;
    now.take(*candidates[i].statistics);
    const bool leads = i < max;
    if (place.known && place.leads != leads) place.otherwise = less(now, place.otherwise.get());
    place.known = true;
    place.leads = leads;
    if (leads) candidates[i].statistics->show(true);
    if (place.otherwise != nullptr) now -= *place.otherwise;
    if (!leads) {
      others.sums += now;
      continue;
    }
    if (place.otherwise != nullptr) others.sums += *place.otherwise;
    place.codes.cap(now);
    rows.push_back({*candidates[i].key, false, std::move(now)});
  }
  other_codes_.cap(others.sums);
  never_less(others.sums.server_errors, other_server_errors_);
  never_less(others.sums.own_errors, other_own_errors_);
  others_shown_ = others_shown_ || candidates.size() > max || gone;
  if (others_shown_) {
    rows.push_back(std::move(others));
  }
  return rows;
}

}  // namespace forebay::core
