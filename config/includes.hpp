#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"
#include "forebay/config/environment.hpp"

namespace forebay::config {

/// Reads a text, whose name is the first of `problems`, and what it includes, into one document.
/// Null after a syntax error, or when something that it includes cannot be read: then nothing
/// should be concluded from the rest. `files` gets what was looked at.
[[nodiscard]] std::shared_ptr<const Document> read_document(std::string_view text,
                                                            const Environment& environment,
                                                            Problems& problems,
                                                            std::vector<std::string>& files);

}  // namespace forebay::config
