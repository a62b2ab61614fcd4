#pragma once

#include <cstdint>

#include "forebay/config/audit.hpp"
#include "forebay/routing/sql/facts.hpp"

/// What of a statement is to be written down: known for each shape, not for each text.
namespace forebay::audit {

enum class Event : std::uint8_t {
  ddl = 1,
  role = 2,
  table = 4,     ///< one of the chosen tables is named
  unknown = 8,   ///< it is not understood: it may do any of these
  refused = 16,  ///< by the policy for tenants
  reported = 32,  ///< likewise, but it ran
  rule = 64       ///< one of [[rules]] was met that refuses, or wants it logged
};
/// Bits of Event.
using Events = std::uint8_t;

[[nodiscard]] constexpr Events bit(Event event) noexcept {
  return static_cast<Events>(event);
}

/// Of all texts that have these facts. Never refused, reported or rule.
[[nodiscard]] Events events_of(const sql::Facts& facts, const config::AuditSettings& settings);

/// Of a text that nobody could look at.
[[nodiscard]] Events events_of_unknown(const config::AuditSettings& settings) noexcept;

}  // namespace forebay::audit
