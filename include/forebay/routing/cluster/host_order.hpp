#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "forebay/base/time.hpp"

namespace forebay::routing {

/// What an operator wants of a host.
enum class Standing : std::uint8_t {
  drained,    ///< nothing new goes there, and what is open ends by itself
  banned,     ///< nothing goes there, and what is open is closed
  preferred,  ///< reads go there before they go to others
};
[[nodiscard]] std::string_view to_string(Standing standing) noexcept;

struct HostOrder {
  Standing standing = Standing::drained;
  Instant until = kNever;
  std::string reason = {};
  std::string by = {};  ///< the console's user

  /// No new connection goes to it.
  [[nodiscard]] bool shuts() const noexcept { return standing != Standing::preferred; }
};
/// In one line, for people: "drained by an operator (admin) for 600 s more: new kernel".
[[nodiscard]] std::string to_string(const HostOrder& order, Instant now);

}  // namespace forebay::routing
