#include "core/relay/side_effects.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace forebay::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Changes past Forebay show so late.
constexpr seconds kAgain{60};
/// Who changes the catalog all the time is not followed more closely.
constexpr seconds kNotBefore{10};
/// After a question that nobody wanted to answer, nor not.
constexpr seconds kSoon{1};
/// After no answer.
constexpr seconds kRetry{60};
/// A question that takes long is asked so much more rarely: a hundredth of one connection's time.
constexpr int kRarely = 100;
/// ... and after several, at most so often twice as long.
constexpr unsigned kDoublings = 5;
/// So many may ask at once before anything is known.
constexpr std::uint32_t kFirstMax = 4;
/// What clients define counts until the catalog has been asked so often.
constexpr unsigned kAnswersMax = 5;
constexpr std::size_t kRecentMax = 256;

std::uint32_t next_serial() noexcept {
  static std::atomic<std::uint32_t> last{0};
  return ++last;
}

bool is_same(const SideEffect& a, const SideEffect& b) {
  return std::tie(a.of, a.schema, a.name, a.pool) == std::tie(b.of, b.schema, b.name, b.pool);
}

// Code that the statement does not show runs when it does.
bool runs_code(const sql::Statement& statement) {
  using sql::Kind;
  switch (statement.kind) {
    case Kind::select:
    case Kind::insert:
    case Kind::update:
    case Kind::delete_from:
    case Kind::merge:
    case Kind::copy_in:
    case Kind::copy_out:
    case Kind::create_table_as:
    case Kind::declare_cursor:
    case Kind::call:
      return true;
    case Kind::explain:
      return statement.analyze;
    default:
      return false;
  }
}

}  // namespace

// ---------------------------------------------------------------- names

SideEffectNames::SideEffectNames(std::vector<SideEffect> all)
    : all_(std::move(all)), serial_(next_serial()) {
  std::ranges::sort(all_, {}, [](const SideEffect& each) {
    return std::tie(each.name, each.schema, each.of, each.effects, each.pool);
  });
  has_own_ = std::ranges::any_of(all_, [](const SideEffect& each) { return each.pool != 0; });
}

Effects SideEffectNames::find(std::string_view schema, std::string_view name, bool function,
                              bool write, std::uint64_t pool) const {
  Effects effects = 0;
  const auto by_name = [](const SideEffect& each) -> std::string_view { return each.name; };
  for (const SideEffect& each : std::ranges::equal_range(all_, name, {}, by_name)) {
    if (function != (each.of == SideEffect::Of::function)) continue;
    if (each.of == SideEffect::Of::write && !write) continue;
    if (each.pool != 0 && each.pool != pool) continue;
    if (schema.empty() || each.schema.empty() || each.schema == schema) effects |= each.effects;
  }
  return effects;
}

Effects SideEffectNames::of(const sql::Statement& statement, std::uint64_t pool) const {
  Effects effects = 0;
  if (all_.empty() || !runs_code(statement)) return effects;
  for (const sql::Function& function : statement.functions) {
    effects |= find(function.schema, function.name, true, false, pool);
  }
  for (const sql::Table& table : statement.tables) {
    const bool write = table.use == sql::Table::Use::write;
    effects |= find(table.schema, table.name, false, write, pool);
  }
  return effects;
}

Effects SideEffectNames::named_in(Bytes code, bool relations, std::uint64_t pool) const {
  Effects effects = 0;
  if (all_.empty()) return effects;
  for (Bytes rest = code; !rest.empty();) {
    const std::string word = next_code_word(rest);
    Bytes behind = rest;
    if (next_code_word(behind) == "(") effects |= find({}, word, true, false, pool);
    if (relations) effects |= find({}, word, false, true, pool);
  }
  return effects;
}

// ---------------------------------------------------------------- who asks, and what was heard

bool SideEffects::unasked() const noexcept {
  return again_.load(std::memory_order_relaxed) == 0;
}

bool SideEffects::claim(Instant now, std::uint64_t epoch) noexcept {
  if (unasked()) {
    std::uint32_t asking = first_.load(std::memory_order_relaxed);
    while (asking < kFirstMax &&
           !first_.compare_exchange_weak(asking, asking + 1, std::memory_order_relaxed)) {
    }
    return asking < kFirstMax;
  }
  Instant::rep due = again_.load(std::memory_order_relaxed);
  if (!may_be_due(now, epoch)) return false;
  // Whoever moves it asks.
  const Instant::rep next = (now + kRetry).time_since_epoch().count();
  if (!again_.compare_exchange_strong(due, next, std::memory_order_relaxed)) return false;
  asked_at_.store(epoch, std::memory_order_relaxed);
  not_before_.store(next, std::memory_order_relaxed);
  return true;
}

void SideEffects::answered(std::vector<SideEffect> all, Instant now, milliseconds took) {
  const auto at = [now, took](milliseconds soonest) {
    return (now + std::max(soonest, took * kRarely)).time_since_epoch().count();
  };
  not_before_.store(at(kNotBefore), std::memory_order_relaxed);
  again_.store(at(kAgain), std::memory_order_relaxed);
  failures_.store(0, std::memory_order_relaxed);
  const std::lock_guard lock(changing_);
  told_ = std::move(all);
  for (Recent& each : recent_) ++each.answers;
  std::erase_if(recent_, [](const Recent& each) { return each.answers > kAnswersMax; });
  publish_all();
}

void SideEffects::abandoned(Instant now) noexcept {
  if (unasked()) {
    first_.fetch_sub(1, std::memory_order_relaxed);
  } else {
    again_.store((now + kSoon).time_since_epoch().count(), std::memory_order_relaxed);
  }
}

bool SideEffects::failed(Instant now, milliseconds took) noexcept {
  const unsigned failures = failures_.fetch_add(1, std::memory_order_relaxed);
  const milliseconds wait =
      std::max<milliseconds>(kRetry, took * kRarely) * (1 << std::min(failures, kDoublings));
  const Instant::rep next = (now + wait).time_since_epoch().count();
  not_before_.store(next, std::memory_order_relaxed);
  again_.store(next, std::memory_order_relaxed);
  return failures == 0;
}

void SideEffects::define(const SideEffect& effect) {
  const std::lock_guard lock(changing_);
  const auto known = std::ranges::find_if(
      recent_, [&](const Recent& each) { return is_same(each.effect, effect); });
  if (known != recent_.end()) {
    known->answers = 0;
    if (known->effect.effects == effect.effects) return;
    recent_.erase(known);
  }
  if (recent_.size() >= kRecentMax) recent_.erase(recent_.begin());
  recent_.push_back({effect});
  publish_all();
}

void SideEffects::publish_all() {
  std::vector<SideEffect> all = told_;
  for (const Recent& each : recent_) all.push_back(each.effect);
  publish(std::make_shared<const SideEffectNames>(std::move(all)));
}

}  // namespace forebay::core
