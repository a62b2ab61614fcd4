#pragma once

#include <memory>
#include <vector>

#include "core/engine/runtime.hpp"
#include "forebay/base/result.hpp"

namespace forebay::app {

/// Makes a configuration ready for use: computes secrets, reads key material. `notes` takes what
/// the operator should know. The error names what is wrong and the remedy. What `before` has
/// computed and still holds is not computed again.
Result<std::shared_ptr<const core::Runtime>> make_runtime(config::Config config,
                                                          std::vector<std::string>& notes,
                                                          config::Sources sources = {},
                                                          const core::Runtime* before = nullptr);

}  // namespace forebay::app
