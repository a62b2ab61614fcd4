#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "forebay/base/bytes.hpp"

namespace forebay::core {

class StatementCatalog;

/// A prepared statement as servers know it: one for each distinct definition (text and parameter
/// types) and context (what else its parsing depends on), shared by all clients, links and threads.
/// Immutable but for its count of references.
class Statement {
 public:
  Statement(StatementCatalog& catalog, std::uint64_t id, std::string key, std::size_t definition);

  /// The name on every server: kNamePrefix and the id.
  [[nodiscard]] const std::string& server_name() const noexcept { return server_name_; }
  /// As in pg::frontend::Parse; empty for one too large to be kept.
  [[nodiscard]] Bytes definition() const noexcept { return Bytes(key_).substr(0, definition_); }
  /// What else its parsing depends on, as find_or_make was told.
  [[nodiscard]] Bytes context() const noexcept {
    return key_.size() <= definition_ ? Bytes() : Bytes(key_).substr(definition_ + 1);
  }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// Of one that SQL's PREPARE made: what stands behind its name, "(int) AS SELECT $1". Empty for
  /// others.
  [[nodiscard]] Bytes sql() const noexcept {
    const Bytes all = definition();
    return all.starts_with(kSqlMark) ? all.substr(kSqlMark.size()) : Bytes();
  }
  /// What the definition of such a one begins with; nothing that a Parse can have.
  static constexpr Bytes kSqlMark{"\1\0P", 3};
  /// Some server of this pool has accepted it, at this CatalogEpoch. Remembers who said so last.
  void accepted_by(std::uint64_t pool, std::uint64_t epoch) const noexcept {
    accepted_by_.store(stamp(pool, epoch), std::memory_order_relaxed);
  }
  [[nodiscard]] bool was_accepted_by(std::uint64_t pool, std::uint64_t epoch) const noexcept {
    return accepted_by_.load(std::memory_order_relaxed) == stamp(pool, epoch);
  }
  /// Too large to be kept: it cannot be prepared again on another link.
  [[nodiscard]] bool unkept() const noexcept { return definition_ == 0; }

 private:
  friend class StatementCatalog;
  friend class StatementRef;

  static std::uint64_t stamp(std::uint64_t pool, std::uint64_t epoch) noexcept {
    return pool << 32 | (epoch & 0xffffffff);
  }

  std::atomic<std::uint32_t> references_{0};
  mutable std::atomic<std::uint64_t> accepted_by_{0};
  StatementCatalog& catalog_;
  const std::uint64_t id_;
  const std::string server_name_;
  const std::string key_;  ///< the definition, and behind a NUL the context, if there is any
  const std::size_t definition_;
};

/// A counted reference to a statement. Thread-safe as a shared_ptr is.
class StatementRef {
 public:
  StatementRef() = default;
  StatementRef(const StatementRef& other) noexcept : statement_(other.statement_) { add(); }
  StatementRef(StatementRef&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)) {}
  StatementRef& operator=(StatementRef other) noexcept {
    std::swap(statement_, other.statement_);
    return *this;
  }
  ~StatementRef();

  [[nodiscard]] const Statement* get() const noexcept { return statement_; }
  const Statement* operator->() const noexcept { return statement_; }
  const Statement& operator*() const noexcept { return *statement_; }
  explicit operator bool() const noexcept { return statement_ != nullptr; }
  bool operator==(const StatementRef&) const noexcept = default;

 private:
  friend class StatementCatalog;
  explicit StatementRef(Statement* statement) noexcept : statement_(statement) { add(); }
  void add() noexcept {
    if (statement_ != nullptr) {
      statement_->references_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  Statement* statement_ = nullptr;
};

/// All prepared statements that some client or link holds. Thread-safe. Outlives every reference.
class StatementCatalog {
 public:
  /// What every server-side name begins with. No name of a client's that begins so reaches a
  /// server.
  static constexpr std::string_view kNamePrefix = "_forebay_";

  StatementCatalog() = default;
  StatementCatalog(const StatementCatalog&) = delete;
  StatementCatalog& operator=(const StatementCatalog&) = delete;
  ~StatementCatalog();

  /// The statement of this definition in this context, made when nobody has it yet.
  StatementRef find_or_make(Bytes definition, Bytes context = {});
  /// The same, if somebody has it.
  StatementRef find(Bytes definition, Bytes context = {});
  /// A statement too large to be kept, with a name of its own.
  StatementRef make_unkept();

  [[nodiscard]] std::size_t size() const;

 private:
  friend class StatementRef;

  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string_view, Statement*> by_key;
  };
  static constexpr std::size_t kShards = 16;

  Shard& shard_of(Bytes key) { return shards_[std::hash<std::string_view>{}(key) % kShards]; }
  void drop(Statement* statement) noexcept;

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> next_id_{1};
};

}  // namespace forebay::core
