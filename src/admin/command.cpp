#include "admin/command.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include "forebay/config/units.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::admin {
namespace {

constexpr ActionLine kActions[] = {
    {"PAUSE TENANT", Action::pause_tenant, Role::admin, Argument::tenant_order},
    {"RESUME TENANT", Action::resume_tenant, Role::admin, Argument::tenant},
    {"BAN TENANT", Action::ban_tenant, Role::admin, Argument::tenant_order},
    {"UNBAN TENANT", Action::unban_tenant, Role::admin, Argument::tenant},
    {"LIMIT TENANT", Action::limit_tenant, Role::admin, Argument::tenant_limits},
    {"RESET TENANT", Action::reset_tenant, Role::admin, Argument::tenant},
    {"PAUSE", Action::pause, Role::admin, Argument::perhaps_database},
    {"RESUME", Action::resume, Role::admin, Argument::perhaps_database},
    {"DRAIN HOST", Action::drain_host, Role::admin, Argument::ordered_host},
    {"BAN HOST", Action::ban_host, Role::admin, Argument::ordered_host},
    {"PREFER HOST", Action::prefer_host, Role::admin, Argument::ordered_host},
    {"ENABLE HOST", Action::enable_host, Role::admin, Argument::host},
    {"DISABLE", Action::disable, Role::admin, Argument::database},
    {"ENABLE", Action::enable, Role::admin, Argument::database},
    {"RECONNECT", Action::reconnect, Role::admin, Argument::perhaps_database},
    {"KILL", Action::kill, Role::admin, Argument::database},
    {"KILL_CLIENT", Action::kill_client, Role::admin, Argument::client},
    {"SUSPEND", Action::suspend, Role::admin},
    {"WAIT_CLOSE", Action::wait_close, Role::admin, Argument::perhaps_database},
    {"RELOAD", Action::reload, Role::admin},
    {"SHUTDOWN WAIT_FOR_SERVERS", Action::shutdown_wait_for_servers, Role::admin},
    {"SHUTDOWN WAIT_FOR_CLIENTS", Action::shutdown_wait_for_clients, Role::admin},
    {"SHUTDOWN", Action::shutdown, Role::admin},
    // What drivers set for their session means nothing here.
    {"SET APPLICATION_NAME", Action::nothing, Role::stats, Argument::anything},
    {"SET BYTEA_OUTPUT", Action::nothing, Role::stats, Argument::anything},
    {"SET CLIENT_ENCODING", Action::nothing, Role::stats, Argument::anything},
    {"SET CLIENT_MIN_MESSAGES", Action::nothing, Role::stats, Argument::anything},
    {"SET DATESTYLE", Action::nothing, Role::stats, Argument::anything},
    {"SET DEFAULT_TRANSACTION_ISOLATION", Action::nothing, Role::stats, Argument::anything},
    {"SET DEFAULT_TRANSACTION_READ_ONLY", Action::nothing, Role::stats, Argument::anything},
    {"SET EXTRA_FLOAT_DIGITS", Action::nothing, Role::stats, Argument::anything},
    {"SET INTERVALSTYLE", Action::nothing, Role::stats, Argument::anything},
    {"SET JIT", Action::nothing, Role::stats, Argument::anything},
    {"SET LOCAL", Action::nothing, Role::stats, Argument::anything},
    {"SET LOCK_TIMEOUT", Action::nothing, Role::stats, Argument::anything},
    {"SET NAMES", Action::nothing, Role::stats, Argument::anything},
    {"SET SEARCH_PATH", Action::nothing, Role::stats, Argument::anything},
    {"SET SESSION", Action::nothing, Role::stats, Argument::anything},
    {"SET STANDARD_CONFORMING_STRINGS", Action::nothing, Role::stats, Argument::anything},
    {"SET TIME ZONE", Action::nothing, Role::stats, Argument::anything},
    {"SET TIMEZONE", Action::nothing, Role::stats, Argument::anything},
    {"SET TRANSACTION", Action::nothing, Role::stats, Argument::anything},
    {"SET", Action::set, Role::admin, Argument::setting},
    {"RESET STATEMENTS", Action::reset_statements, Role::admin},
    {"RESET", Action::nothing, Role::stats, Argument::anything},
    {"DISCARD", Action::nothing, Role::stats, Argument::anything},
    {"DEALLOCATE", Action::nothing, Role::stats, Argument::anything},
    {"CLOSE", Action::nothing, Role::stats, Argument::anything},
    {"UNLISTEN", Action::nothing, Role::stats, Argument::anything},
    {"BEGIN", Action::begin, Role::stats, Argument::anything},
    {"START TRANSACTION", Action::begin, Role::stats, Argument::anything},
    {"COMMIT", Action::commit, Role::stats, Argument::anything},
    {"END", Action::commit, Role::stats, Argument::anything},
    {"ROLLBACK", Action::rollback, Role::stats, Argument::anything},
};

// A word, its quotes gone; `plain`: there were none.
struct Word {
  std::string text;
  bool plain = true;
  std::string_view written = {};
};

/// An order about a host that is to end is over by then.
constexpr std::chrono::hours kLongest{24 * 365};

constexpr std::string_view kBlanks = " \t\r\n\f\v";

core::Refused syntax_error(const std::string& message) {
  return {pg::sqlstate::kSyntaxError, message, {}, "SHOW HELP lists the commands of the console."};
}

// Skips comments, too. False at the end.
bool skip_blanks(std::string_view& text) {
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.starts_with("--")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.starts_with("/*")) {
      const std::size_t end = text.find("*/", 2);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    } else {
      return !text.empty();
    }
  }
}

