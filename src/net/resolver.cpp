#include "forebay/net/resolver.hpp"

#include <algorithm>
#include <utility>

namespace forebay::net {

using std::chrono::steady_clock;

namespace {

/// As they stood before, and new ones behind them. Name servers turn addresses round; who connects
/// is to come to the same server as those before, above all as the monitor.
Resolver::Addresses in_order_of(const Resolver::Addresses& before, Resolver::Addresses found) {
  const auto place = [&before](const std::string& address) {
    return std::ranges::find(before, address) - before.begin();
  };
  std::ranges::stable_sort(found, {}, place);
  return found;
}

}  // namespace

Resolver::Resolver(LookUp look_up, Duration keep) : look_up_(std::move(look_up)), keep_(keep) {}

void Resolver::keep_for(Duration good, Duration bad) {
  const std::lock_guard lock(mutex_);
  keep_ = good;
  keep_bad_ = bad;
}

void Resolver::resolve(const std::string& host, Answer answer) {
  std::optional<Result<Addresses>> known;
  {
    const std::lock_guard lock(mutex_);
    const Instant now = steady_clock::now();
    Name& name = names_[host];
    if (name.good && now < std::max(name.good_until, name.bad_until)) {
      known = *name.good;
    } else if (!name.bad.empty() && now < name.bad_until) {
      known = failure(name.bad);
    } else {
      name.waiting.push_back(std::move(answer));
      if (name.waiting.size() > 1) return;  // the answer to the first is theirs, too
    }
  }
  // Outside of the lock: both may call back here.
  if (known) return answer(*known);
  look_up_(host, [this, host](const Result<Addresses>& found) { looked_up(host, found); });
}

void Resolver::unreachable(const std::string& host) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(host);
  if (found == names_.end()) return;
  Name& name = found->second;
  name.good_until = std::min(name.good_until, name.good_since + kLookAgain);
}

void Resolver::refresh() {
  std::vector<std::string> due;
  {
    const std::lock_guard lock(mutex_);
    const Instant now = steady_clock::now();
    for (const auto& [host, name] : names_) {
      if (name.good && now >= name.good_until && name.waiting.empty()) due.push_back(host);
    }
  }
  for (const std::string& host : due) resolve(host, [](const Result<Addresses>&) {});
}

std::vector<Resolver::Known> Resolver::known() const {
  const std::lock_guard lock(mutex_);
  std::vector<Known> result;
  for (const auto& [host, name] : names_) {
    if (name.good) result.push_back({host, *name.good, name.good_until - steady_clock::now()});
  }
  return result;
}

void Resolver::looked_up(const std::string& host, const Result<Addresses>& found) {
  std::vector<Answer> waiting;
  Result<Addresses> told = failure("");
  bool moved = false;
  {
    const std::lock_guard lock(mutex_);
    Name& name = names_[host];
    waiting.swap(name.waiting);
    const Instant now = steady_clock::now();
    if (found && !found->empty()) {
      moved = name.good && !std::ranges::is_permutation(*name.good, *found);
      name.good = in_order_of(name.good.value_or(Addresses()), *found);
      name.good_since = now;
      name.good_until = now + keep_;
      name.bad.clear();
      name.bad_until = {};
    } else {
      name.bad = "could not resolve host name \"" + host +
                 "\": " + (found ? "it has no address" : found.error().message);
      name.bad_until = now + keep_bad_;
    }
    if (name.good) {
      told = *name.good;
    } else {
      told = failure(name.bad);
    }
  }
  if (moved && moved_) moved_(host, *told);
  for (const Answer& answer : waiting) answer(told);
}

}  // namespace forebay::net
