#pragma once

#include <string_view>

#include "forebay/config/difference.hpp"
#include "forebay/config/environment.hpp"
#include "forebay/config/load.hpp"

namespace forebay::config {

struct Set {
  LoadedConfig loaded;
  Refusal refusal = Refusal::wrong;  ///< if it is not ok
};

/// A configuration as it was read, with another value for one key, judged as a whole. `name` is
/// "default_pool_size", "log.level" or "databases.app.pool_size"; `value` is as in the file, or
/// without its quotes, or between SQL's.
[[nodiscard]] Set set(const Document& before, std::string_view name, std::string_view value,
                      const Environment& environment);

}  // namespace forebay::config
