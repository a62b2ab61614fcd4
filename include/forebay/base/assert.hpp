#pragma once

#include <source_location>

#ifndef __cpp_lib_source_location
/// clang 14, which the fuzz targets are built with, has no std::source_location.
namespace std {
struct source_location {
  static constexpr source_location current(const char* file = __builtin_FILE(),
                                           const char* function = __builtin_FUNCTION(),
                                           unsigned line = __builtin_LINE()) noexcept {
    source_location here;
    here.file_ = file;
    here.function_ = function;
    here.line_ = line;
    return here;
  }
  [[nodiscard]] constexpr const char* file_name() const noexcept { return file_; }
  [[nodiscard]] constexpr const char* function_name() const noexcept { return function_; }
  [[nodiscard]] constexpr unsigned line() const noexcept { return line_; }

 private:
  const char* file_ = "";
  const char* function_ = "";
  unsigned line_ = 0;
};
}  // namespace std
#endif

namespace forebay {

/// Ends the program with the broken invariant and its place on standard error. Never returns.
[[noreturn]] void invariant_broken(const char* expression, std::source_location where) noexcept;

}  // namespace forebay

/// States an invariant of our own code. Stays on in release builds: a pooler that does not know
/// its own state must not go on handing out connections. What a peer or the system does wrong is
/// never an assertion, it is a value.
#define FB_ASSERT(expression)                         \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::forebay::invariant_broken(#expression, std::source_location::current()))
