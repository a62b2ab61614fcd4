#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "forebay/routing/sql/facts.hpp"

namespace forebay::core {

/// What a tenant's statements did, as far as their texts say it.
struct Learned {
  std::uint64_t kinds = 0;          ///< as rules::kinds_of gives them
  std::set<std::string> tables;     ///< with their schema where it was written
  std::set<std::string> functions;  ///< likewise
  bool unknown = false;             ///< something could not be looked at
  bool unwritable = false;          ///< a name with a dot, or not of UTF-8: no rule can have it
  bool full = false;                ///< there were more names than are kept
};

/// What one tenant was seen to do, while [tenants] learn names it. Costs its sessions a lock for
/// each text. Thread-safe.
class TenantLearning {
 public:
  static constexpr std::size_t kNamesMax = 2'000;    ///< of tables, and of functions
  static constexpr std::size_t kShapesMax = 20'000;  ///< more are looked at each time

  /// `changes` goes up with everything that is new.
  explicit TenantLearning(std::atomic<std::uint64_t>& changes) : changes_(changes) {}

  /// The shape is that of the text which the facts are about.
  void see(const sql::Facts& facts, const sql::Shape& shape);
  /// A text that nobody could look at.
  void see_unknown();
  [[nodiscard]] Learned learned() const;

 private:
  bool take(const sql::Statement& statement);
  bool keep(std::set<std::string>& names, const std::string& schema, const std::string& name);

  std::atomic<std::uint64_t>& changes_;
  mutable std::mutex mutex_;
  Learned learned_;
  std::unordered_set<std::uint64_t> shapes_;  ///< that were seen before
};

/// Those of the process, by tenant. Thread-safe.
class TenantLearnings {
 public:
  std::shared_ptr<TenantLearning> find_or_make(const std::string& tenant);
  [[nodiscard]] std::vector<std::pair<std::string, Learned>> all() const;
  /// Another number than before: there is something new.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_.load(); }

 private:
  std::atomic<std::uint64_t> changes_{0};
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<TenantLearning>> tenants_;
};

}  // namespace forebay::core
