#pragma once

#include <string>
#include <vector>

#include "forebay/base/bytes.hpp"

namespace forebay::test {

/// The words of the start-up parameter `options` by PostgreSQL's rules, told one byte at a time:
/// blanks separate words, a backslash makes the next byte an ordinary one and is itself dropped,
/// also where no byte comes after it.
inline std::vector<std::string> plain_option_words(Bytes options) {
  std::vector<std::string> words;
  bool in_word = false;
  bool quoted = false;
  for (const char byte : options) {
    const bool blank = byte == ' ' || (byte >= '\t' && byte <= '\r');
    if (blank && !quoted) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (byte == '\\' && !quoted) {
      quoted = true;
    } else {
      quoted = false;
      words.back().push_back(byte);
    }
  }
  return words;
}

}  // namespace forebay::test
