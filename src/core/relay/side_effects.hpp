#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/relay/block_text.hpp"
#include "core/relay/published.hpp"
#include "forebay/base/time.hpp"
#include "forebay/routing/sql/facts.hpp"

namespace forebay::core {

/// A function, or a relation that runs some, which does something to the session of whoever calls
/// or uses it.
struct SideEffect {
  enum class Of : std::uint8_t {
    function,
    use,    ///< of a relation, in any way: views, policies
    write,  ///< of a relation, by changing its rows: triggers, defaults, constraints
  };
  Of of = Of::function;
  Effects effects = 0;
  std::string schema;
  std::string name;
  std::uint64_t pool = 0;  ///< whose clients it concerns; 0: everybody
  auto operator<=>(const SideEffect&) const = default;
};

/// All of a database. Immutable.
class SideEffectNames {
 public:
  explicit SideEffectNames(std::vector<SideEffect> all);

  [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  /// Some concern clients of one pool only.
  [[nodiscard]] bool has_own() const noexcept { return has_own_; }
  /// Of what runs when such a statement does for a client of this pool; not of what it only
  /// defines. Where it names no schema, that of any may be meant.
  [[nodiscard]] Effects of(const sql::Statement& statement, std::uint64_t pool) const;
  /// Of the functions that this code calls or names as a trigger's, and, with `relations`, of all
  /// relations whose names stand in it.
  [[nodiscard]] Effects named_in(Bytes code, bool relations, std::uint64_t pool) const;

  bool operator==(const SideEffectNames& other) const { return all_ == other.all_; }
  /// Of this object: never 0, and never that of another one.
  [[nodiscard]] std::uint32_t serial() const noexcept { return serial_; }

 private:
  [[nodiscard]] Effects find(std::string_view schema, std::string_view name, bool function,
                             bool write, std::uint64_t pool) const;

  std::vector<SideEffect> all_;  ///< by name
  bool has_own_ = false;
  std::uint32_t serial_;
};

/// What is known of them where a text is read, and for whom.
struct KnownEffects {
  const SideEffectNames* names = nullptr;  ///< null: nobody follows them
  std::uint64_t pool = 0;
  /// By which it was judged; 0 for nobody.
  [[nodiscard]] std::uint32_t serial() const noexcept {
    return names == nullptr ? 0 : names->serial();
  }
};

/// What is known of them, for all pools of a database: what its catalog said, and what clients were
/// seen to define since. Thread-safe.
class SideEffects : public Published<SideEffectNames> {
 public:
  /// Whether the caller is to ask the catalog now, and tell `answered` or `failed`. `epoch` is the
  /// catalog's. As long as nobody has heard anything, some may ask at once.
  [[nodiscard]] bool claim(Instant now, std::uint64_t epoch) noexcept;
  /// Whether `claim` is worth a try.
  [[nodiscard]] bool may_be_due(Instant now, std::uint64_t epoch) const noexcept {
    const Instant::rep tick = now.time_since_epoch().count();
    return tick >= again_.load(std::memory_order_relaxed) ||
           (asked_at_.load(std::memory_order_relaxed) != epoch &&
            tick >= not_before_.load(std::memory_order_relaxed));
  }
  /// Nobody has been answered yet, nor refused.
  [[nodiscard]] bool unasked() const noexcept;
  /// The catalog said so, after it was asked for `took`.
  void answered(std::vector<SideEffect> all, Instant now, std::chrono::milliseconds took);
  /// It did not, for so long. Whether that is the first time in a row.
  bool failed(Instant now, std::chrono::milliseconds took) noexcept;
  /// Who asked is gone, for reasons of its own.
  void abandoned(Instant now) noexcept;
  /// A client of the effect's pool defined it, perhaps in a transaction that is open still: counts
  /// for that pool, whatever the catalog says the next times.
  void define(const SideEffect& effect);

 private:
  struct Recent {
    SideEffect effect;
    unsigned answers = 0;  ///< of the catalog, since
  };
  void publish_all();

  std::mutex changing_;
  std::vector<SideEffect> told_;  ///< by the catalog
  std::vector<Recent> recent_;
  std::atomic<Instant::rep> again_{0};       ///< without a change
  std::atomic<Instant::rep> not_before_{0};  ///< with one
  std::atomic<std::uint64_t> asked_at_{0};   ///< the epoch
  std::atomic<unsigned> failures_{0};        ///< in a row
  std::atomic<std::uint32_t> first_{0};      ///< that asked before anything was known
};

}  // namespace forebay::core
