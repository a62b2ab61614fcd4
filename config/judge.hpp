#pragma once

#include <memory>

#include "config/document.hpp"
#include "forebay/config/load.hpp"

namespace forebay::config {

/// What a document says, or everything that is wrong with it. Null: only what is wrong already.
[[nodiscard]] LoadedConfig judge(std::shared_ptr<const Document> document, Problems& problems,
                                 const Environment& environment);

}  // namespace forebay::config
