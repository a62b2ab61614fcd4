#include "forebay/net/resolver.hpp"

#include <utility>

namespace forebay::net {

using std::chrono::steady_clock;

Resolver::Resolver(LookUp look_up, Duration keep) : look_up_(std::move(look_up)), keep_(keep) {}

void Resolver::resolve(const std::string& host, Answer answer) {
  std::optional<Addresses> known;
  {
    const std::lock_guard lock(mutex_);
    Name& name = names_[host];
    if (name.good && steady_clock::now() < name.good_until) {
      known = name.good;
    } else {
      name.waiting.push_back(std::move(answer));
      if (name.waiting.size() > 1) return;  // the answer to the first is theirs, too
    }
  }
  // Outside of the lock: both may call back here.
  if (known) return answer(*known);
  look_up_(host, [this, host](const Result<Addresses>& found) { looked_up(host, found); });
}

void Resolver::looked_up(const std::string& host, const Result<Addresses>& found) {
  std::vector<Answer> waiting;
  Result<Addresses> told = failure("");
  {
    const std::lock_guard lock(mutex_);
    Name& name = names_[host];
    waiting.swap(name.waiting);
    if (found && !found->empty()) {
      name.good = *found;
      name.good_until = steady_clock::now() + keep_;
    }
    if (name.good) {
      told = *name.good;
    } else {
      told = failure("could not resolve host name \"" + host +
                     "\": " + (found ? "it has no address" : found.error().message));
    }
  }
  for (const Answer& answer : waiting) answer(told);
}

}  // namespace forebay::net
