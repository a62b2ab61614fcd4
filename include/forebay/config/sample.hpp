#pragma once

#include <string>

namespace forebay::config {

/// A configuration file that shows every key, explained, with its default as a comment. It can be
/// loaded as it is.
[[nodiscard]] std::string sample_config();

}  // namespace forebay::config
