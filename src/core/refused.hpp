#pragma once

#include <string>
#include <utility>

#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {

/// An error for a client, with its texts: the object, the limit or rule, the remedy.
struct Refused {
  std::string sqlstate;
  std::string message;
  std::string detail = {};
  std::string hint = {};
  bool operator==(const Refused&) const = default;

  /// A view for pg::write_error; lives as long as this.
  [[nodiscard]] pg::Report report(Bytes severity) const noexcept {
    return {severity, sqlstate, message, detail, hint};
  }
};

/// What PostgreSQL says to a session that somebody ends.
[[nodiscard]] inline Refused terminated(std::string detail = {}) {
  return {std::string(pg::sqlstate::kAdminShutdown),
          "terminating connection due to administrator command", std::move(detail)};
}

}  // namespace forebay::core
