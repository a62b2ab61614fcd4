#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/bytes.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/rules.hpp"
#include "forebay/routing/sql/facts.hpp"

/// Rules for single statements: which of them match.
namespace forebay::rules {

/// Bit i is rule i, in the order of the file.
using Mask = std::uint64_t;
static_assert(config::kRulesMax == 64);

/// What a statement is, and what else it does that has a kind of its own: bits by sql::Kind.
[[nodiscard]] std::uint64_t kinds_of(const sql::Statement& statement) noexcept;

/// How often a rule was the one that counts, and how many of its statements run, where that is
/// limited. Any thread may add.
class Hits {
 public:
  void add(std::size_t worker) noexcept {
    parts_[worker % parts_.size()].count.fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept;

  /// One more runs, unless so many do.
  [[nodiscard]] bool enter(std::uint32_t most) noexcept;
  void leave() noexcept { running_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  /// Workers do not take each other's cache line.
  struct alignas(64) Part {
    std::atomic<std::uint64_t> count{0};
  };
  std::array<Part, 8> parts_;
  std::atomic<std::uint32_t> running_{0};
};

/// The rules of a configuration, ready for use. Immutable, but for the hits; thread-safe.
class RuleSet {
 public:
  /// Rules of `before` (null: none) hand on their hits to those of the same name.
  [[nodiscard]] static Result<std::shared_ptr<const RuleSet>> make(
      const std::vector<config::Rule>& rules, const RuleSet* before);

  [[nodiscard]] std::size_t size() const noexcept { return rules_.size(); }
  [[nodiscard]] const config::Rule& operator[](std::size_t i) const { return rules_[i].said; }
  /// Of one of these.
  [[nodiscard]] std::size_t index_of(const config::Rule& rule) const noexcept;
  [[nodiscard]] Hits& hits(std::size_t i) const { return *rules_[i].hits; }
  /// Never 0, and never that of another set.
  [[nodiscard]] std::uint32_t serial() const noexcept { return serial_; }

  /// Those that may concern a session; `address` is empty for one through a Unix socket, `tenant`
  /// for one that is no tenant's.
  [[nodiscard]] Mask of_session(std::string_view database, std::string_view user,
                                std::string_view tenant, const std::string& address) const;
  /// Whether rule i may concern some session of theirs.
  [[nodiscard]] bool concerns(std::size_t i, std::string_view database,
                              std::string_view user) const;
  /// Those that match what a text is, whatever its literals are. Costs a comparison for a shape
  /// that was judged before by the same set.
  [[nodiscard]] Mask of_shape(Bytes text, sql::StandardStrings standard, const sql::Shape& shape,
                              const sql::Facts& facts) const;
  /// Those that count as matching a text that nobody looked at.
  [[nodiscard]] Mask of_unknown() const noexcept { return unread_; }
  /// `mask` without those whose pattern finds nothing in the text.
  [[nodiscard]] Mask found_in(Mask mask, Bytes text) const;
  /// Those with a statement_timeout that is not only tried.
  [[nodiscard]] Mask timing() const noexcept { return timing_; }

 private:
  struct Ready {
    config::Rule said;
    std::uint64_t kinds = 0;  ///< bits by sql::Kind; 0: any
    std::vector<std::string> shapes;
    std::shared_ptr<Hits> hits;
  };

  RuleSet();
  [[nodiscard]] static bool matches(const Ready& rule, const sql::Statement& statement);
  [[nodiscard]] static bool has_shape(const Ready& rule, Bytes text, sql::StandardStrings standard,
                                      const sql::Shape& shape);

  std::vector<Ready> rules_;
  std::uint32_t serial_;
  Mask unknown_ = 0;  ///< match what the grammar does not understand
  Mask unread_ = 0;   ///< of these, without what a pattern would have to find
  Mask patterns_ = 0;
  Mask timing_ = 0;
};

}  // namespace forebay::rules
