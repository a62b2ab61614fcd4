#pragma once

#include <source_location>

namespace forebay {

/// Ends the program with the broken invariant and its place on standard error. Never returns.
[[noreturn]] void invariant_broken(const char* expression, std::source_location where) noexcept;

}  // namespace forebay

/// States an invariant of our own code. Stays on in release builds: a pooler that does not know
/// its own state must not go on handing out connections. What a peer or the system does wrong is
/// never an assertion, it is a value.
#define FB_ASSERT(expression)                                            \
  (__builtin_expect(static_cast<bool>(expression), 1)                    \
       ? static_cast<void>(0)                                            \
       : ::forebay::invariant_broken(#expression, std::source_location::current()))
