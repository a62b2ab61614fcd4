#include "core/relay/statement_text.hpp"

#include <algorithm>
#include <string>

#include "forebay/protocol/postgres/frontend.hpp"

namespace forebay::core {
namespace {

// Whether `text` begins with `word`, which is in lower case, in whatever case.
bool begins_with(Bytes text, Bytes word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(text[i]) != word[i]) return false;
  }
  return true;
}

/// No longer text is looked at for words.
constexpr std::size_t kLongest = 24;

// The words of a short text, folded, without what may be left out; empty for a longer one.
std::string words_of(Bytes text) {
  const std::size_t last = text.find_last_not_of(" \t\n\r;");
  std::string words;
  for (const char c : text.substr(0, last == Bytes::npos ? 0 : last + 1)) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) {
      words.push_back(lower(c));
    } else if (!words.empty() && words.back() != ' ') {
      words.push_back(' ');
    }
    if (words.size() > kLongest) return {};
  }
  if (!words.empty() && words.back() == ' ') words.pop_back();
  for (const Bytes end : {" transaction", " work"}) {
    if (!words.ends_with(end) || words == "start transaction") continue;
    words.resize(words.size() - end.size());
    break;
  }
  return words;
}

bool ends_transaction(const std::string& words) {
  return words == "commit" || words == "end" || words == "rollback" || words == "abort";
}

}  // namespace

NamedDefinition cut_name(const pg::Message& message) {
  const std::size_t end = message.body.find('\0');
  if (end == Bytes::npos) return {{}, {}, false};
  const Bytes definition = message.body.substr(end + 1);
  const bool well_formed = !message.whole() || pg::frontend::Parse::parse(message.body).has_value();
  return {message.body.substr(0, end), definition, well_formed};
}

Hint hint_of(Bytes text) {
  const auto take = [&text](Bytes word) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n\r"), text.size()));
    if (!begins_with(text, word)) return false;
    text.remove_prefix(word.size());
    return true;
  };
  if (!take("/*") || !take("forebay") || !take(":")) return Hint::none;
  const Hint hint = take("primary") ? Hint::primary : take("replica") ? Hint::replica : Hint::none;
  return take("*/") ? hint : Hint::none;
}

namespace {

// `cut`: more of it follows, which nobody sees.
std::optional<Bytes> tenant_at_head(Bytes text, bool cut) {
  constexpr Bytes kBlank = " \t\n\r\f";
  const auto skip_blank = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  };
  const auto take = [&](Bytes word) {
    skip_blank();
    if (!begins_with(text, word)) return false;
    text.remove_prefix(word.size());
    return true;
  };
  for (const Bytes word : {Bytes("/*"), Bytes("tenant"), Bytes("=")}) {
    if (take(word)) continue;
    return cut && text.size() < word.size() ? std::optional<Bytes>(Bytes()) : std::nullopt;
  }
  const Bytes end = take("'") ? "'" : "* \t\n\r\f";
  const std::size_t size = text.find_first_of(end);
  if (size == Bytes::npos) return Bytes();
  const Bytes named = text.substr(0, size);
  text.remove_prefix(end == "'" ? size + 1 : size);
  return take("*/") ? named : Bytes();
}

}  // namespace

std::optional<Bytes> tenant_in_comment(Bytes text) {
  return tenant_at_head(text, false);
}

// Of a head, as much as is there in any case.
std::optional<Bytes> tenant_said(const pg::Message& message) {
  Bytes text = message.body;
  if (!message.whole()) text = text.substr(0, pg::kHeadMin / 2);
  if (message.is(pg::Frontend::Parse)) {
    const std::size_t end = text.find('\0');
    if (end == Bytes::npos) return Bytes();
    text.remove_prefix(end + 1);
  }
  const std::size_t end = text.find('\0');
  return tenant_at_head(text.substr(0, end), end == Bytes::npos);
}

bool may_begin_transaction(Bytes text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\r\f"), text.size()));
  return begins_with(text, "begin") || begins_with(text, "start");
}

bool asks_for_standby(const sql::Facts& facts, Bytes text) {
  const auto asks = [](const sql::Statement& statement) {
    return std::any_of(
        statement.functions.begin(), statement.functions.end(),
        [](const sql::Function& function) { return function.name == "current_setting"; });
  };
  if (!std::any_of(facts.statements.begin(), facts.statements.end(), asks)) return false;
  const std::string small = lower(text);
  return small.find("transaction_read_only") != std::string::npos ||
         small.find("in_hot_standby") != std::string::npos;
}

bool locks_by_advice(const sql::Facts& facts) {
  const auto locks = [](const sql::Function& function) {
    return function.name.starts_with("pg_advisory_") ||
           function.name.starts_with("pg_try_advisory_");
  };
  return std::any_of(
      facts.statements.begin(), facts.statements.end(), [&](const sql::Statement& statement) {
        return std::any_of(statement.functions.begin(), statement.functions.end(), locks);
      });
}

bool is_transaction_end(Bytes text) {
  return ends_transaction(words_of(text));
}

bool is_transaction_control(Bytes text) {
  const std::string words = words_of(text);
  return words == "begin" || words == "start transaction" || ends_transaction(words);
}

bool is_analysed(Bytes text) {
  std::size_t depth = 0;  // of comments
  while (!text.empty()) {
    const bool opens = text.starts_with("/*");
    const bool closes = depth > 0 && text.starts_with("*/");
    if (opens || closes) {
      depth += opens ? 1 : 0;
      depth -= closes ? 1 : 0;
      text.remove_prefix(2);
    } else if (depth == 0 && text.starts_with("--")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (depth > 0 || Bytes(" \t\n\r\f(;").find(text.front()) != Bytes::npos) {
      text.remove_prefix(1);
    } else {
      break;
    }
  }
  constexpr Bytes kAnalysed[] = {"select", "insert", "update", "delete",  "merge",
                                 "values", "with",   "table",  "explain", "declare"};
  return std::any_of(std::begin(kAnalysed), std::end(kAnalysed),
                     [&](Bytes word) { return begins_with(text, word); });
}

bool names_the_time(Bytes text) {
  for (std::size_t at = text.find('\''); at != Bytes::npos; at = text.find('\'', at + 1)) {
    const std::size_t word = text.find_first_not_of(" \t\n\r", at + 1);
    if (word == Bytes::npos) return false;
    for (const Bytes name : {"now", "today", "tomorrow", "yesterday"}) {
      const Bytes here = text.substr(word, name.size());
      if (std::equal(here.begin(), here.end(), name.begin(), name.end(),
                     [](char a, char b) { return lower(a) == b; })) {
        return true;
      }
    }
  }
  return false;
}

bool is_deallocate_all(Bytes text) {
  constexpr std::size_t kLongest = 64;
  if (text.size() > kLongest) return false;
  // Every short Query comes by here: hardly more than a look at each byte.
  const auto is_d = [](char c) { return (c | 0x20) == 'd'; };
  for (const char* at = text.begin(); (at = std::find_if(at, text.end(), is_d)) != text.end();
       ++at) {
    const Bytes rest(at, text.end());
    if (begins_with(rest, "deallocate") || begins_with(rest, "discard")) return true;
  }
  return false;
}

}  // namespace forebay::core
