#include "forebay/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace forebay {

void invariant_broken(const char* expression, std::source_location where) noexcept {
  std::fprintf(stderr, "forebay: invariant broken: %s (%s:%u, %s)\n", expression, where.file_name(),
               static_cast<unsigned>(where.line()), where.function_name());
  std::abort();
}

}  // namespace forebay
