#include "core/relay/block_text.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

namespace forebay::core {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

char lowered(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool is_word(char c) {
  const char l = lowered(c);
  return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/// Blanks and comments. Comments may stand within one another; one that has no end goes to the end.
void skip_blanks(Bytes& rest) {
  for (;;) {
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    if (rest.starts_with("--")) {
      rest.remove_prefix(std::min(rest.find_first_of("\r\n"), rest.size()));
    } else if (rest.starts_with("/*")) {
      std::size_t depth = 0;
      do {
        const bool opens = rest.starts_with("/*");
        const bool closes = rest.starts_with("*/");
        depth += opens ? 1 : 0;
        depth -= closes ? 1 : 0;
        rest.remove_prefix(opens || closes ? 2 : 1);
      } while (depth > 0 && !rest.empty());
    } else {
      return;
    }
  }
}

/// Whether a statement may begin behind this word: UPDATE ... SET and ALTER ... SET do not.
bool ends_statement(const std::string& word) {
  return word.empty() || word == ";" || word == "'" || word == "$" || word == ">" ||
         word == "begin" || word == "then" || word == "else" || word == "loop";
}

/// So far they are looked for; of longer ones nothing is known.
constexpr std::size_t kArgumentsMax = 1000;

/// Of the arguments of set_config, behind its name: whether the third one is `true`.
bool until_commit(Bytes rest) {
  int depth = 0;
  rest = rest.substr(0, kArgumentsMax);
  std::string before;
  for (std::string word = next_code_word(rest); !word.empty(); word = next_code_word(rest)) {
    if (word == "(") ++depth;
    if (word == ")" && --depth == 0) return before == ",true";
    before = word == "true" && before == "," ? ",true" : word;
  }
  return false;
}

/// What a function leaves behind that has this word, `before` and `behind` which these stand.
bool may_leave(const std::string& word, const std::string& before, bool begins) {
  if (word == "temp" || word == "temporary") {
    return before == "create" || before == "into" || before == "local" || before == "global" ||
           before == "replace";
  }
  if (word == "hold") return before == "with";
  if (word.starts_with("pg_temp") || word.starts_with("pg_advisory_lock") ||
      word.starts_with("pg_try_advisory_lock") || word.starts_with("pg_advisory_unlock")) {
    return true;
  }
  return begins && (word == "listen" || word == "unlisten" || word == "prepare" ||
                    word == "deallocate" || word == "discard");
}

/// Whether it is the beginning of a text that is executed, or given to a variable, and no later
/// piece of one.
bool begins_text(const std::string& quote, const std::string& before) {
  return quote == "'" &&
         (before == "execute" || before == "(" || before == "=" || before == "as" || before == "e");
}

bool sets_for_long(Bytes behind) {
  const std::string what = next_code_word(behind);
  return what != "local" && what != "transaction" && what != "constraints";
}

}  // namespace

std::string next_code_word(Bytes& rest) {
  skip_blanks(rest);
  std::string word;
  while (!rest.empty() && is_word(rest.front())) {
    word += lowered(rest.front());
    rest.remove_prefix(1);
  }
  if (!word.empty() || rest.empty()) return word;
  word = rest.front();
  rest.remove_prefix(1);
  return word;
}

Effects code_effects(Bytes code) {
  Effects effects = 0;
  std::string earlier;
  std::string before;
  for (Bytes rest = code; !rest.empty();) {
    std::string word = next_code_word(rest);
    const bool begins = ends_statement(before);
    if (may_leave(word, before, begins)) effects |= kMayLeave;
    if (word == "set_config" && !until_commit(rest)) effects |= kMaySet;
    const bool sets = begins && (before != "'" || begins_text(before, earlier));
    if ((word == "set" || word == "reset") && sets && sets_for_long(rest)) effects |= kMaySet;
    if (word == "setseed" || word.starts_with("dblink_connect")) effects |= kMayStay;
    if (word == "load" && begins) effects |= kMayStay;
    if (word == "pg_notify" || (word == "notify" && begins)) effects |= kMayNotify;
    earlier = std::exchange(before, std::move(word));
  }
  return effects;
}

bool block_sets(Bytes body) {
  std::string before;
  for (Bytes rest = body; !rest.empty();) {
    std::string word = next_code_word(rest);
    if (word == "set_config" && !until_commit(rest)) return true;
    if (before == "u" && word == "&") return true;  // U&"...": any name may stand there
    if ((word == "set" || word == "reset") && ends_statement(before)) {
      Bytes behind = rest;
      const std::string what = next_code_word(behind);
      if (what != "local" && what != "transaction" && what != "constraints") return true;
    }
    before = std::move(word);
  }
  return false;
}

}  // namespace forebay::core