// One word, or one sign, off the front.
std::optional<Word> take_word(std::string_view& text) {
  const char first = text.front();
  if (first == '"' || first == '\'') {
    Word word{.plain = false};
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] != first) {
        word.text += text[i];
        continue;
      }
      if (i + 1 < text.size() && text[i + 1] == first) {
        word.text += text[i++];
        continue;
      }
      text.remove_prefix(i + 1);
      return word;
    }
    return std::nullopt;
  }
  const auto in_word = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return std::isalnum(byte) != 0 || byte >= 128 || c == '_' || c == '-' || c == '.' || c == '*';
  };
  std::size_t size = 0;
  while (size < text.size() && in_word(text[size])) ++size;
  size = std::max<std::size_t>(size, 1);
  Word word{std::string(text.substr(0, size))};
  text.remove_prefix(size);
  return word;
}

std::string capitals(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

std::optional<Word> take(std::string_view& text) {
  const std::string_view before = text;
  auto word = take_word(text);
  if (word) word->written = before.substr(0, before.size() - text.size());
  return word;
}

// The text of some words, with all that stands between them.
std::string written(std::span<const Word> words) {
  const char* begin = words.front().written.data();
  return {begin, words.back().written.data() + words.back().written.size()};
}

// KEY = VALUE, or KEY TO VALUE.
std::variant<Command, core::Refused> set(const ActionLine& line, std::span<const Word> words) {
  const auto between = std::ranges::find_if(words, [](const Word& word) {
    return word.plain && (word.text == "=" || capitals(word.text) == "TO");
  });
  if (between == words.end() || between == words.begin() || between + 1 == words.end()) {
    return syntax_error("SET takes a key and a value, such as SET default_pool_size = 30");
  }
  return Command{.action = &line,
                 .argument = written({words.begin(), between}),
                 .value = written({between + 1, words.end()})};
}

// NAME [LIMIT = VALUE [, ...]] [FOR TIME] [REASON TEXT].
std::variant<Command, core::Refused> order_tenant(const ActionLine& line,
                                                  std::span<const Word> words) {
  const auto is = [&](std::size_t i, std::string_view word) {
    return i < words.size() && words[i].plain && capitals(words[i].text) == word;
  };
  const std::string name(line.words);
  Command command{.action = &line};
  command.argument = words.front().text;
  words = words.subspan(1);
  for (bool more = line.argument == Argument::tenant_limits; more;) {
    if (words.size() < 3 || !(is(1, "=") || is(1, "TO"))) {
      return syntax_error(name + " takes limits, such as " + name + " acme max_statements = 5");
    }
    command.limits.emplace_back(words[0].text, words[2].text);
    more = is(3, ",");
    words = words.subspan(more ? 4 : 3);
  }
  if (line.argument == Argument::tenant && !words.empty()) {
    return syntax_error(name + " takes the name of one tenant");
  }
  while (!words.empty()) {
    std::string* said = is(0, "FOR") ? &command.time : is(0, "REASON") ? &command.reason : nullptr;
    if (said == nullptr || words.size() < 2 || !said->empty() || words[1].text.empty()) {
      return syntax_error(name + " takes FOR '10min' and REASON 'text' behind what it orders");
    }
    *said = words[1].text;
    words = words.subspan(2);
  }
  return command;
}

// HOST [FOR time] [REASON text].
std::variant<Command, core::Refused> order(const ActionLine& line, std::span<const Word> words) {
  const std::string name(line.words);
  if (words.empty()) return syntax_error(name + " takes the name of a host, as in SHOW HOSTS");
  const auto is = [](const Word& word, std::string_view key) {
    return word.plain && capitals(word.text) == key;
  };
  std::size_t at = 1;
  while (at < words.size() && !is(words[at], "FOR") && !is(words[at], "REASON")) ++at;
  Command command{.action = &line};
  command.argument = at == 1 ? words.front().text : written(words.first(at));
  if (line.argument == Argument::host && at < words.size()) {
    return syntax_error(name + " takes the name of one host");
  }
  for (; at < words.size(); at += 2) {
    const bool time = is(words[at], "FOR");
    if (at + 1 == words.size() || (!time && !is(words[at], "REASON"))) {
      return syntax_error(name + " takes a host, FOR and a time, REASON and a text, such as " +
                          name + " db2:5432 FOR '10min' REASON 'new kernel'");
    }
    if (!time) {
      command.reason = words[at + 1].text;
      continue;
    }
    const auto lasts = config::parse_duration(words[at + 1].text);
    if (lasts.has_error() || lasts->count() == 0 || *lasts > kLongest) {
      return core::Refused{pg::sqlstate::kInvalidParameterValue,
                           name + ": FOR takes a time such as '10min', at most '365d'",
                           {},
                           "Without FOR it lasts until ENABLE HOST."};
    }
    command.lasts = *lasts;
  }
  return command;
}

// How many of `words` are those of `name`, which are separated by blanks; 0: it is another.
std::size_t matches(const std::vector<Word>& words, std::size_t from, std::string_view name) {
  std::size_t used = 0;
  while (!name.empty()) {
    const std::size_t size = std::min(name.find(' '), name.size());
    if (from + used >= words.size()) return 0;
    const Word& word = words[from + used];
    if (!word.plain || capitals(word.text) != name.substr(0, size)) return 0;
    name.remove_prefix(std::min(size + 1, name.size()));
    ++used;
  }
  return used;
}

std::variant<Command, core::Refused> show(const std::vector<Word>& words, bool select) {
  const ShowLine* best = nullptr;
  std::size_t used = 0;
  for (const ShowLine& line : shows()) {
    const std::size_t count = matches(words, 1, line.name);
    if (count <= used) continue;
    best = &line;
    used = count;
  }
  if (best != nullptr && 1 + used == words.size()) return Command{.show = best};
  // Probes say SELECT 1.
  const bool number =
      words.size() == 2 && !words[1].text.empty() &&
      std::ranges::all_of(words[1].text, [](char c) { return c >= '0' && c <= '9'; });
  if (select && number && words[1].text.size() < 10) {
    const auto probe = std::ranges::find(shows(), kSelectLiteral, &ShowLine::name);
    return Command{.show = &*probe, .argument = words[1].text};
  }
  return syntax_error(std::string("unknown ") + (select ? "SELECT" : "SHOW") +
                      " command of the console");
}

std::variant<Command, core::Refused> act(const ActionLine& line, const std::vector<Word>& words,
                                         std::size_t used) {
  Command command{.action = &line};
  const std::size_t rest = words.size() - used;
  const std::string name(line.words);
  switch (line.argument) {
    case Argument::anything:
      for (std::size_t i = used; i < words.size(); ++i) {
        command.argument += (i == used ? "" : " ") + words[i].text;
      }
      return command;
    case Argument::setting:
      return set(line, std::span(words).subspan(used));
    case Argument::host:
    case Argument::ordered_host:
      return order(line, std::span(words).subspan(used));
    case Argument::none:
      if (rest > 0) return syntax_error(name + " takes no argument");
      return command;
    case Argument::tenant:
    case Argument::tenant_order:
    case Argument::tenant_limits:
      return order_tenant(line, std::span(words).subspan(used));
    case Argument::perhaps_database:
      if (rest == 0) return command;
      [[fallthrough]];
    case Argument::database:
      if (rest != 1) return syntax_error(name + " takes the name of one database");
      break;
    case Argument::client: {
      const auto digit = [](char c) { return c >= '0' && c <= '9'; };
      if (rest != 1 || words[used].text.size() > 10 ||
          !std::ranges::all_of(words[used].text, digit)) {
        return syntax_error(name + " takes the id of one client, as in SHOW CLIENTS");
      }
      break;
    }
  }
  command.argument = words[used].text;
  return command;
}

std::variant<Command, core::Refused> understand(const std::vector<Word>& words) {
  if (words.empty()) return Command{};
  const std::string first = words[0].plain ? capitals(words[0].text) : std::string();
  if (first == "SHOW" || first == "SELECT") return show(words, first == "SELECT");
  for (const ActionLine& line : kActions) {
    const std::size_t used = matches(words, 0, line.words);
    // PAUSE TENANT, or ENABLE HOST, may be that of a database with this name.
    const bool named = line.argument >= Argument::tenant || line.argument == Argument::host;
    if (used > 0 && !(named && used == words.size())) return act(line, words, used);
  }
  return syntax_error("invalid command '" + words[0].text + "', use SHOW HELP");
}

}  // namespace

