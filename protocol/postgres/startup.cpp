#include "forebay/protocol/postgres/startup.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <utility>

#include "forebay/protocol/postgres/reader.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::pg {
namespace {

constexpr char kTlsHandshakeRecord = 0x16;

Error malformed(std::string what) {
  return failure(std::move(what), sqlstate::kProtocolViolation);
}

/// So few, which is what drivers send, are compared each with each.
constexpr std::size_t kFewParameters = 8;

/// The last of several counts, as in PostgreSQL. Many are sorted: 2,500 names fit into a packet,
/// and comparing each with each took 7 ms, for a client that nobody knows yet.
void keep_last(std::vector<std::pair<Bytes, Bytes>>& parameters) {
  if (parameters.size() <= kFewParameters) {
    for (auto each = parameters.begin(); each != parameters.end();) {
      const bool again = std::any_of(each + 1, parameters.end(),
                                     [&](const auto& later) { return later.first == each->first; });
      each = again ? parameters.erase(each) : each + 1;
    }
    return;
  }
  std::vector<std::size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(parameters[a].first, a) < std::pair(parameters[b].first, b);
  });
  std::vector<bool> replaced(parameters.size());
  for (std::size_t i = 1; i < order.size(); ++i) {
    replaced[order[i - 1]] = parameters[order[i - 1]].first == parameters[order[i]].first;
  }
  std::vector<std::pair<Bytes, Bytes>> kept;
  kept.reserve(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!replaced[i]) kept.push_back(parameters[i]);
  }
  parameters = std::move(kept);
}

Result<ParsedStartup> parse_parameters(std::uint32_t version, Bytes body, std::size_t size) {
  StartupMessage message{version, {}};
  message.parameters.reserve(kFewParameters);
  Reader in(body);
  for (Bytes name = in.text(); !name.empty(); name = in.text()) {
    const Bytes value = in.text();
    if (in.ok()) message.parameters.emplace_back(name, value);
  }
  if (!in.done()) {
    return malformed("invalid startup packet layout: expected terminator as last byte");
  }
  keep_last(message.parameters);
  return ParsedStartup{std::move(message), size};
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

std::vector<std::string> split_options(Bytes options) {
  std::vector<std::string> words;
  std::size_t at = 0;
  for (;;) {
    while (at < options.size() && is_blank(options[at])) ++at;
    if (at == options.size()) return words;
    std::string& word = words.emplace_back();
    for (; at < options.size() && !is_blank(options[at]); ++at) {
      if (options[at] == '\\' && ++at == options.size()) break;  // quotes nothing, is dropped
      word.push_back(options[at]);
    }
  }
}

using Settings = std::vector<std::pair<std::string, std::string>>;

/// What one switch of a server process stands for: see "postgres" in the manual's reference, and
/// process_postgres_switches.
struct Switch {
  char letter;
  bool takes_argument;
  const char* setting = nullptr;  ///< null: nothing, in a start-up packet
  const char* value = nullptr;    ///< null: its argument
};
constexpr Switch kSwitches[] = {
    {'B', true, "shared_buffers"},
    {'C', true},
    {'D', true},
    {'E', false},
    {'F', false, "fsync", "false"},
    {'N', true, "max_connections"},
    {'O', false, "allow_system_table_mods", "true"},
    {'P', false, "ignore_system_indexes", "true"},
    {'S', true, "work_mem"},
    {'T', false},
    {'W', true, "post_auth_delay"},
    {'b', false},
    {'e', false, "datestyle", "euro"},
    {'h', true, "listen_addresses"},
    {'i', false, "listen_addresses", "*"},
    {'j', false},
    {'k', true, "unix_socket_directories"},
    {'l', false, "ssl", "true"},
    {'n', false},
    {'p', true, "port"},
    {'r', true},
    {'s', false, "log_statement_stats", "true"},
    {'v', true},
};

/// What the argument of -f forbids the planner: its first letter counts.
constexpr std::pair<char, const char*> kPlans[] = {
    {'s', "enable_seqscan"},    {'i', "enable_indexscan"}, {'o', "enable_indexonlyscan"},
    {'b', "enable_bitmapscan"}, {'t', "enable_tidscan"},   {'n', "enable_nestloop"},
    {'m', "enable_mergejoin"},  {'h', "enable_hashjoin"},
};

/// Reads the words of `options` as getopt does for a server process.
class Switches {
 public:
  explicit Switches(const std::vector<std::string>& words) : words_(words) {}

  Result<Settings> read() {
    const std::string* other = nullptr;  // getopt has these come last
    for (; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (word == "--") {
        if (other == nullptr && at_ + 1 < words_.size()) other = &words_[at_ + 1];
        break;
      }
      if (word.size() < 2 || word.front() != '-') {
        if (other == nullptr) other = &word;
        continue;
      }
      for (letter_ = 1; letter_ < word.size(); ++letter_) {
        const char letter = word[letter_];
        const bool last = letter_ + 1 == word.size();
        if (const auto refused = take(letter)) return failure(*refused, sqlstate::kSyntaxError);
        // PostgreSQL complains of the word that getopt has done with.
        if (!wrong_) continue;
        if (last || taken_) return invalid(words_[at_]);
        return invalid(at_ > 0 ? words_[at_ - 1] : "postgres");
      }
    }
    if (other != nullptr) return invalid(*other);
    return settings_;
  }

 private:
  static Result<Settings> invalid(const std::string& word) {
    return failure("invalid command-line argument for server process: " + word,
                   sqlstate::kSyntaxError);
  }

  // The rest of the word, or the next one; false where there is none.
  bool argument(std::string& value) {
    const std::string& word = words_[at_];
    if (letter_ + 1 < word.size()) {
      value = word.substr(letter_ + 1);
    } else if (at_ + 1 < words_.size()) {
      value = words_[++at_];
    } else {
      return false;
    }
    letter_ = word.size();  // the word is done with
    taken_ = true;
    return true;
  }

  // Gives an error of its own; `wrong_` where the word is to be complained of.
  std::optional<std::string> take(char letter) {
    taken_ = false;
    std::string value;
    if (letter == '-' || letter == 'c') {
      wrong_ = !argument(value);
      return wrong_ ? std::nullopt : setting(letter == '-' ? "--" : "-c ", value);
    }
    if (letter == 'd' || letter == 'f' || letter == 't') {
      wrong_ = !argument(value) || !(letter == 'd'   ? debug(value)
                                     : letter == 'f' ? plan(value)
                                                     : statistics(value));
      return std::nullopt;
    }
    const auto* const known = std::find_if(std::begin(kSwitches), std::end(kSwitches),
                                           [&](const Switch& one) { return one.letter == letter; });
    wrong_ = known == std::end(kSwitches) || (known->takes_argument && !argument(value));
    if (wrong_ || known->setting == nullptr) return std::nullopt;
    settings_.emplace_back(known->setting, known->value == nullptr ? value : known->value);
    return std::nullopt;
  }

  std::optional<std::string> setting(const char* how, const std::string& said) {
    const std::size_t equals = said.find('=');
    if (equals == std::string::npos || equals == 0) return how + said + " requires a value";
    std::string name = said.substr(0, equals);
    std::replace(name.begin(), name.end(), '-', '_');
    settings_.emplace_back(std::move(name), said.substr(equals + 1));
    return std::nullopt;
  }

  bool debug(const std::string& said) {
    const int level = std::atoi(said.c_str());
    settings_.emplace_back("log_min_messages",
                           level > 0 ? "debug" + std::to_string(std::min(level, 5)) : "notice");
    if (level >= 2) settings_.emplace_back("log_statement", "all");
    if (level >= 3) settings_.emplace_back("debug_print_parse", "true");
    if (level >= 4) settings_.emplace_back("debug_print_plan", "true");
    if (level >= 5) settings_.emplace_back("debug_print_rewritten", "true");
    return true;
  }

  bool plan(const std::string& said) {
    for (const auto& [letter, name] : kPlans) {
      if (said.front() != letter) continue;
      settings_.emplace_back(name, "false");
      return true;
    }
    return false;
  }

  bool statistics(const std::string& said) {
    const char* const name = said.starts_with("pa")   ? "log_parser_stats"
                             : said.starts_with("pl") ? "log_planner_stats"
                             : said.starts_with("e")  ? "log_executor_stats"
                                                      : nullptr;
    if (name != nullptr) settings_.emplace_back(name, "true");
    return name != nullptr;
  }

  const std::vector<std::string>& words_;
  Settings settings_;
  std::size_t at_ = 0;
  std::size_t letter_ = 0;
  bool taken_ = false;  ///< the argument of the letter at hand
  bool wrong_ = false;
};

}  // namespace

