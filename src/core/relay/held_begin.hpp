#pragma once

#include <cstdint>
#include <string>

#include "forebay/routing/sql/facts.hpp"

namespace forebay::core {

/// With `lazy_begin`: a BEGIN that was answered, and that no server has heard of. Only such as any
/// server accepts, so that the answer is true.
struct HeldBegin {
  HeldBegin() noexcept
      : open(0), read_only(0), deferrable(0), not_deferrable(0), isolation(0), undecided(0) {}

  std::uint8_t open : 1;  ///< the client is in its transaction
  std::uint8_t read_only : 1;
  std::uint8_t deferrable : 1;
  std::uint8_t not_deferrable : 1;
  std::uint8_t isolation : 3;  ///< a TransactionModes::Isolation
  std::uint8_t undecided : 1;  ///< nothing has said yet whose it is: SessionTenant::says

  [[nodiscard]] static bool may_hold(const sql::TransactionModes& modes) noexcept;
  void begin(const sql::TransactionModes& modes) noexcept;
  /// What a server is told.
  [[nodiscard]] std::string text() const;
};

}  // namespace forebay::core
