#include "core/statistics/statement_leaders.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace forebay::core {
namespace {

void add_more(std::uint64_t& shown, std::uint64_t& seen, std::uint64_t now) noexcept {
  if (now > seen) shown += now - seen;
  seen = now;
}

}  // namespace

std::vector<StatementRow> StatementLeaders::follow(const std::vector<StatementRow>& rows,
                                                   std::size_t max) {
  const std::lock_guard lock(mutex_);
  std::set<Key> present;
  for (const StatementRow& row : rows) {
    const Key key(row.shape, row.database, row.user);
    present.insert(key);
    auto [found, fresh] = leaders_.try_emplace(key);
    auto& [shown, seen] = found->second;
    if (fresh) {
      shown = {row.shape, row.text, row.database, row.user, row.first_seen, row.last_seen, {}};
    }
    shown.last_seen = row.last_seen;
    for (const auto member : StatementCounts::members()) {
      add_more(shown.counts.*member, seen.*member, row.counts.*member);
    }
  }
  // What no table has begins there at nothing when it comes back.
  for (auto& [key, leader] : leaders_) {
    if (!present.contains(key)) leader.seen = {};
  }
  std::vector<std::pair<std::uint64_t, const Key*>> order;
  order.reserve(leaders_.size());
  for (const auto& [key, leader] : leaders_) {
    order.emplace_back(leader.row.counts.total(), &key);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& one, const auto& other) { return one.first > other.first; });
  std::vector<StatementRow> first;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto found = leaders_.find(*order[i].second);
    if (i < max) first.push_back(found->second.row);
    if (i >= kFollowed * max) leaders_.erase(found);
  }
  return first;
}

}  // namespace forebay::core
