#include "net/system_error.hpp"

#include <cctype>
#include <cerrno>
#include <system_error>

namespace forebay::net {

std::string system_reason(int error) {
  switch (error) {
    case 0:
      return "connection lost";  // the error was there, and somebody else was told
    case EPIPE:
      return "connection closed by the peer";
    default:
      break;
  }
  std::string text = std::generic_category().message(error);
  if (!text.empty()) {
    text.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(text.front())));
  }
  return text;
}

}  // namespace forebay::net
