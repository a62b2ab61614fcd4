#include <string>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/startup.hpp"
#include "fuzz/target.hpp"
#include "unit/protocol/options_reference.hpp"

/// The start-up parameter `options`.
using namespace forebay;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes options = fuzz::bytes_of(data, size);
  const auto words = test::plain_option_words(options);
  const auto settings = pg::parse_options(options);
  if (!settings.has_value()) {
    FB_ASSERT(!settings.error().message.empty() && settings.error().sqlstate == "42601");
    FB_ASSERT(!words.empty());
    return 0;
  }
  // Single letters may be settings of their own, and "--" alone ends all.
  FB_ASSERT(settings->size() <= 8 * options.size());
  for (const auto& [name, value] : *settings) {
    FB_ASSERT(!name.empty() && name.find('-') == std::string::npos);
  }
  std::size_t at = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool plain = words[i] == "-c" || (words[i].starts_with("--") && words[i].size() > 2);
    if (!plain) return 0;
    if (words[i] == "-c") ++i;
  }
  for (const auto& [name, value] : *settings) {
    const std::string& word = words.at(at++);
    const std::string setting = word == "-c" ? words.at(at++) : word.substr(2);
    FB_ASSERT(setting.size() == name.size() + 1 + value.size());
    FB_ASSERT(setting.find('=') == name.size() && setting.ends_with(value));
  }
  FB_ASSERT(at == words.size());
  return 0;
}
