#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/relay/result_shape.hpp"
#include "core/relay/route.hpp"
#include "core/relay/session_rules.hpp"
#include "core/relay/session_work.hpp"
#include "core/relay/statement_catalog.hpp"
#include "core/statistics/statement_entry.hpp"

namespace forebay::core {

/// The types of a statement's parameters, as ParameterDescription and Parse have them; null for
/// unknown.
using ParameterTypes = std::shared_ptr<const std::string>;

/// The named prepared statements of one client: its names, and the shared statements behind them.
/// A name is *pending* from its Parse until the server's ParseComplete.
class ClientStatements {
 public:
  struct Named {
    StatementRef statement;
    bool pending = true;
    bool passing = false;           ///< parsed anew by settings of the transaction at hand
    std::uint32_t batch = 0;        ///< ExpectedReplies::batch of its Parse, while pending
    SessionWorkRef work = nullptr;  ///< what executing it does to the session
    Ends ends = Ends::nothing;
    SequenceUse uses = kTakes;
    std::uint32_t effects = 0;    ///< serial of the SideEffectNames by which `work` was found
    std::uint32_t order = 0;      ///< of two, the one prepared later has the greater
    std::uint64_t judged_by = 0;  ///< serials of the functions and rules by which `route` was found
    std::uint64_t epoch = 0;      ///< the CatalogEpoch of its Parse, or of what `shape` was told of
    ResultShape shape = kUntold;  ///< what rows the client was told that it gives
    StatementEntryRef entry = nullptr;  ///< where executing it is counted
    Route route = {};                   ///< where executing it may happen
    RulesMatched rules = {};
    std::shared_ptr<const std::string> said = nullptr;  ///< by SQL: the text with the PREPARE
    std::int32_t front = 0;          ///< ... and characters of it that Statement::sql is behind
    ParameterTypes types = nullptr;  ///< that the client was told: binary values are of these
    bool types_told = false;         ///< ... or that there are no parameters
  };
  /// A portal of a statement whose rows the client was not told yet: its Describe will do so.
  struct Untold {
    std::string portal;
    std::string name;
    bool open = false;
  } untold;

  /// What the client calls `name`; null when it has no such statement.
  [[nodiscard]] const Named* find(Bytes name) const;
  [[nodiscard]] Named* find(Bytes name);
  /// One of its names means another statement from here on.
  void replace(Named& named, StatementRef statement);
  /// What the client calls the statement that servers call `server_name`; empty for none. Slow.
  [[nodiscard]] std::string name_of(std::string_view server_name) const;
  /// Says that `name` now means `statement`.
  void set(Bytes name, Named named);
  void confirm(Bytes name);
  /// Forgets a name; gives what it meant.
  Named take(Bytes name);
  /// DEALLOCATE ALL or DISCARD ALL was executed: what was prepared before it is gone. What is
  /// pending was sent after it and stays.
  void deallocate_all();
  /// The session is another tenant's: what SQL prepared is gone, as after DISCARD ALL, and what
  /// only a server keeps; the rest is judged anew.
  void pass_on();
  /// All of them, the one first that was prepared first. Slow.
  [[nodiscard]] std::vector<std::pair<std::string_view, Named*>> in_order();
  /// Whether some name means a statement that cannot be prepared again.
  [[nodiscard]] bool hold_unkept() const;

  /// They are to be used where another catalog holds than that of which is remembered.
  void forget_catalog() noexcept {
    for (auto& [name, named] : by_name_) {
      named.epoch = named.judged_by = 0;
      named.types = nullptr;
      named.types_told = false;
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }
  /// Of the definitions and texts that are kept for it.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// What is prepared beyond so many bytes of texts only a server keeps.
  [[nodiscard]] bool full() const noexcept { return bytes_ >= kKeptMax; }
  static constexpr std::size_t kKeptMax = 64 << 20;

 private:
  static std::size_t bytes_of(const Named& named) noexcept {
    return (named.statement ? named.statement->definition().size() : 0) +
           (named.said != nullptr ? named.said->size() : 0);
  }
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::unordered_map<std::string, Named, Hash, std::equal_to<>> by_name_;
  std::pair<const std::string, Named>* found_ = nullptr;  ///< last: asked for again with each step
  std::size_t bytes_ = 0;
  std::uint32_t order_ = 0;  ///< of the one that was prepared last
};

/// The statements that one server connection holds under our names, the one used last first.
///
/// What was sent is taken for done at once, for the messages that follow in the same batch: they
/// are void if it is void. Messages of a later batch are not, so that for them it is *undecided*
/// until the server has answered.
class LinkStatements {
 public:
  struct Held {
    StatementRef statement;
    bool pending;
    std::uint32_t batch;  ///< while pending
    std::uint64_t epoch;
    ResultShape shape = kUntold;     ///< what rows the server said that it gives
    ParameterTypes types = nullptr;  ///< that it was given with the text, or said that it takes
    bool given = false;              ///< ... the former, for the sake of who was told them
    std::int32_t front = 0;          ///< characters that Statement::sql is behind in the text sent
    [[nodiscard]] bool may_go(std::uint32_t now) const;
  };
  /// What the server has of it; null for nothing.
  [[nodiscard]] const Held* find(const StatementRef& statement) const;
  /// Whether the server has it, or will have when it has read what was sent; if so it counts as
  /// used now.
  bool use(const StatementRef& statement);
  /// A Parse for it was sent in this batch, at this CatalogEpoch; with these types of its
  /// parameters, if any.
  void add(StatementRef statement, std::uint32_t batch, std::uint64_t epoch,
           ParameterTypes types = nullptr);
  /// Whether the server was asked to prepare it before `epoch`: who prepares it now must not be
  /// told what was true then.
  [[nodiscard]] bool older(const StatementRef& statement, std::uint64_t epoch) const;
  void confirm(const StatementRef& statement);
  /// A text prepared it that has so many characters in front of Statement::sql.
  void take_front(const StatementRef& statement, std::int32_t front);
  /// The server said what rows it gives.
  void described(const StatementRef& statement, ResultShape shape);
  /// The server said what types its parameters have.
  void take_types(const StatementRef& statement, ParameterTypes types);
  void remove(const StatementRef& statement);
  void clear() noexcept;
  /// As ClientStatements::deallocate_all.
  void deallocate_all();

  /// Takes out the statement that was used longest ago, to be closed in this batch; null when all
  /// are still needed.
  StatementRef evict(std::uint32_t batch);
  /// Takes out this one, if it may be closed in this batch.
  bool evict(const StatementRef& statement, std::uint32_t batch);
  /// The server has closed it, or has it again because it did not come to that.
  void evicted(const StatementRef& statement, bool closed);

  /// Whether it depends on an answer to an earlier batch that the server has the statement.
  [[nodiscard]] bool undecided(const StatementRef& statement, std::uint32_t batch) const;
  /// Whether an earlier batch closes it, if that does not fail before.
  [[nodiscard]] bool closing(const StatementRef& statement, std::uint32_t batch) const;

  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }
  /// How many of them SQL's PREPARE made. Slow.
  [[nodiscard]] std::size_t made_by_sql() const;

 private:
  using Order = std::list<Held>;
  Order order_;
  std::unordered_map<const Statement*, Order::iterator> where_;
  std::vector<Held> closing_;
};

}  // namespace forebay::core
