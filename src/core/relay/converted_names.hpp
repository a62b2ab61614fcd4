#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/relay/relay_state.hpp"
#include "forebay/base/bytes.hpp"

namespace forebay::core {

inline bool beyond_ascii(Bytes text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

inline bool beyond_ascii(const std::vector<std::string>& names) noexcept {
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return beyond_ascii(name); });
}

/// Whether names in a shape may be others to the server than their bytes say, which the
/// configuration has in UTF-8: it converts them, and its letters may have another case.
inline bool names_are_converted(const ClientRelayState& client, Bytes key) {
  if (!beyond_ascii(key)) return false;
  const auto is_utf8 = [](const std::string* name) {
    if (name == nullptr) return true;
    std::string letters;
    for (const char c : *name) {
      if (c >= '0' && c <= '9') letters += c;
      const char letter = static_cast<char>(c | 0x20);
      if (letter >= 'a' && letter <= 'z') letters += letter;
    }
    return letters == "utf8" || letters == "unicode";
  };
  const auto value = [&](std::string_view name) {
    const std::string* own = client.settings == nullptr ? nullptr : client.settings->find(name);
    return own != nullptr || client.welcome == nullptr ? own : client.welcome->find(name);
  };
  return !is_utf8(value(kClientEncoding)) || !is_utf8(value("server_encoding"));
}

}  // namespace forebay::core
