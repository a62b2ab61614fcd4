#pragma once

#include <string>

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

}  // namespace forebay::core
