#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <utility>

namespace forebay {

/// What went wrong, for a person: the object, the limit or rule, and the remedy.
/// `sqlstate` is the code that PostgreSQL itself would use (manual, appendix A); empty where the
/// error can never reach a client.
struct Error {
  std::string message;
  std::string sqlstate;
};

[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location&) {
  throw std::runtime_error(error.message);
}

/// A value, or why there is none.
template <class T, class E = Error>
using Result = boost::system::result<T, E>;

inline Error failure(std::string message, std::string sqlstate = {}) {
  return Error{std::move(message), std::move(sqlstate)};
}

}  // namespace forebay