Bytes StartupMessage::value(Bytes name) const noexcept {
  for (const auto& [known, value] : parameters) {
    if (known == name) return value;
  }
  return {};
}

Result<ParsedStartup> parse_startup(Bytes input) {
  if (!input.empty() && input.front() == kTlsHandshakeRecord) return ParsedStartup{DirectTls{}, 0};
  if (input.size() < 4) return ParsedStartup{NeedMore{4}, 0};
  const std::uint32_t length = load_u32(input.data());
  if (length < 8 || length > kStartupPacketMax) {
    return malformed("invalid length of startup packet");
  }
  if (input.size() < length) return ParsedStartup{NeedMore{length}, 0};

  const std::uint32_t code = load_u32(input.data() + 4);
  const Bytes body = input.substr(8, length - 8);
  if (code == kSslRequestCode || code == kGssEncRequestCode) {
    if (!body.empty()) return malformed("invalid length of startup packet");
    if (code == kSslRequestCode) return ParsedStartup{SslRequest{}, length};
    return ParsedStartup{GssEncRequest{}, length};
  }
  if (code == kCancelRequestCode) {
    if (body.size() < 8 || body.size() > 4 + 256) {
      return malformed("invalid length of cancel request packet");
    }
    return ParsedStartup{CancelRequest{load_u32(body.data()), body.substr(4)}, length};
  }
  if (code >> 16 != 3) {
    return failure("unsupported frontend protocol " + std::to_string(code >> 16) + "." +
                       std::to_string(code & 0xffff) + ": server supports 3.0 to 3.2",
                   sqlstate::kFeatureNotSupported);
  }
  return parse_parameters(code, body, length);
}

Result<std::vector<std::pair<std::string, std::string>>> parse_options(Bytes options) {
  const std::vector<std::string> words = split_options(options);
  return Switches(words).read();
}

}  // namespace forebay::pg