std::span<const ActionLine> actions() {
  return kActions;
}

Role Command::role() const noexcept {
  if (action != nullptr) return action->role;
  return show != nullptr && show->admin_only ? Role::admin : Role::stats;
}

std::string take_database(std::string_view& text) {
  std::string_view rest = text;
  if (!skip_blanks(rest)) return {};
  const auto word = take(rest);
  if (!word || !word->plain || capitals(word->text) != "FOR" || !skip_blanks(rest)) return {};
  const auto name = take(rest);
  if (!name) return {};
  text = rest;
  return name->text;
}

std::variant<std::vector<Command>, core::Refused> parse(std::string_view text) {
  std::vector<Command> commands;
  std::vector<Word> words;
  for (;;) {
    const bool more = skip_blanks(text);
    if (matches(words, 0, "EXPLAIN ROUTE") == words.size() && words.size() == 2) {
      const auto line = std::ranges::find(shows(), kExplainRoute, &ShowLine::name);
      commands.push_back({.show = &*line, .argument = std::string(text)});
      return commands;
    }
    if (more && text.front() != ';') {
      auto word = take(text);
      if (!word) return syntax_error("a quote is not closed");
      words.push_back(std::move(*word));
      continue;
    }
    auto command = understand(words);
    if (auto* refused = std::get_if<core::Refused>(&command)) return std::move(*refused);
    auto& understood = std::get<Command>(command);
    if (!understood.empty()) commands.push_back(std::move(understood));
    words.clear();
    if (!more) return commands;
    text.remove_prefix(1);
  }
}

}  // namespace forebay::admin
