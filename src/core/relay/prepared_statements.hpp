#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/relay/statement_catalog.hpp"

namespace forebay::core {

/// The named prepared statements of one client: its names, and the shared statements behind them.
/// A name is *pending* from its Parse until the server's ParseComplete.
class ClientStatements {
 public:
  struct Named {
    StatementRef statement;
    bool pending = true;
  };

  /// What the client calls `name`; null when it has no such statement.
  [[nodiscard]] const Named* find(Bytes name) const;
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

  [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::unordered_map<std::string, Named, Hash, std::equal_to<>> by_name_;
};

/// The statements that one server connection holds under our names, the one used last first.
class LinkStatements {
 public:
  /// Whether the server has it, or will have when it has read what was sent; if so it counts as
  /// used now.
  bool use(const StatementRef& statement);
  void add(StatementRef statement, bool pending);
  void confirm(const StatementRef& statement);
  void remove(const StatementRef& statement);
  void clear() noexcept;
  /// As ClientStatements::deallocate_all.
  void deallocate_all();

  /// The statement that was used longest ago. There is one.
  [[nodiscard]] const StatementRef& oldest() const noexcept { return order_.back().statement; }
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

 private:
  struct Held {
    StatementRef statement;
    bool pending;
  };
  using Order = std::list<Held>;
  Order order_;
  std::unordered_map<const Statement*, Order::iterator> where_;
};

}  // namespace forebay::core
