#pragma once

#include <string_view>

#include "config/pgbouncer/values.hpp"

namespace forebay::config::pgbouncer {

/// A key of ours with the same meaning, or nearly.
struct Equivalent {
  std::string_view theirs;
  std::string_view section;  ///< of ours; empty: that of the entry
  std::string_view ours;
  Convert convert;
  std::string_view note = {};  ///< in what it differs; empty: it does not
};

/// Null if there is none.
[[nodiscard]] const Equivalent* general_equivalent(std::string_view key);
[[nodiscard]] const Equivalent* database_equivalent(std::string_view key);
[[nodiscard]] const Equivalent* user_equivalent(std::string_view key);

/// What there is instead of a key without an equivalent. `needless`: nothing is lost.
struct Unsupported {
  std::string_view theirs;
  bool needless;
  std::string_view why;
};
[[nodiscard]] const Unsupported* find_unsupported(std::string_view key);

}  // namespace forebay::config::pgbouncer
