#include "core/engine/statement_limit.hpp"

#include <algorithm>
#include <chrono>

#include "forebay/base/assert.hpp"

namespace forebay::core {
namespace {

constexpr Duration kSecond = std::chrono::seconds(1);

}  // namespace

void StatementLimit::set(const config::StatementLimits& terms, const std::string& section) {
  const std::lock_guard lock(mutex_);
  if (section != section_) section_ = section;
  if (terms.max_bytes_per_second != terms_.max_bytes_per_second) bytes_until_ = {};
  terms_ = terms;
}

config::StatementLimits StatementLimit::terms() const {
  const std::lock_guard lock(mutex_);
  return terms_;
}

std::string StatementLimit::section() const {
  const std::lock_guard lock(mutex_);
  return section_;
}

Duration StatementLimit::apart() const noexcept {
  return kSecond / terms_.max_statements_per_second;
}

// A bucket of tokens, as the moment at which it is full: each statement moves that on.
Instant StatementLimit::begin(Instant now) {
  const std::lock_guard lock(mutex_);
  if (terms_.max_statements_per_second == 0) return now;
  const Instant full = std::max(next_, now) + apart();
  const Instant at = std::max(now, full - apart() * terms_.burst());
  if (at > now + apart() * terms_.max_waiting_statements) return kNever;
  next_ = full;
  return at;
}

void StatementLimit::count_more(std::uint32_t statements, Instant now) {
  const std::lock_guard lock(mutex_);
  if (statements == 0 || terms_.max_statements_per_second == 0) return;
  const Instant most = now + apart() * terms_.burst() + kSecond;
  next_ = std::min(std::max(next_, now) + apart() * statements, std::max(next_, most));
}

// What a second has may go at once after a pause.
Instant StatementLimit::move(std::size_t bytes, Instant now) {
  const std::lock_guard lock(mutex_);
  const auto rate = static_cast<double>(terms_.max_bytes_per_second.value());
  if (rate == 0) return now;
  const double seconds = static_cast<double>(bytes) / rate;
  bytes_until_ = std::max(bytes_until_, now - kSecond) +
                 std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  return bytes_until_;
}

StatementLimit::Entered StatementLimit::enter(Ticket& ticket, bool keeps_link, bool unbounded) {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(!ticket.waiting);
  ticket.urgent = keeps_link;
  if (paused_) {
    // Who keeps a link waits with it, too, and is bound by no number: there are as many as clients.
    ticket.waiting = true;
    queue_.push_back(ticket);
    return Entered::waits;
  }
  if (keeps_link || terms_.max_statements == 0 ||
      (running_ < terms_.max_statements && queue_.empty())) {
    ++running_;
    return Entered::yes;
  }
  if (queue_.size() >= terms_.max_waiting_statements && !unbounded) return Entered::refused;
  ticket.waiting = true;
  queue_.push_back(ticket);
  return Entered::waits;
}

bool StatementLimit::withdraw(Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  if (!ticket.waiting) return false;
  ticket.waiting = false;
  queue_.erase(queue_.iterator_to(ticket));
  return true;
}

std::vector<SessionKey> StatementLimit::leave() {
  const std::lock_guard lock(mutex_);
  FB_ASSERT(running_ > 0);
  --running_;
  return serve(false);
}

std::vector<SessionKey> StatementLimit::serve(bool resumed) {
  std::vector<SessionKey> served;
  if (paused_) return served;
  for (auto place = queue_.begin(); place != queue_.end();) {
    Ticket& ticket = *place;
    const bool room = terms_.max_statements == 0 || running_ < terms_.max_statements;
    if (!room && !ticket.urgent) {
      if (!resumed) break;  // nobody urgent is left
      ++place;
      continue;
    }
    place = queue_.erase(place);
    ticket.waiting = false;
    ++running_;
    served.push_back(ticket.session);
  }
  return served;
}

std::vector<SessionKey> StatementLimit::pause(bool paused) {
  const std::lock_guard lock(mutex_);
  paused_ = paused;
  return serve(true);
}

std::vector<SessionKey> StatementLimit::admit_more() {
  const std::lock_guard lock(mutex_);
  return serve(false);
}

bool StatementLimit::paused() const {
  const std::lock_guard lock(mutex_);
  return paused_;
}

StatementLimit::Counts StatementLimit::counts() const {
  const std::lock_guard lock(mutex_);
  return {running_, queue_.size()};
}

bool StatementLimit::blank(Instant now) const {
  const std::lock_guard lock(mutex_);
  return !paused_ && running_ == 0 && queue_.empty() && next_ <= now &&
         bytes_until_ + kSecond <= now;
}

std::shared_ptr<StatementLimit> StatementLimitDirectory::find_or_make(
    const std::string& name, const std::string& section, const config::StatementLimits& terms,
    Instant now) {
  const std::lock_guard lock(mutex_);
  if (limits_.size() >= forget_at_) {
    std::erase_if(limits_, [now](const auto& entry) {
      return entry.second.use_count() == 1 && entry.second->blank(now);
    });
    forget_at_ = std::max(kForgetAt, 2 * limits_.size());
  }
  std::shared_ptr<StatementLimit>& limit = limits_[name];
  if (limit == nullptr) limit = std::make_shared<StatementLimit>(name, section);
  limit->set(terms, section);
  return limit;
}

std::vector<std::shared_ptr<const StatementLimit>> StatementLimitDirectory::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const StatementLimit>> all;
  for (const auto& [name, limit] : limits_) all.push_back(limit);
  return all;
}

}  // namespace forebay::core
